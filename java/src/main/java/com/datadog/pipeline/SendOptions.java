package com.datadog.pipeline;

/**
 * What a tracer says beside one payload. Immutable, so that one can be kept and given with every
 * payload.
 *
 * <pre>{@code
 * exporter.send(payload, 0, length, SendOptions.none().droppedP0(3, 40).clientComputedStats(true));
 * }</pre>
 */
public final class SendOptions {
  private static final SendOptions NONE = new SendOptions(0, 0, false);

  final long droppedP0Traces;
  final long droppedP0Spans;
  final boolean clientComputedStats;

  private SendOptions(long droppedP0Traces, long droppedP0Spans, boolean clientComputedStats) {
    this.droppedP0Traces = droppedP0Traces;
    this.droppedP0Spans = droppedP0Spans;
    this.clientComputedStats = clientComputedStats;
  }

  /** Nothing is said. */
  public static SendOptions none() {
    return NONE;
  }

  static SendOptions of(long droppedP0Traces, long droppedP0Spans, boolean clientComputedStats) {
    return new SendOptions(droppedP0Traces, droppedP0Spans, clientComputedStats);
  }

  /**
   * What the tracer has dropped itself.
   *
   * @param traces traces of priority 0 and below that it did not hand over
   * @param spans their spans
   * @throws IllegalArgumentException if one of them is negative
   */
  public SendOptions droppedP0(long traces, long spans) {
    return new SendOptions(
        Payload.count("droppedP0Traces", traces),
        Payload.count("droppedP0Spans", spans),
        clientComputedStats);
  }

  /**
   * Whether the tracer has computed stats of this payload's spans: then they are not counted here,
   * and the agent is told. {@link Builder#clientComputedStats} says it of every payload. The
   * attribute of OTLP and the intake that says the same follows the builder.
   */
  public SendOptions clientComputedStats(boolean value) {
    return new SendOptions(droppedP0Traces, droppedP0Spans, value);
  }

  @Override
  public String toString() {
    return "SendOptions{droppedP0="
        + droppedP0Traces
        + " traces, "
        + droppedP0Spans
        + " spans, clientComputedStats="
        + clientComputedStats
        + "}";
  }
}
