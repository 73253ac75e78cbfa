package com.datadog.pipeline;

import com.datadog.pipeline.internal.plain.Traces;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * An exporter that drops everything and counts it: {@link WithoutLibrary#NOOP}. Of a payload it
 * reads the number of traces and nothing more. No connection, no thread. Thread-safe.
 */
final class NoopSession implements Session {
  static final String NO_STATS =
      "{\"counted\":0,\"sent\":0,\"lost\":0,\"waiting\":0,\"collapsed_spans\":0,\"rows\":[]}";

  private static final AgentResponse NOTHING =
      new AgentResponse(0, null, 0, new byte[0], null, null, false, 0, 0, 0, null);

  private final PlainAccount account = new PlainAccount();
  private final Map<String, Object> shown;
  private final TraceExporterException cause;
  private final LogListener listener;
  private Companions companions;
  private volatile CloseResult closed;
  private boolean told;

  NoopSession(Map<String, Object> shown, TraceExporterException cause, LogListener listener) {
    this.shown = shown;
    this.cause = cause;
    this.listener = listener;
  }

  @Override
  public void accompaniedBy(JmxBean bean, Thread hook) {
    companions = new Companions(listener, bean, hook);
  }

  private void requireOpen() {
    if (closed != null) {
      throw new IllegalStateException("the exporter is closed");
    }
  }

  private void drop(long traces, long bytes) {
    requireOpen();
    account.refuse(new Metrics.Counts(traces, 0, bytes), DropReason.NO_LIBRARY);
    tellQuietly();
  }

  private void drop(byte[] payload, int offset, int length) {
    Payload.within(payload, offset, length);
    drop(Traces.declared(payload, offset, length), length);
  }

  private void drop(ByteBuffer payload) {
    byte[] head = new byte[Math.min(5, payload.remaining())];
    payload.duplicate().get(head);
    drop(Traces.declared(head, 0, head.length), payload.remaining());
  }

  @Override
  public AgentResponse send(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    drop(payload, offset, length);
    return NOTHING;
  }

  @Override
  public AgentResponse sendDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    drop(payload);
    return NOTHING;
  }

  @Override
  public AgentResponse sendPieces(
      Object[] pieces, int[] parts, long traces, long spans, boolean computed) {
    byte[] whole = Payload.whole(pieces, parts);
    drop(whole, 0, whole.length);
    return NOTHING;
  }

  @Override
  public boolean offer(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    drop(payload, offset, length);
    return false;
  }

  @Override
  public boolean offerDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    drop(payload);
    return false;
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    drop(payload, offset, length);
    return CompletableFuture.completedFuture(NOTHING);
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsyncDirect(
      ByteBuffer payload, long traces, long spans, boolean computed) {
    drop(payload);
    return CompletableFuture.completedFuture(NOTHING);
  }

  @Override
  public FlushResult flush(Duration limit, boolean suspend) {
    requireOpen();
    Payload.millis(limit);
    long[] now = account.snapshot();
    return PlainAccount.between(now, now, true);
  }

  @Override
  public void reconfigure(Map<String, Object> settings) {
    requireOpen();
  }

  @Override
  public void resume() {
    requireOpen();
  }

  @Override
  public Metrics metrics() {
    return new Metrics(account.snapshot(), 0);
  }

  @Override
  public AgentInfo agentInfo() {
    requireOpen();
    return null;
  }

  @Override
  public AgentInfo fetchAgentInfo(Duration limit) {
    requireOpen();
    Payload.millis(limit);
    throw new TraceExporterException(cause);
  }

  @Override
  public AgentInfo awaitAgent(Duration limit) {
    return fetchAgentInfo(limit);
  }

  @Override
  public AgentState state() {
    Map<String, Object> error = new LinkedHashMap<>();
    error.put("at", 0);
    error.put("code", cause.code().number());
    error.put("message", cause.getMessage());
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("condition", AgentState.Condition.DOWN.name());
    state.put("last_error", error);
    return AgentState.read(PlainPresence.json(state));
  }

  @Override
  public String explain() {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("version", TraceExporter.VERSION);
    all.put("closed", closed != null);
    all.put("mode", WithoutLibrary.NOOP.name());
    all.put("why", cause.getMessage());
    all.put("without", "everything: each payload is dropped and counted as NO_LIBRARY");
    all.put("configuration", shown);
    all.put("account", metrics().toString());
    return PlainPresence.json(all);
  }

  @Override
  public Stats stats() {
    return new Stats(NO_STATS);
  }

  @Override
  public boolean flushStats(Duration limit) {
    requireOpen();
    Payload.millis(limit);
    return true;
  }

  @Override
  public synchronized CloseResult close(Duration limit) {
    Payload.millis(limit);
    if (closed == null) {
      closed = new CloseResult(true, metrics());
      if (companions != null) {
        companions.closed(null);
      }
    }
    return closed;
  }

  @Override
  public Object outcome(Completions.Pending future) {
    return NOTHING;
  }

  /** One line, with the first payload that is dropped. */
  @Override
  public void tellQuietly() {
    synchronized (this) {
      if (told || listener == null || companions == null) {
        return;
      }
      told = true;
    }
    companions.log(
        new LogLine(
            Instant.now(),
            LogLine.Severity.WARNING,
            "every payload is dropped (NO_LIBRARY): " + cause.getMessage()));
  }

  @Override
  public long handle() {
    return 0;
  }
}
