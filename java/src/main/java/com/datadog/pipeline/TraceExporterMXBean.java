package com.datadog.pipeline;

import java.util.Map;

/**
 * An exporter as JMX sees it, if {@link Builder#jmx} is on: under the name {@code
 * com.datadog.pipeline:type=TraceExporter,id=N}. Thread-safe.
 */
public interface TraceExporterMXBean {
  /** Where the agent is. */
  String getUrl();

  /** READY, DEGRADED or DOWN; CLOSED when the exporter is. */
  String getState();

  /** When the agent last accepted something, in ms since 1970; 0 if it never has. */
  long getLastSuccessMillis();

  /** What failed last; empty if nothing has. */
  String getLastError();

  /**
   * The account, one snapshot: {@code received.traces}, {@code received.spans}, {@code
   * received.bytes}, the same of {@code sent}, {@code filtered}, {@code sampled_out}, {@code
   * queued} and {@code dropped}, {@code dropped.reason.traces} of those that happened, and {@code
   * payloads}, {@code requests}, {@code repaired}, {@code possibly_duplicated}, {@code
   * possibly_arrived}, {@code native_bytes}; {@code spooled.traces} and so on, {@code
   * queue.payloads}, {@code queue.bytes}, {@code queue.oldest_millis}, {@code queue.refused},
   * {@code queue.evicted}, {@code queue.pace_millis}, {@code wire_bytes}.
   */
  Map<String, Long> getAccount();

  /** Traces received. */
  long getReceivedTraces();

  /** Traces that the agent accepted. */
  long getSentTraces();

  /** Traces dropped for any reason. */
  long getDroppedTraces();

  /** Everything that explains what the exporter does, as JSON. */
  String explain();
}
