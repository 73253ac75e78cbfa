package com.datadog.pipeline;

import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.NativeLibrary;
import com.datadog.pipeline.internal.Settings;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

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
 * <p>{@code send} works on the caller's thread and returns when the agent has answered; on a
 * virtual thread it does not hold the carrier. An interrupt of the calling thread is kept for it
 * and does not cut the send short. {@code offer} and {@code sendAsync} put the payload into a
 * bounded queue and return at once.
 */
public final class TraceExporter extends Sending implements AutoCloseable {
  /** The version of this JAR; the native library must have the same. */
  static final String VERSION = "0.1.0";

  private volatile Map<String, Object> settings;
  private volatile String description;
  private final long closeMillis;
  private final Session session;

  TraceExporter(
      Map<String, Object> settings,
      BuilderBase builder,
      @Nullable LogListener listener,
      @Nullable Executor executor,
      boolean jmx,
      boolean shutdownHook) {
    this.settings = settings;
    this.description = builder.described();
    Object limit = settings.get("closeTimeout");
    this.closeMillis = limit == null ? Builder.DEFAULT_CLOSE_TIMEOUT_MILLIS : (Long) limit;
    this.session = session(builder, listener, executor);
    JmxBean bean = null;
    if (jmx) {
      try {
        bean = JmxBean.register(this, url());
      } catch (TraceExporterException e) {
        close(Duration.ZERO);
        throw e;
      } catch (LinkageError e) {
        // The class of the bean cannot even be linked in a runtime without java.management.
        close(Duration.ZERO);
        throw new TraceExporterException(
            ErrorCode.INVALID_CONFIGURATION, "jmx: this runtime has no beans: " + e, e);
      }
    }
    session.accompaniedBy(bean, shutdownHook ? ShutdownHook.register(this) : null);
  }

  private Session session(BuilderBase builder, LogListener listener, Executor executor) {
    TraceExporterException missing =
        builder.missing != null ? builder.missing : Library.UNAVAILABLE;
    WithoutLibrary mode = builder.withoutLibrary();
    if (missing == null || mode == WithoutLibrary.FAIL) {
      return new NativeSession(this, settings, listener, executor, builder.stream);
    }
    Map<String, Object> shown = builder.explained();
    return mode == WithoutLibrary.NOOP
        ? new NoopSession(shown, missing, listener)
        : new PlainSession(settings, shown, missing, listener, executor);
  }

  @Override
  Session session() {
    return session;
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
    Payload.notNull("jar", jar);
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
  public static @Nullable Throwable unavailabilityCause() {
    return Library.UNAVAILABLE;
  }

  /** The version of JAR and library. */
  public static String version() {
    return VERSION;
  }

  /**
   * How the native library was loaded: {@code version}, {@code platform}, {@code source}, {@code
   * sha256}, {@code load_micros}, {@code tries}, with {@code "; "} between them. Unmodifiable.
   */
  public static Map<String, String> libraryInfo() {
    return Library.info();
  }

  /**
   * Sends what waits in the queue now, without waiting for batches to fill, and then the stats of
   * all buckets. Waits up to {@code limit}.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public FlushResult flush(Duration limit) {
    return session.flush(limit, false);
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
    return session.flush(limit, true);
  }

  /**
   * After a snapshot was restored: reads the container's id (if {@link Builder#detectContainer})
   * and the agent's {@code /info} again, and sends go on.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public void resume() {
    session.resume();
  }

  /**
   * Changes settings while the exporter lives, all but those that lay out queue, spool and stats.
   * These and the account live on; sends that have begun end as they began. A header that is set
   * again takes the place of the one before.
   *
   * @throws TraceExporterException as {@link Builder#build()}, naming a setting that cannot change
   * @throws IllegalArgumentException if a setter refuses a value
   * @throws IllegalStateException if the exporter is closed
   */
  public synchronized void reconfigure(Consumer<Builder> change) {
    Payload.notNull("change", change);
    Builder builder = new Builder();
    builder.startFrom(settings);
    change.accept(builder);
    Map<String, Object> values = builder.changed(settings);
    session.reconfigure(values);
    settings = values;
    description = builder.described();
  }

  /** The account as it stands; after {@code close} the account at its end. */
  public Metrics metrics() {
    return session.metrics();
  }

  /**
   * What the agent says of itself, as far as it is known; null if it is not (yet). Of an agent
   * without {@code /info} the endpoint that was found ({@link AgentInfo#isProbed}). Asks nobody.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public @Nullable AgentInfo agentInfo() {
    return session.agentInfo();
  }

  /**
   * Asks the agent what it offers, now.
   *
   * @throws TraceExporterException if the agent does not answer with it in time
   * @throws IllegalStateException if the exporter is closed
   */
  public AgentInfo fetchAgentInfo(Duration limit) {
    return session.fetchAgentInfo(limit);
  }

  /**
   * Waits until the agent is there and what it offers is known. No other call needs this.
   *
   * @return what it offers; null if an agent answered that has no {@code /info}: {@link #agentInfo}
   *     has what was found in its place
   * @throws TraceExporterException {@code TIMED_OUT} with the last reason; {@code CLOSED} if the
   *     exporter is closed meanwhile
   * @throws IllegalStateException if the exporter is closed
   */
  public @Nullable AgentInfo awaitAgent(Duration limit) {
    return session.awaitAgent(limit);
  }

  /**
   * READY, DEGRADED or DOWN, with the last success and the last error: for health endpoints. After
   * {@code close} the last state.
   */
  public AgentState state() {
    return session.state();
  }

  /**
   * Everything that explains what the exporter does and why, as one JSON object without secrets:
   * each setting with where it comes from, the agent's {@code /info}, the format and why it was
   * chosen, the last error, memory, the account. After {@code close} as it was at the end.
   */
  public String explain() {
    return session.explain();
  }

  /**
   * What client-side stats have counted, and the groups of the current buckets. All zero without
   * {@link Builder#computeStats}. After {@code close} as they were at the end.
   */
  public Stats stats() {
    return session.stats();
  }

  /**
   * Sends the stats of all buckets now, the current one included. Gives whether all of them arrived
   * within {@code limit}; what did not is kept for later, as far as that can be.
   *
   * @throws IllegalStateException if the exporter is closed
   */
  public boolean flushStats(Duration limit) {
    return session.flushStats(limit);
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
    return session.close(limit);
  }

  /** The settings, without secrets. */
  @Override
  public String toString() {
    StringBuilder s = new StringBuilder("TraceExporter{");
    if (!settings.containsKey("url")) {
      s.append("url=").append(Builder.DEFAULT_URL).append(description.isEmpty() ? "" : ", ");
    }
    return s.append(description).append('}').toString();
  }

  /** Why a setting cannot be used; null if it can, or if there is no library that could say so. */
  static String settingFault(String setting, Object value) {
    if (!isAvailable()) {
      return null;
    }
    byte[] one = Settings.encode(Collections.singletonMap(setting, value));
    String why = new String(nativeCheckSetting(one), StandardCharsets.UTF_8);
    return why.isEmpty() ? null : why;
  }

  /** For tests. */
  long handle() {
    return session.handle();
  }

  private String url() {
    return AgentUrl.shown((String) settings.getOrDefault("url", Builder.DEFAULT_URL));
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
      int attempts,
      long[] leftOut) {
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
        attempts,
        leftOut);
  }

  private static Throwable newException(int code, int httpStatus, int attempts, String message) {
    return new TraceExporterException(ErrorCode.of(code), httpStatus, attempts, message);
  }

  static native String nativeVersion();

  static native long nativeCreate(byte[] settings);

  static native Object nativeSend(
      long handle,
      byte[] payload,
      int offset,
      int length,
      long droppedTraces,
      long droppedSpans,
      boolean computedStats,
      Object last,
      long lastId);

  static native Object nativeSendDirect(
      long handle,
      ByteBuffer payload,
      int position,
      int length,
      long droppedTraces,
      long droppedSpans,
      boolean computedStats,
      Object last,
      long lastId);

  static native Object nativeSendPieces(
      long handle,
      Object[] pieces,
      int[] parts,
      long droppedTraces,
      long droppedSpans,
      boolean computedStats,
      Object last,
      long lastId);

  static native int nativeOffer(
      long handle,
      byte[] payload,
      int offset,
      int length,
      long droppedTraces,
      long droppedSpans,
      boolean computedStats,
      long ticket);

  static native int nativeOfferDirect(
      long handle,
      ByteBuffer payload,
      int position,
      int length,
      long droppedTraces,
      long droppedSpans,
      boolean computedStats,
      long ticket);

  static native long nativeAwaitCompletion(long millis);

  static native Object nativeCompletion(long ticket, Object last, long lastId);

  static native long[] nativeFlush(long handle, long millis, boolean suspend);

  static native void nativeResume(long handle);

  static native long[] nativeClose(long handle, long millis, Object[] lines);

  static native long[] nativeMetrics(long handle);

  static native byte[] nativeAsk(long handle, int question, long millis);

  static native boolean nativeHasLines(long handle);

  static native byte[] nativeShow(byte[] payload);

  static native byte[] nativeConvert(byte[] request, byte[] payload);

  static native byte[] nativeStats(long handle);

  static native boolean nativeFlushStats(long handle, long millis);

  static native byte[] nativeStatsOf(Object[] payloads, boolean now, boolean obfuscate);

  static native byte[] nativeObfuscate(byte[] request, byte[] text);

  static native byte[] nativeCheckSetting(byte[] settings);

  static native void nativeReconfigure(long handle, byte[] settings);

  static native long nativeTrust(byte[] authorities, long micros);
}
