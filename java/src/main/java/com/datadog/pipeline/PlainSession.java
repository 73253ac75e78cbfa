package com.datadog.pipeline;

import com.datadog.pipeline.internal.Jvm;
import com.datadog.pipeline.internal.Reaper;
import com.datadog.pipeline.internal.plain.Failure;
import com.datadog.pipeline.internal.plain.Interrupts;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * An exporter in Java, for machines on which the native library cannot be loaded: {@link
 * WithoutLibrary#PURE_JAVA}. Threads know its queue and not it, so that one that is forgotten can
 * be collected. Thread-safe.
 */
final class PlainSession implements Session {
  private static final Reaper REAPER = new Reaper();
  private static final LinkedBlockingQueue<Long> DONE = new LinkedBlockingQueue<>();
  private static final Completions COMPLETIONS =
      new Completions(
          millis -> {
            try {
              Long ticket = DONE.poll(millis, TimeUnit.MILLISECONDS);
              return ticket == null ? 0 : ticket;
            } catch (InterruptedException e) {
              // Nobody has a reason to; the next round comes a little earlier.
              return 0;
            }
          });

  /** What is closed in the place of a session that is gone. */
  private static final class Rest {
    private final PlainQueue queue;
    private final Companions companions;

    Rest(PlainQueue queue, Companions companions) {
      this.queue = queue;
      this.companions = companions;
    }
  }

  private final PlainSettings settings;
  private final Map<String, Object> shown;
  private final TraceExporterException cause;
  private final LogListener listener;
  private final Executor executor;
  private final PlainSender sender;
  private final PlainQueue queue;
  private final Reaper.Entry entry;
  private final Object closing = new Object();
  private Companions companions;
  private CloseResult closed;

  PlainSession(
      Map<String, Object> values,
      Map<String, Object> shown,
      TraceExporterException cause,
      LogListener listener,
      Executor executor) {
    REAPER.reap(PlainSession::forgotten);
    this.settings = new PlainSettings(values, cause);
    this.shown = shown;
    this.cause = cause;
    this.listener = listener;
    this.executor = executor;
    this.sender = new PlainSender(settings);
    this.queue = new PlainQueue(settings, sender, DONE);
    this.entry = REAPER.watch(this, 0);
    String without = settings.withoutEffect.isEmpty() ? "" : "; without effect: ";
    sender.presence.tell(
        LogLine.Severity.WARNING,
        "payloads are sent in Java, as they are, since there is no native library"
            + without
            + String.join(", ", settings.withoutEffect)
            + "; "
            + cause.getMessage());
    if (sender.outlet.isDry()) {
      sender.presence.tell(
          LogLine.Severity.INFO, "a dry run: everything happens but the sending (`dryRun`)");
    }
    sender.discovery.start();
  }

  @Override
  public void accompaniedBy(JmxBean bean, Thread hook) {
    companions = new Companions(listener, bean, hook);
    entry.keep(new Rest(queue, companions));
  }

  private static void forgotten(long handle, Object kept) {
    Rest rest = (Rest) kept;
    rest.queue.close(0);
    rest.companions.closed(null);
    rest.companions.log(
        new LogLine(
            Instant.now(),
            LogLine.Severity.WARNING,
            "an exporter was collected without having been closed; call close()"));
  }

  @Override
  public AgentResponse send(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    Payload.within(payload, offset, length);
    if (Jvm.onVirtualThread()) {
      Completions.Pending future = COMPLETIONS.expectSend(this);
      try {
        return async(future, payload, offset, length, traces, spans, computed).await();
      } finally {
        tell();
      }
    }
    queue.enter();
    try {
      return sender.send(payload, offset, length, SendOptions.of(traces, spans, computed));
    } finally {
      queue.leave();
      tell();
    }
  }

  @Override
  public AgentResponse sendDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    byte[] copy = Payload.copy(payload);
    return send(copy, 0, copy.length, traces, spans, computed);
  }

  @Override
  public AgentResponse sendPieces(
      Object[] pieces, int[] parts, long traces, long spans, boolean computed) {
    byte[] whole = Payload.whole(pieces, parts);
    return send(whole, 0, whole.length, traces, spans, computed);
  }

  @Override
  public boolean offer(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    Payload.within(payload, offset, length);
    try {
      return queue.offer(payload, offset, length, SendOptions.of(traces, spans, computed), null);
    } finally {
      tell();
    }
  }

  @Override
  public boolean offerDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    byte[] copy = Payload.copy(payload);
    return offer(copy, 0, copy.length, traces, spans, computed);
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    Payload.within(payload, offset, length);
    Completions.Pending future = COMPLETIONS.expect(this, executor);
    try {
      return async(future, payload, offset, length, traces, spans, computed);
    } finally {
      tell();
    }
  }

  private Completions.Pending async(
      Completions.Pending future,
      byte[] payload,
      int offset,
      int length,
      long traces,
      long spans,
      boolean computed) {
    boolean queued = false;
    try {
      queue.offer(payload, offset, length, SendOptions.of(traces, spans, computed), future);
      queued = true;
    } finally {
      if (!queued) {
        COMPLETIONS.forget(future);
      }
    }
    return future;
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsyncDirect(
      ByteBuffer payload, long traces, long spans, boolean computed) {
    byte[] copy = Payload.copy(payload);
    return sendAsync(copy, 0, copy.length, traces, spans, computed);
  }

  /** A future is settled before its ticket is told; this is asked of none. */
  @Override
  public Object outcome(Completions.Pending future) {
    return new TraceExporterException(ErrorCode.INTERNAL, "an answer without an outcome", null);
  }

  @Override
  public FlushResult flush(Duration limit, boolean suspend) {
    try {
      return queue.flush(Payload.millis(limit), suspend);
    } finally {
      tell();
    }
  }

  @Override
  public void reconfigure(Map<String, Object> settings) {
    String message = "settings cannot change where there is no native library (withoutLibrary)";
    throw new TraceExporterException(ErrorCode.LIBRARY_UNAVAILABLE, message, null);
  }

  @Override
  public void resume() {
    queue.resume();
    sender.discovery.start();
    tell();
  }

  @Override
  public Metrics metrics() {
    tell();
    return new Metrics(queue.numbers(), 0);
  }

  @Override
  public AgentInfo agentInfo() {
    queue.requireOpen();
    return sender.discovery.info();
  }

  @Override
  public AgentInfo fetchAgentInfo(Duration limit) {
    queue.requireOpen();
    Interrupts.hold();
    try {
      return sender.discovery.fetch(Payload.millis(limit));
    } catch (Failure e) {
      throw PlainSender.exception(e);
    } finally {
      Interrupts.restore();
      tell();
    }
  }

  @Override
  public AgentInfo awaitAgent(Duration limit) {
    queue.requireOpen();
    Interrupts.hold();
    try {
      return await(Payload.millis(limit));
    } finally {
      Interrupts.restore();
      tell();
    }
  }

  private AgentInfo await(long millis) {
    long end = System.nanoTime() + millis * 1_000_000;
    for (long pause = 50; ; pause = Math.min(2 * pause, 1_000)) {
      Failure why;
      try {
        long left = Math.max(1, (end - System.nanoTime()) / 1_000_000);
        return sender.discovery.fetch(left);
      } catch (Failure e) {
        why = e;
      }
      if (why.status == 404) {
        return null;
      }
      if (why.code == ErrorCode.CLOSED || !sender.client.pause(0)) {
        String message = "the exporter was closed while the agent was waited for";
        throw new TraceExporterException(ErrorCode.CLOSED, message, null);
      }
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        String message = "the agent was not there within " + millis + " ms: " + why.getMessage();
        throw new TraceExporterException(ErrorCode.TIMED_OUT, message, null);
      }
      sender.client.pause(Math.min(pause, left));
    }
  }

  @Override
  public AgentState state() {
    return AgentState.read(PlainPresence.json(sender.presence.state()));
  }

  @Override
  public String explain() {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("version", TraceExporter.VERSION);
    synchronized (closing) {
      all.put("closed", closed != null);
    }
    all.put("mode", WithoutLibrary.PURE_JAVA.name());
    all.put("why", cause.getMessage());
    all.put("without", PlainSettings.LACKS);
    all.put("without_effect", settings.withoutEffect);
    all.put("configuration", shown);
    Map<String, Object> agent = sender.presence.state();
    agent.put("url", sender.client.address());
    AgentInfo info = sender.discovery.info();
    agent.put("info", info == null ? null : info.version());
    all.put("agent", agent);
    Map<String, Object> format = new LinkedHashMap<>();
    format.put("chosen", "V04");
    format.put("why", "payloads are passed on as they are");
    all.put("format", format);
    Map<String, Object> bandwidth = new LinkedHashMap<>();
    Metrics metrics = metrics();
    bandwidth.put("wire_bytes", metrics.wireBytes());
    bandwidth.put("bytes_per_second", sender.outlet.rate());
    bandwidth.put("queue_waits_ms", metrics.queuePaceMillis());
    all.put("bandwidth", bandwidth);
    Map<String, Object> dryRun = new LinkedHashMap<>();
    dryRun.put("on", sender.outlet.isDry());
    dryRun.put("bodies", sender.outlet.dryBodies());
    dryRun.put("bytes", sender.outlet.dryBytes());
    all.put("dry_run", dryRun);
    all.put("account", metrics.toString());
    return PlainPresence.json(all);
  }

  @Override
  public Stats stats() {
    return new Stats(NoopSession.NO_STATS);
  }

  @Override
  public boolean flushStats(Duration limit) {
    queue.requireOpen();
    Payload.millis(limit);
    return true;
  }

  @Override
  public CloseResult close(Duration limit) {
    long millis = Payload.millis(limit);
    CloseResult result;
    synchronized (closing) {
      if (closed == null) {
        boolean complete = queue.close(millis);
        REAPER.forget(entry);
        closed = new CloseResult(complete, new Metrics(queue.numbers(), 0));
      }
      result = closed;
    }
    if (companions != null) {
      companions.closed(null);
    }
    tell();
    return result;
  }

  private void tell() {
    if (listener != null && companions != null) {
      for (LogLine line = sender.presence.line(); line != null; line = sender.presence.line()) {
        companions.log(line);
      }
    }
  }

  @Override
  public void tellQuietly() {
    tell();
  }

  @Override
  public long handle() {
    return 0;
  }
}
