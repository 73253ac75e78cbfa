package com.datadog.pipeline;

import com.datadog.pipeline.internal.NativeLibrary;
import com.datadog.pipeline.internal.Reaper;
import com.datadog.pipeline.internal.Settings;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

/**
 * Takes finished traces (msgpack, protocol v0.4) and delivers them to a Datadog agent. Thread-safe:
 * any number of threads may send at once, also while another closes.
 *
 * <pre>{@code
 * try (TraceExporter exporter = TraceExporter.builder().url("http://127.0.0.1:8126").service("shop").build()) {
 *   AgentResponse response = exporter.send(payload);
 * }
 * }</pre>
 *
 * <p>{@code send} works on the caller's thread and returns when the agent has answered. An
 * interrupt of the calling thread is kept for it and does not cut the send short. {@code offer} and
 * {@code sendAsync} put the payload into a bounded queue and return at once.
 */
public final class TraceExporter implements AutoCloseable {
  /** The version of this JAR; the native library must have the same. */
  static final String VERSION = "0.1.0";

  private static final Reaper REAPER = new Reaper();
  private static final Completions COMPLETIONS = new Completions();

  /** No send returns this one. */
  private static final AgentResponse NEVER =
      new AgentResponse(-1, null, 0, null, null, null, false, 0, 0, 0);

  private final long handle;
  private final Reaper.Entry entry;
  private final Map<String, Object> settings;
  private final long closeMillis;
  private final LogListener listener;
  private final Companions companions;
  private final Object closing = new Object();
  private CloseResult closed;
  private volatile AgentResponse last;

  TraceExporter(
      Map<String, Object> settings, LogListener listener, boolean jmx, boolean shutdownHook) {
    Library.need();
    REAPER.reap(FORGOTTEN);
    this.settings = settings;
    Object limit = settings.get("close_timeout_ms");
    this.closeMillis = limit == null ? Builder.DEFAULT_CLOSE_TIMEOUT_MILLIS : (Long) limit;
    this.handle = nativeCreate(Settings.encode(settings));
    this.entry = REAPER.watch(this, handle);
    this.listener = listener;
    JmxBean bean = null;
    if (jmx) {
      try {
        bean = JmxBean.register(this, url());
      } catch (TraceExporterException e) {
        close(Duration.ZERO);
        throw e;
      }
    }
    Thread hook = shutdownHook ? ShutdownHook.register(this) : null;
    boolean alone = listener == null && bean == null && hook == null;
    this.companions = alone ? null : new Companions(listener, bean, hook);
    entry.keep(companions);
  }

  /** Loaded when it is first needed, so that {@link #libraryFrom} can be called before. */
  private static final class Library {
    static final NativeLibrary FOUND = NativeLibrary.load(VERSION);
    static final TraceExporterException UNAVAILABLE = check();

    /** For every native that needs no exporter. */
    static void need() {
      if (UNAVAILABLE != null) {
        throw new TraceExporterException(UNAVAILABLE);
      }
    }

    private static TraceExporterException check() {
      Throwable failure = FOUND.failure();
      try {
        String version = nativeVersion();
        if (failure != null) {
          FOUND.providedByHost();
        }
        if (VERSION.equals(version)) {
          return null;
        }
        String message =
            "the JAR is " + VERSION + ", the library from " + FOUND.source() + " is " + version;
        return new TraceExporterException(ErrorCode.VERSION_MISMATCH, message, null);
      } catch (LinkageError e) {
        if (failure == null) {
          String message =
              "the library from " + FOUND.source() + " is not ours or of another version";
          return new TraceExporterException(ErrorCode.VERSION_MISMATCH, message, e);
        }
      }
      ErrorCode code =
          FOUND.hasOtherVersion() ? ErrorCode.VERSION_MISMATCH : ErrorCode.LIBRARY_UNAVAILABLE;
      return new TraceExporterException(code, failure.getMessage(), failure);
    }
  }

  /** Not a lambda: the first one of a JVM takes it some 15 ms, and this may well be the first. */
  private static final Reaper.Closer FORGOTTEN =
      new Reaper.Closer() {
        @Override
        public void close(long handle, Object rest) {
          Companions companions = (Companions) rest;
          Object[] lines = new Object[1];
          try {
            nativeClose(handle, 0, lines);
          } catch (IllegalStateException e) {
            // Closed meanwhile: nothing is left to do.
            return;
          }
          if (companions != null) {
            companions.closed(lines);
            companions.log(
                new LogLine(
                    Instant.now(),
                    LogLine.Severity.WARNING,
                    "an exporter was collected without having been closed; call close()"));
          }
        }
      };

  /** What goes with an exporter and must not lead to it. */
  private static final class Companions {
    final LogListener listener;
    final JmxBean bean;
    final Thread hook;

    Companions(LogListener listener, JmxBean bean, Thread hook) {
      this.listener = listener;
      this.bean = bean;
      this.hook = hook;
    }

    void closed(Object[] lines) {
      ShutdownHook.remove(hook);
      if (bean != null) {
        bean.unregister();
      }
      if (lines[0] != null) {
        logAll((byte[]) lines[0]);
      }
    }

    void logAll(byte[] lines) {
      for (String line : new String(lines, StandardCharsets.UTF_8).split("\n")) {
        if (!line.isEmpty()) {
          log(LogLine.read(line));
        }
      }
    }

    void log(LogLine line) {
      if (listener != null) {
        try {
          listener.log(line);
        } catch (Throwable t) {
          // What a listener does wrong is no fault of the send that it is told about.
          return;
        }
      }
    }
  }

  /** A builder with no setting made. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Names the JAR, directory or file that has the native library. For hosts whose class loader
   * shows no resources: an agent that appends this JAR to the boot class path calls it first of
   * all. Nothing else is tried then, but for what a system property names.
   *
   * @throws IllegalStateException if the library was looked for already, and not found
   */
  public static void libraryFrom(Path jar) {
    Objects.requireNonNull(jar, "jar");
    if (!NativeLibrary.handOver(jar) && !isAvailable()) {
      throw new IllegalStateException(
          "libraryFrom comes too late: " + Library.UNAVAILABLE.getMessage());
    }
  }

  /** Whether the native library is there. If not, {@link #unavailabilityCause()} says why. */
  public static boolean isAvailable() {
    return Library.UNAVAILABLE == null;
  }

  /** Why there is no native library, with every try; null if there is one. */
  public static Throwable unavailabilityCause() {
    return Library.UNAVAILABLE;
  }

  /** The version of JAR and library. */
  public static String version() {
    return VERSION;
  }

  /**
   * How the native library was loaded: {@code version}, {@code platform}, {@code source}, {@code
   * sha256}, {@code load_micros}, {@code tries} with {@code "; "} between them. Unmodifiable.
   */
  public static Map<String, String> libraryInfo() {
    NativeLibrary library = Library.FOUND;
    Map<String, String> info = new LinkedHashMap<>();
    info.put("version", VERSION);
    info.put("platform", library.platform().toString());
    info.put("source", library.source());
    info.put("sha256", library.sha256());
    info.put("load_micros", Long.toString(library.loadMicros()));
    info.put("tries", String.join("; ", library.tries()));
    return Collections.unmodifiableMap(info);
  }

  /**
   * Sends one payload.
   *
   * @param payload msgpack v0.4; must not be changed before the call returns
   * @return what the agent answered; the same object as last time while nothing differs
   * @throws TraceExporterException if the payload cannot be read or delivered; its traces are
   *     dropped and counted
   * @throws IllegalStateException if the exporter is closed
   */
  public AgentResponse send(byte[] payload) {
    return send(payload, 0, payload.length, 0, 0);
  }

  /**
   * As {@link #send(byte[])}, a part of an array.
   *
   * @throws IllegalArgumentException if the part does not lie within the array
   */
  public AgentResponse send(byte[] payload, int offset, int length) {
    return send(payload, offset, length, 0, 0);
  }

  /**
   * As {@link #send(byte[], int, int)}, with what the tracer has dropped itself.
   *
   * @param droppedP0Traces traces of priority 0 and below that the tracer did not hand over
   * @param droppedP0Spans their spans
   */
  public AgentResponse send(
      byte[] payload, int offset, int length, long droppedP0Traces, long droppedP0Spans) {
    AgentResponse before = last;
    long id = before == null ? 0 : before.id;
    try {
      return keep(
          before,
          nativeSend(handle, payload, offset, length, droppedP0Traces, droppedP0Spans, before, id));
    } finally {
      tell();
    }
  }

  /**
   * Sends what lies between position and limit of a buffer. A direct buffer is read in place; a
   * heap buffer costs one copy. Position and limit stay as they are.
   *
   * @throws TraceExporterException as {@link #send(byte[])}
   */
  public AgentResponse send(ByteBuffer payload) {
    return send(payload, 0, 0);
  }

  /** As {@link #send(ByteBuffer)}, with what the tracer has dropped itself. */
  public AgentResponse send(ByteBuffer payload, long droppedP0Traces, long droppedP0Spans) {
    if (payload.isDirect()) {
      AgentResponse before = last;
      long id = before == null ? 0 : before.id;
      int position = payload.position();
      try {
        return keep(
            before,
            nativeSendDirect(
                handle,
                payload,
                position,
                payload.remaining(),
                droppedP0Traces,
                droppedP0Spans,
                before,
                id));
      } finally {
        tell();
      }
    }
    if (payload.hasArray()) {
      int offset = payload.arrayOffset() + payload.position();
      return send(payload.array(), offset, payload.remaining(), droppedP0Traces, droppedP0Spans);
    }
    byte[] copy = copy(payload);
    return send(copy, 0, copy.length, droppedP0Traces, droppedP0Spans);
  }

  /** Sends one payload that lies in pieces, for instance a header and a body. */
  public AgentResponse send(ByteBuffer[] payload) {
    return send(payload, 0, 0);
  }

  /** As {@link #send(ByteBuffer[])}, with what the tracer has dropped itself. */
  public AgentResponse send(ByteBuffer[] payload, long droppedP0Traces, long droppedP0Spans) {
    Object[] pieces = new Object[payload.length];
    int[] parts = new int[2 * payload.length];
    for (int i = 0; i < payload.length; i++) {
      ByteBuffer piece = payload[i];
      parts[2 * i + 1] = piece.remaining();
      if (piece.isDirect()) {
        pieces[i] = piece;
        parts[2 * i] = piece.position();
      } else if (piece.hasArray()) {
        pieces[i] = piece.array();
        parts[2 * i] = piece.arrayOffset() + piece.position();
      } else {
        pieces[i] = copy(piece);
      }
    }
    AgentResponse before = last;
    long id = before == null ? 0 : before.id;
    try {
      return keep(
          before,
          nativeSendPieces(handle, pieces, parts, droppedP0Traces, droppedP0Spans, before, id));
    } finally {
      tell();
    }
  }

  /**
   * Queues one payload and returns at once; it is sent by a native thread. Nobody waits for the
   * answer. What is not taken is counted as dropped. Makes no garbage.
   *
   * <p>With {@link Overflow#BLOCK} it waits for room; an interrupt of the calling thread is kept
   * for it and does not cut that short.
   *
   * @param payload msgpack v0.4; it is copied before the call returns
   * @return whether it was taken; if not, the queue is full
   * @throws IllegalStateException if the exporter is closed
   */
  public boolean offer(byte[] payload) {
    return offer(payload, 0, payload.length, 0, 0);
  }

  /**
   * As {@link #offer(byte[])}, a part of an array.
   *
   * @throws IllegalArgumentException if the part does not lie within the array
   */
  public boolean offer(byte[] payload, int offset, int length) {
    return offer(payload, offset, length, 0, 0);
  }

  /** As {@link #offer(byte[], int, int)}, with what the tracer has dropped itself. */
  public boolean offer(
      byte[] payload, int offset, int length, long droppedP0Traces, long droppedP0Spans) {
    try {
      return taken(
          nativeOffer(handle, payload, offset, length, droppedP0Traces, droppedP0Spans, 0));
    } finally {
      tell();
      stayReachable();
    }
  }

  /** As {@link #offer(byte[])}, what lies between position and limit of a buffer. */
  public boolean offer(ByteBuffer payload) {
    return offer(payload, 0, 0);
  }

  /** As {@link #offer(ByteBuffer)}, with what the tracer has dropped itself. */
  public boolean offer(ByteBuffer payload, long droppedP0Traces, long droppedP0Spans) {
    try {
      return taken(offer(payload, droppedP0Traces, droppedP0Spans, 0));
    } finally {
      tell();
      stayReachable();
    }
  }

  private int offer(ByteBuffer payload, long droppedTraces, long droppedSpans, long ticket) {
    int length = payload.remaining();
    if (payload.isDirect()) {
      int position = payload.position();
      return nativeOfferDirect(
          handle, payload, position, length, droppedTraces, droppedSpans, ticket);
    }
    boolean array = payload.hasArray();
    byte[] bytes = array ? payload.array() : copy(payload);
    int offset = array ? payload.arrayOffset() + payload.position() : 0;
    return nativeOffer(handle, bytes, offset, length, droppedTraces, droppedSpans, ticket);
  }

  private static boolean taken(int code) {
    if (code == ErrorCode.CLOSED.number()) {
      throw new IllegalStateException("the exporter is closed");
    }
    return code == 0;
  }

  /**
   * Queues one payload; the answer comes later. The future completes on a daemon thread of this
   * library; a continuation that blocks there delays no other future, as long as fewer than 256 do.
   * It fails with a {@link TraceExporterException} as {@link #send(byte[])} does, and with {@code
   * QUEUE_FULL}, {@code EVICTED} or {@code CLOSED}. Cancelling it does not take the payload back.
   * Small payloads that travel together share one answer, with the counts of their request.
   *
   * @param payload msgpack v0.4; it is copied before the call returns
   * @throws IllegalStateException if the exporter is closed
   */
  public CompletableFuture<AgentResponse> sendAsync(byte[] payload) {
    return sendAsync(payload, 0, payload.length, 0, 0);
  }

  /** As {@link #sendAsync(byte[])}, a part of an array. */
  public CompletableFuture<AgentResponse> sendAsync(byte[] payload, int offset, int length) {
    return sendAsync(payload, offset, length, 0, 0);
  }

  /** As {@link #sendAsync(byte[], int, int)}, with what the tracer has dropped itself. */
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long droppedP0Traces, long droppedP0Spans) {
    Completions.Pending future = COMPLETIONS.expect(this, null);
    boolean queued = false;
    try {
      nativeOffer(handle, payload, offset, length, droppedP0Traces, droppedP0Spans, future.ticket);
      queued = true;
    } finally {
      if (!queued) {
        COMPLETIONS.forget(future);
      }
      tell();
    }
    return future;
  }

  /** As {@link #sendAsync(byte[])}, what lies between position and limit of a buffer. */
  public CompletableFuture<AgentResponse> sendAsync(ByteBuffer payload) {
    return sendAsync(payload, 0, 0);
  }

  /** As {@link #sendAsync(ByteBuffer)}, with what the tracer has dropped itself. */
  public CompletableFuture<AgentResponse> sendAsync(
      ByteBuffer payload, long droppedP0Traces, long droppedP0Spans) {
    Completions.Pending future = COMPLETIONS.expect(this, null);
    boolean queued = false;
    try {
      offer(payload, droppedP0Traces, droppedP0Spans, future.ticket);
      queued = true;
    } finally {
      if (!queued) {
        COMPLETIONS.forget(future);
      }
      tell();
    }
    return future;
  }

  /** What became of an asynchronous send: an {@link AgentResponse} or a {@link Throwable}. */
  Object outcome(Completions.Pending future) {
    try {
      AgentResponse before = last;
      long id = before == null ? 0 : before.id;
      return keep(before, nativeCompletion(future.ticket, before, id));
    } catch (IllegalStateException e) {
      return cutOff(e);
    } catch (Throwable t) {
      return t;
    }
  }

  private static Throwable cutOff(IllegalStateException closed) {
    try {
      return new TraceExporterException(ErrorCode.CLOSED, closed.getMessage(), closed);
    } catch (Throwable t) {
      return t;
    }
  }

  /** As {@link #tell}, on threads that nothing may end. */
  void tellQuietly() {
    try {
      tell();
    } catch (Throwable t) {
      // The log waits for the next call.
      return;
    }
  }

  /**
   * Sends what waits in the queue now, without waiting for batches to fill, and then the stats of
   * all buckets. Waits up to {@code limit}.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public FlushResult flush(Duration limit) {
    return flush(limit, false);
  }

  /**
   * Before a snapshot of the process (CRaC, SnapStart): sends what waits up to {@code limit}, then
   * closes every connection and ends every native thread. Until {@link #resume()} payloads may be
   * offered and wait in the queue; {@code send} waits, too, up to {@link Builder#sendBudget}. What
   * could not be sent in time stays in the queue and is part of the snapshot.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public FlushResult suspend(Duration limit) {
    return flush(limit, true);
  }

  private FlushResult flush(Duration limit, boolean suspend) {
    try {
      return new FlushResult(nativeFlush(handle, millis(limit), suspend));
    } finally {
      tell();
      stayReachable();
    }
  }

  /**
   * After a snapshot was restored: reads the container's id (if {@link Builder#detectContainer})
   * and the agent's {@code /info} again, and sends go on.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public void resume() {
    try {
      nativeResume(handle);
    } finally {
      tell();
      stayReachable();
    }
  }

  /** Gives the listener what the native side has for it. Without a listener that is one test. */
  private void tell() {
    if (listener != null) {
      try {
        if (nativeHasLines(handle)) {
          byte[] lines = nativeAsk(handle, LINES, 0);
          if (lines != null) {
            companions.logAll(lines);
          }
        }
      } catch (IllegalStateException closed) {
        // Whoever closes tells the rest.
        return;
      }
    }
  }

  private static byte[] copy(ByteBuffer buffer) {
    byte[] copy = new byte[buffer.remaining()];
    buffer.duplicate().get(copy);
    return copy;
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

  /** The account as it stands; after {@code close} the account at its end. */
  public Metrics metrics() {
    try {
      return new Metrics(nativeMetrics(handle), 0);
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

  /**
   * Keeps this object from being collected before a native has returned: the reaper would close the
   * exporter under it. Sends need it not, since they store their response here.
   */
  private void stayReachable() {
    if (last == NEVER) {
      throw new AssertionError();
    }
  }

  private static final int FETCH_INFO = 0;
  private static final int INFO = 1;
  private static final int AWAIT_AGENT = 2;
  private static final int EXPLAIN = 3;
  private static final int STATE = 4;
  private static final int LINES = 5;

  private byte[] ask(int question, Duration limit) {
    try {
      return nativeAsk(handle, question, millis(limit));
    } finally {
      tell();
      stayReachable();
    }
  }

  private static AgentInfo agentInfo(byte[] answer) {
    return answer == null ? null : new AgentInfo(answer);
  }

  /**
   * What the agent says of itself, as far as it is known; null if it is not (yet), or if the agent
   * has no {@code /info}. Asks nobody.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public AgentInfo agentInfo() {
    return agentInfo(ask(INFO, Duration.ZERO));
  }

  /**
   * Asks the agent what it offers, now.
   *
   * @throws TraceExporterException if the agent does not answer with it in time
   * @throws IllegalStateException if the exporter is closed
   */
  public AgentInfo fetchAgentInfo(Duration limit) {
    return agentInfo(ask(FETCH_INFO, limit));
  }

  /**
   * Waits until the agent is there and what it offers is known. No other call needs this.
   *
   * @return what it offers; null if an agent answered that has no {@code /info}
   * @throws TraceExporterException {@code TIMED_OUT} with the last reason
   * @throws IllegalStateException if the exporter is closed, also meanwhile
   */
  public AgentInfo awaitAgent(Duration limit) {
    return agentInfo(ask(AWAIT_AGENT, limit));
  }

  /**
   * READY, DEGRADED or DOWN, with the last success and the last error: for health endpoints.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public AgentState state() {
    return AgentState.read(new String(ask(STATE, Duration.ZERO), StandardCharsets.UTF_8));
  }

  /**
   * Everything that explains what the exporter does and why, as one JSON object without secrets:
   * each setting with where it comes from, the agent's {@code /info}, the format and why it was
   * chosen, the last error, memory, the account.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public String explain() {
    return new String(ask(EXPLAIN, Duration.ZERO), StandardCharsets.UTF_8);
  }

  /**
   * A payload as text: one JSON object a span and line.
   *
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place
   */
  public static String show(byte[] payload) {
    Library.need();
    return new String(nativeShow(payload), StandardCharsets.UTF_8);
  }

  /**
   * A payload in another format, as the tool's {@code convert} makes it. What an agent would refuse
   * is repaired or left out, and counted.
   *
   * @param options {@code to=v0.4}, {@code to=v0.5} or {@code to=v1}; {@code from=} the same or
   *     {@code from=auto}, the default; {@code top-level}, {@code drop-p0}; {@code filter=RULE}
   *     with {@code require:KEY[:VALUE]}, {@code reject:KEY[:VALUE]}, the same with {@code
   *     require~:} and {@code reject~:} for regexes, and {@code ignore:REGEX} for resources
   * @throws IllegalArgumentException for an option that is none
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place; {@code INVALID_CONFIGURATION} for a regex that cannot be read
   */
  public static Converted convert(byte[] payload, List<String> options) {
    Library.need();
    byte[] request = String.join("\0", options).getBytes(StandardCharsets.UTF_8);
    return new Converted(nativeConvert(request, payload));
  }

  /**
   * One text as obfuscation would let it leave, for tools.
   *
   * @param type {@code sql}, {@code redis}, {@code memcached}, {@code mongo}, {@code es}, {@code
   *     opensearch}, {@code http}, {@code card} or {@code ip}
   * @param dbms for SQL: the dialect; may be empty
   * @param mode for SQL: {@code obfuscate_only}, {@code obfuscate_and_normalize} or {@code
   *     normalize_only}; empty for the agent's default
   * @param preset {@code agent} or {@code all}; empty for {@code agent}
   * @throws IllegalArgumentException for a name that is none
   */
  public static byte[] obfuscate(
      String type, String dbms, String mode, String preset, byte[] text) {
    Library.need();
    String request = type + '\0' + dbms + '\0' + mode + '\0' + preset;
    return nativeObfuscate(request.getBytes(StandardCharsets.UTF_8), text);
  }

  /** Why a regex cannot be used; null if it can, or if there is no library that could say so. */
  static String checkRegex(String regex) {
    if (!isAvailable()) {
      return null;
    }
    byte[] why = nativeCheckRegex(regex.getBytes(StandardCharsets.UTF_8));
    return why.length == 0 ? null : new String(why, StandardCharsets.UTF_8);
  }

  /**
   * What client-side stats have counted, and the groups of the current buckets. All zero without
   * {@link Builder#computeStats}.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public Stats stats() {
    try {
      return new Stats(new String(nativeStats(handle), StandardCharsets.UTF_8));
    } finally {
      stayReachable();
    }
  }

  /**
   * Sends the stats of all buckets now, the current one included. Gives whether all of them arrived
   * within {@code limit}; what did not is kept for later, as far as that can be.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public boolean flushStats(Duration limit) {
    try {
      return nativeFlushStats(handle, millis(limit));
    } finally {
      stayReachable();
    }
  }

  /**
   * What client-side stats make of payloads (msgpack v0.4), without an agent.
   *
   * @param now whether spans that ended long ago are counted now, as an exporter does it; else
   *     every span is counted in the bucket in which it ended
   * @param obfuscate whether resources are obfuscated, as they are when an agent agrees to that
   *     ({@link Builder#obfuscateStats})
   * @throws TraceExporterException {@code MALFORMED_PAYLOAD} or {@code TRUNCATED_PAYLOAD} with the
   *     place
   */
  public static Stats stats(boolean now, boolean obfuscate, List<byte[]> payloads) {
    return new Stats(statsJson(now, obfuscate, payloads));
  }

  /** As {@link #stats(boolean, boolean, List)}, with resources as they are in the spans. */
  public static Stats stats(boolean now, List<byte[]> payloads) {
    return stats(now, false, payloads);
  }

  /** As {@link #stats(boolean, boolean, List)}, as JSON. */
  public static String statsJson(boolean now, boolean obfuscate, List<byte[]> payloads) {
    Library.need();
    return new String(nativeStatsOf(payloads.toArray(), now, obfuscate), StandardCharsets.UTF_8);
  }

  /** Closes with the limit of {@link Builder#closeTimeout}. May be called again, by any thread. */
  @Override
  public void close() {
    close(Duration.ofMillis(closeMillis));
  }

  /**
   * Takes no more payloads, waits up to {@code limit} for sends that run and for what is queued,
   * then interrupts and drops the rest, which futures hear of; what is left of the limit goes to
   * the stats of all buckets. Safe while other threads send; a later call returns the first one's
   * result.
   */
  public CloseResult close(Duration limit) {
    Object[] lines = new Object[1];
    CloseResult result;
    synchronized (closing) {
      if (closed == null) {
        long[] report = nativeClose(handle, millis(limit), lines);
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
   * A limit in ms, part of one counted as a whole: 0 if negative, {@link Builder#MAX_MILLIS} if
   * longer.
   */
  private static long millis(Duration limit) {
    if (limit.isNegative()) {
      return 0;
    }
    boolean longer = limit.getSeconds() >= Builder.MAX_MILLIS / 1000;
    return longer ? Builder.MAX_MILLIS : limit.plusNanos(999_999).toMillis();
  }

  /** The settings, without secrets. */
  @Override
  public String toString() {
    StringBuilder s = new StringBuilder("TraceExporter{");
    if (!settings.containsKey("url")) {
      s.append("url=").append(Builder.DEFAULT_URL).append(settings.isEmpty() ? "" : ", ");
    }
    Settings.describe(s, settings);
    return s.append('}').toString();
  }

  /** For tests. */
  long handle() {
    return handle;
  }

  private String url() {
    return settings.containsKey("url") ? (String) settings.get("url") : Builder.DEFAULT_URL;
  }

  // Called by the native side. Their signatures know java.lang only, so that relocated builds work.

  private static Object newResponse(
      long id,
      Object shared,
      int status,
      byte[] body,
      byte[] rates,
      String containerTagsHash,
      boolean ratesChanged,
      long traces,
      long spans,
      int attempts) {
    return new AgentResponse(
        id,
        (AgentResponse) shared,
        status,
        body,
        rates,
        containerTagsHash,
        ratesChanged,
        traces,
        spans,
        attempts);
  }

  private static Throwable newException(int code, int httpStatus, int attempts, String message) {
    return new TraceExporterException(ErrorCode.of(code), httpStatus, attempts, message);
  }

  private static native String nativeVersion();

  private static native long nativeCreate(byte[] settings);

  private static native Object nativeSend(
      long handle,
      byte[] payload,
      int offset,
      int length,
      long droppedTraces,
      long droppedSpans,
      Object last,
      long lastId);

  private static native Object nativeSendDirect(
      long handle,
      ByteBuffer payload,
      int position,
      int length,
      long droppedTraces,
      long droppedSpans,
      Object last,
      long lastId);

  private static native Object nativeSendPieces(
      long handle,
      Object[] pieces,
      int[] parts,
      long droppedTraces,
      long droppedSpans,
      Object last,
      long lastId);

  private static native int nativeOffer(
      long handle,
      byte[] payload,
      int offset,
      int length,
      long droppedTraces,
      long droppedSpans,
      long ticket);

  private static native int nativeOfferDirect(
      long handle,
      ByteBuffer payload,
      int position,
      int length,
      long droppedTraces,
      long droppedSpans,
      long ticket);

  static native long nativeAwaitCompletion(long millis);

  private static native Object nativeCompletion(long ticket, Object last, long lastId);

  private static native long[] nativeFlush(long handle, long millis, boolean suspend);

  private static native void nativeResume(long handle);

  private static native long[] nativeClose(long handle, long millis, Object[] lines);

  private static native long[] nativeMetrics(long handle);

  private static native byte[] nativeAsk(long handle, int question, long millis);

  private static native boolean nativeHasLines(long handle);

  private static native byte[] nativeShow(byte[] payload);

  private static native byte[] nativeConvert(byte[] request, byte[] payload);

  private static native byte[] nativeStats(long handle);

  private static native boolean nativeFlushStats(long handle, long millis);

  private static native byte[] nativeStatsOf(Object[] payloads, boolean now, boolean obfuscate);

  private static native byte[] nativeObfuscate(byte[] request, byte[] text);

  private static native byte[] nativeCheckRegex(byte[] regex);
}
