package com.datadog.pipeline;

import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * What stands behind an exporter and does its work: the native library, or what the builder says is
 * there without it. Arguments are checked already, but for offset and length. What a method throws
 * is what {@link TraceExporter}'s of the same name throws. Thread-safe.
 */
interface Session {
  /** Once, before anybody else knows the session. */
  void accompaniedBy(@Nullable JmxBean bean, @Nullable Thread hook);

  AgentResponse send(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed);

  AgentResponse sendDirect(ByteBuffer payload, long traces, long spans, boolean computed);

  /** Arrays and direct buffers, with offset and length of each, as {@link Payload} makes them. */
  AgentResponse sendPieces(Object[] pieces, int[] parts, long traces, long spans, boolean computed);

  boolean offer(byte[] payload, int offset, int length, long traces, long spans, boolean computed);

  boolean offerDirect(ByteBuffer payload, long traces, long spans, boolean computed);

  CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long traces, long spans, boolean computed);

  CompletableFuture<AgentResponse> sendAsyncDirect(
      ByteBuffer payload, long traces, long spans, boolean computed);

  FlushResult flush(Duration limit, boolean suspend);

  void resume();

  /** Puts these settings in force. */
  void reconfigure(Map<String, Object> settings);

  Metrics metrics();

  @Nullable AgentInfo agentInfo();

  AgentInfo fetchAgentInfo(Duration limit);

  @Nullable AgentInfo awaitAgent(Duration limit);

  AgentState state();

  String explain();

  Stats stats();

  boolean flushStats(Duration limit);

  CloseResult close(Duration limit);

  /** What became of an asynchronous send: an {@link AgentResponse} or a {@link Throwable}. */
  Object outcome(Completions.Pending future);

  /** Gives the listener what there is for it, on threads that nothing may end. */
  void tellQuietly();

  /** For tests: the native side's number of this exporter; 0 where there is none. */
  long handle();
}
