package com.datadog.pipeline;

import com.datadog.pipeline.internal.Jvm;
import com.datadog.pipeline.internal.Reaper;
import com.datadog.pipeline.internal.Settings;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * The native library behind an exporter: its handle, the last answer, and what is left to tell once
 * it is closed. Thread-safe.
 */
final class NativeSession implements Session {
  private static final Reaper REAPER = new Reaper();

  /** Not a lambda: the first one of a JVM takes it some 15 ms, and this may well be the first. */
  private static final Completions COMPLETIONS =
      new Completions(
          new Completions.Source() {
            @Override
            public long await(long millis) {
              return TraceExporter.nativeAwaitCompletion(millis);
            }
          });

  private static final int FETCH_INFO = 0;
  private static final int INFO = 1;
  private static final int AWAIT_AGENT = 2;
  private static final int EXPLAIN = 3;
  private static final int STATE = 4;
  private static final int LINES = 5;
  private static final int TRACES = 6;

  /** What {@code nativeClose} leaves behind, in the order of its array. */
  private static final int LAST = 5;

  private static final int LAST_LINES = 0;
  private static final int LAST_STATE = 1;
  private static final int LAST_EXPLAIN = 2;
  private static final int LAST_STATS = 3;
  private static final int LAST_TRACES = 4;

  /** No send returns this one. */
  private static final AgentResponse NEVER =
      new AgentResponse(-1, null, 0, null, null, null, false, 0, 0, 0, null);

  /** Futures keep this session; the exporter, which hooks and beans hold weakly, stays with it. */
  private final TraceExporter owner;

  private final long handle;
  private final Reaper.Entry entry;
  private final LogListener listener;
  private final Executor executor;
  private final LineStream stream;
  private final Object closing = new Object();
  private Companions companions;
  private CloseResult closed;
  private Object[] left;
  private volatile AgentResponse last;

  NativeSession(
      TraceExporter owner,
      Map<String, Object> settings,
      LogListener listener,
      Executor executor,
      LineStream stream) {
    this.stream = stream;
    this.owner = owner;
    Library.need();
    REAPER.reap(FORGOTTEN);
    TrustedAuthorities.handOver(settings);
    this.handle = TraceExporter.nativeCreate(Settings.encode(settings));
    this.entry = REAPER.watch(this, handle);
    this.listener = listener;
    this.executor = executor;
  }

  @Override
  public void accompaniedBy(JmxBean bean, Thread hook) {
    boolean alone = listener == null && bean == null && hook == null;
    companions = alone ? null : new Companions(listener, bean, hook);
    entry.keep(companions);
  }

  /** Not a lambda either. */
  private static final Reaper.Closer FORGOTTEN =
      new Reaper.Closer() {
        @Override
        public void close(long handle, Object rest) {
          Companions companions = (Companions) rest;
          Object[] left = new Object[LAST];
          try {
            TraceExporter.nativeClose(handle, 0, left);
          } catch (IllegalStateException e) {
            // Closed meanwhile: nothing is left to do.
            return;
          }
          if (companions != null) {
            companions.closed(left[LAST_LINES]);
            companions.log(
                new LogLine(
                    Instant.now(),
                    LogLine.Severity.WARNING,
                    "an exporter was collected without having been closed; call close()"));
          }
        }
      };

  @Override
  public long handle() {
    return handle;
  }

  @Override
  public AgentResponse send(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    if (Jvm.onVirtualThread()) {
      return await(sendAsync(waiting(), payload, offset, length, traces, spans, computed));
    }
    AgentResponse before = last;
    long id = before == null ? 0 : before.id;
    try {
      return keep(
          before,
          TraceExporter.nativeSend(
              handle, payload, offset, length, traces, spans, computed, before, id));
    } finally {
      tell();
    }
  }

  @Override
  public AgentResponse sendDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    if (Jvm.onVirtualThread()) {
      return await(sendAsyncDirect(waiting(), payload, traces, spans, computed));
    }
    AgentResponse before = last;
    long id = before == null ? 0 : before.id;
    int position = payload.position();
    int length = payload.remaining();
    try {
      return keep(
          before,
          TraceExporter.nativeSendDirect(
              handle, payload, position, length, traces, spans, computed, before, id));
    } finally {
      tell();
    }
  }

  @Override
  public AgentResponse sendPieces(
      Object[] pieces, int[] parts, long traces, long spans, boolean computed) {
    AgentResponse before = last;
    long id = before == null ? 0 : before.id;
    try {
      return keep(
          before,
          TraceExporter.nativeSendPieces(
              handle, pieces, parts, traces, spans, computed, before, id));
    } finally {
      tell();
    }
  }

  private AgentResponse keep(AgentResponse before, Object response) {
    if (response == null) {
      String message = "the native library gave neither an answer nor a reason";
      throw new TraceExporterException(ErrorCode.INTERNAL, message, null);
    }
    if (response != before) {
      last = (AgentResponse) response;
    }
    return (AgentResponse) response;
  }

  @Override
  public boolean offer(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    try {
      int code =
          TraceExporter.nativeOffer(handle, payload, offset, length, traces, spans, computed, 0);
      return taken(code);
    } finally {
      tell();
      stayReachable();
    }
  }

  @Override
  public boolean offerDirect(ByteBuffer payload, long traces, long spans, boolean computed) {
    int position = payload.position();
    int length = payload.remaining();
    try {
      int code =
          TraceExporter.nativeOfferDirect(
              handle, payload, position, length, traces, spans, computed, 0);
      return taken(code);
    } finally {
      tell();
      stayReachable();
    }
  }

  private static boolean taken(int code) {
    if (code == ErrorCode.CLOSED.number()) {
      throw new IllegalStateException("the exporter is closed");
    }
    return code == 0;
  }

  /**
   * A blocked native would hold the carrier of a virtual thread: the payload is copied, sent by a
   * native thread, and this one waits in Java.
   */
  private Completions.Pending waiting() {
    return COMPLETIONS.expectSend(this);
  }

  private AgentResponse await(Completions.Pending sent) {
    try {
      return sent.await();
    } finally {
      tell();
    }
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed) {
    return sendAsync(
        COMPLETIONS.expect(this, executor), payload, offset, length, traces, spans, computed);
  }

  private Completions.Pending sendAsync(
      Completions.Pending future,
      byte[] payload,
      int offset,
      int length,
      long traces,
      long spans,
      boolean computed) {
    boolean queued = false;
    try {
      TraceExporter.nativeOffer(
          handle, payload, offset, length, traces, spans, computed, future.ticket);
      queued = true;
    } finally {
      if (!queued) {
        COMPLETIONS.forget(future);
      }
      tell();
    }
    return future;
  }

  @Override
  public CompletableFuture<AgentResponse> sendAsyncDirect(
      ByteBuffer payload, long traces, long spans, boolean computed) {
    return sendAsyncDirect(COMPLETIONS.expect(this, executor), payload, traces, spans, computed);
  }

  private Completions.Pending sendAsyncDirect(
      Completions.Pending future, ByteBuffer payload, long traces, long spans, boolean computed) {
    int position = payload.position();
    int length = payload.remaining();
    boolean queued = false;
    try {
      TraceExporter.nativeOfferDirect(
          handle, payload, position, length, traces, spans, computed, future.ticket);
      queued = true;
    } finally {
      if (!queued) {
        COMPLETIONS.forget(future);
      }
      tell();
    }
    return future;
  }

  @Override
  public Object outcome(Completions.Pending future) {
    try {
      AgentResponse before = last;
      long id = before == null ? 0 : before.id;
      return keep(before, TraceExporter.nativeCompletion(future.ticket, before, id));
    } catch (Throwable t) {
      return t;
    }
  }

  @Override
  public FlushResult flush(Duration limit, boolean suspend) {
    try {
      return new FlushResult(TraceExporter.nativeFlush(handle, Payload.millis(limit), suspend));
    } finally {
      tell();
      stayReachable();
    }
  }

  @Override
  public void reconfigure(Map<String, Object> settings) {
    TrustedAuthorities.handOver(settings);
    try {
      TraceExporter.nativeReconfigure(handle, Settings.encode(settings));
    } finally {
      tell();
      stayReachable();
    }
  }

  @Override
  public void resume() {
    try {
      TraceExporter.nativeResume(handle);
    } finally {
      tell();
      stayReachable();
    }
  }

  @Override
  public Metrics metrics() {
    try {
      return new Metrics(TraceExporter.nativeMetrics(handle), 0);
    } catch (IllegalStateException e) {
      // Closed, or being closed: the account at the end is there in a moment.
      synchronized (closing) {
        if (closed == null) {
          throw e;
        }
        return closed.metrics();
      }
    } finally {
      tell();
      stayReachable();
    }
  }

  private static AgentInfo agentInfo(byte[] answer) {
    return answer == null ? null : new AgentInfo(answer);
  }

  @Override
  public AgentInfo agentInfo() {
    return agentInfo(ask(INFO, Duration.ZERO));
  }

  @Override
  public AgentInfo fetchAgentInfo(Duration limit) {
    return new AgentInfo(ask(FETCH_INFO, limit));
  }

  @Override
  public AgentInfo awaitAgent(Duration limit) {
    return agentInfo(ask(AWAIT_AGENT, limit));
  }

  @Override
  public AgentState state() {
    return AgentState.read(new String(ask(STATE, Duration.ZERO), StandardCharsets.UTF_8));
  }

  @Override
  public String explain() {
    return new String(ask(EXPLAIN, Duration.ZERO), StandardCharsets.UTF_8);
  }

  /** The answer to a question; what was known at the end if the exporter is closed. */
  private byte[] ask(int question, Duration limit) {
    try {
      return TraceExporter.nativeAsk(handle, question, Payload.millis(limit));
    } catch (IllegalStateException e) {
      if (question == STATE || question == EXPLAIN) {
        return atTheEnd(question == STATE ? LAST_STATE : LAST_EXPLAIN, e);
      }
      throw e;
    } finally {
      tell();
      stayReachable();
    }
  }

  @Override
  public Stats stats() {
    byte[] json;
    try {
      json = TraceExporter.nativeStats(handle);
    } catch (IllegalStateException e) {
      json = atTheEnd(LAST_STATS, e);
    } finally {
      stayReachable();
    }
    return new Stats(new String(json, StandardCharsets.UTF_8));
  }

  private byte[] atTheEnd(int what, IllegalStateException e) {
    synchronized (closing) {
      if (left == null || left[what] == null) {
        throw e;
      }
      return (byte[]) left[what];
    }
  }

  @Override
  public boolean flushStats(Duration limit) {
    try {
      return TraceExporter.nativeFlushStats(handle, Payload.millis(limit));
    } finally {
      stayReachable();
    }
  }

  @Override
  public CloseResult close(Duration limit) {
    CloseResult result;
    Object lines = null;
    synchronized (closing) {
      if (closed == null) {
        Object[] last = new Object[LAST];
        long[] report = TraceExporter.nativeClose(handle, Payload.millis(limit), last);
        lines = last[LAST_LINES];
        last[LAST_LINES] = null;
        if (stream != null) {
          stream.write((byte[]) last[LAST_TRACES], companions);
        }
        last[LAST_TRACES] = null;
        left = last;
        closed = new CloseResult(report[0] != 0, new Metrics(report, 1));
        REAPER.forget(entry);
      }
      result = closed;
    }
    if (companions != null) {
      companions.closed(lines);
    }
    return result;
  }

  /**
   * Gives the listener what the native side has for it, and the caller's stream its lines. Without
   * them that is two tests.
   */
  private void tell() {
    if (stream != null) {
      try {
        byte[] lines = TraceExporter.nativeAsk(handle, TRACES, 0);
        if (lines != null && lines.length > 0) {
          stream.write(lines, companions);
        }
      } catch (IllegalStateException closed) {
        // Whoever closes writes the rest.
        return;
      }
    }
    if (listener != null) {
      try {
        if (TraceExporter.nativeHasLines(handle)) {
          byte[] lines = TraceExporter.nativeAsk(handle, LINES, 0);
          if (lines != null) {
            companions.log(lines);
          }
        }
      } catch (IllegalStateException closed) {
        // Whoever closes tells the rest.
        return;
      }
    }
  }

  @Override
  public void tellQuietly() {
    try {
      tell();
    } catch (Throwable t) {
      // The log waits for the next call.
      return;
    }
  }

  /**
   * Keeps this object from being collected before a native has returned: the reaper would close the
   * exporter under it. Sends need it not, since they store their response here.
   */
  private void stayReachable() {
    if (last == NEVER || owner == null) {
      throw new AssertionError();
    }
  }
}
