package com.datadog.pipeline.embedder;

import com.datadog.pipeline.TraceExporter;
import ddtrot.dd.communication.monitor.Monitoring;
import ddtrot.dd.trace.common.writer.Payload;
import ddtrot.dd.trace.common.writer.PayloadDispatcherImpl;
import ddtrot.dd.trace.common.writer.RemoteApi;
import ddtrot.dd.trace.common.writer.RemoteMapper;
import ddtrot.dd.trace.common.writer.RemoteMapperDiscovery;
import ddtrot.dd.trace.common.writer.Writer;
import ddtrot.dd.trace.common.writer.ddagent.TraceMapperV0_4;
import ddtrot.dd.trace.core.DDSpan;
import ddtrot.dd.trace.core.monitor.HealthMetrics;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A writer for who embeds the Datadog tracer ({@code dd-trace-ot}): finished traces become payloads
 * by the tracer's own serializer and go through the exporter's queue.
 *
 * <pre>{@code
 * TraceExporter exporter = TraceExporter.builder().url("http://127.0.0.1:8126").build();
 * DDTracer tracer = new DDTracer.DDTracerBuilder().writer(new ExporterWriter(exporter)).build();
 * }</pre>
 *
 * <p>The writer closes the exporter. Thread-safe.
 */
public final class ExporterWriter implements Writer {
  private static final Logger LOG = LoggerFactory.getLogger(ExporterWriter.class);
  private static final long FLUSH_MILLIS = 1000;
  private static final Duration LIMIT = Duration.ofSeconds(2);

  private final TraceExporter exporter;
  // Not thread-safe: guarded by this.
  private final PayloadDispatcherImpl payloads;
  private final ScheduledExecutorService clock =
      Executors.newSingleThreadScheduledExecutor(
          work -> {
            Thread thread = new Thread(work, "exporter-writer");
            thread.setDaemon(true);
            return thread;
          });

  /** Writes to this exporter, which takes v0.4. */
  public ExporterWriter(TraceExporter exporter) {
    this.exporter = exporter;
    this.payloads =
        new PayloadDispatcherImpl(
            new V04(), new Queue(exporter), HealthMetrics.NO_OP, Monitoring.DISABLED);
  }

  @Override
  public void start() {
    clock.scheduleWithFixedDelay(this::hand, FLUSH_MILLIS, FLUSH_MILLIS, TimeUnit.MILLISECONDS);
  }

  @Override
  public synchronized void write(List<DDSpan> trace) {
    payloads.addTrace(trace);
  }

  @Override
  public synchronized void incrementDropCounts(int spans) {
    payloads.onDroppedTrace(spans);
  }

  /** Hands what was written to the exporter. */
  private synchronized void hand() {
    try {
      payloads.flush();
    } catch (RuntimeException e) {
      // What is thrown here would end the clock.
      LOG.warn("traces could not be handed to the exporter", e);
    }
  }

  @Override
  public boolean flush() {
    hand();
    return exporter.flush(LIMIT).delivered();
  }

  @Override
  public void close() {
    clock.shutdown();
    hand();
    exporter.close();
  }

  /** The tracer's own v0.4. */
  private static final class V04 implements RemoteMapperDiscovery {
    private final RemoteMapper mapper = new TraceMapperV0_4();

    @Override
    public void discover() {}

    @Override
    public RemoteMapper getMapper() {
      return mapper;
    }
  }

  /** What the tracer takes for an agent. */
  private static final class Queue extends RemoteApi {
    private final TraceExporter exporter;

    Queue(TraceExporter exporter) {
      super(false);
      this.exporter = exporter;
    }

    @Override
    protected Response sendSerializedTraces(Payload payload) {
      try {
        Bytes bytes = new Bytes(payload.sizeInBytes());
        payload.writeTo(bytes);
        byte[] body = bytes.out.toByteArray();
        boolean taken =
            exporter.offer(body, 0, body.length, payload.droppedTraces(), payload.droppedSpans());
        return taken ? Response.success(202) : Response.failed(503);
      } catch (IOException | RuntimeException e) {
        return Response.failed(e);
      }
    }

    @Override
    protected Logger getLogger() {
      return LOG;
    }
  }

  /** A channel into memory. */
  private static final class Bytes implements WritableByteChannel {
    final ByteArrayOutputStream out;

    Bytes(int size) {
      out = new ByteArrayOutputStream(size);
    }

    @Override
    public int write(ByteBuffer from) {
      byte[] piece = new byte[from.remaining()];
      from.get(piece);
      out.write(piece, 0, piece.length);
      return piece.length;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
