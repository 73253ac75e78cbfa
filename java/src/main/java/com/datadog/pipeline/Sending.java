package com.datadog.pipeline;

import com.datadog.pipeline.internal.Jvm;
import java.nio.ByteBuffer;
import java.util.concurrent.CompletableFuture;

/**
 * The calls of {@link TraceExporter} that take a payload, in all their forms: what its parts are,
 * and what the tracer says beside it. Thread-safe.
 */
abstract class Sending {
  Sending() {}

  abstract Session session();

  /**
   * Sends one payload.
   *
   * @param payload msgpack v0.4; must not be changed before the call returns
   * @return what the agent answered; the same object as last time while nothing differs
   * @throws TraceExporterException if the payload cannot be read or delivered; its traces are
   *     dropped and counted; {@code CLOSED} if {@code close} has cut the send off
   * @throws IllegalArgumentException if the payload is null
   * @throws IllegalStateException if the exporter was closed before
   */
  public AgentResponse send(byte[] payload) {
    return send(payload, 0, Payload.notNull("payload", payload).length, 0, 0);
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
    Payload.notNull("payload", payload);
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    long spans = Payload.count("droppedP0Spans", droppedP0Spans);
    return session().send(payload, offset, length, traces, spans, false);
  }

  /** As {@link #send(byte[], int, int)}, with what the tracer says beside the payload. */
  public AgentResponse send(byte[] payload, int offset, int length, SendOptions options) {
    Payload.notNull("payload", payload);
    return session()
        .send(
            payload, offset, length, traces(options), spans(options), options.clientComputedStats);
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
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    return send(payload, traces, Payload.count("droppedP0Spans", droppedP0Spans), false);
  }

  /** As {@link #send(ByteBuffer)}, with what the tracer says beside the payload. */
  public AgentResponse send(ByteBuffer payload, SendOptions options) {
    return send(payload, traces(options), spans(options), options.clientComputedStats);
  }

  private AgentResponse send(ByteBuffer payload, long traces, long spans, boolean computed) {
    if (Payload.notNull("payload", payload).isDirect()) {
      return session().sendDirect(payload, traces, spans, computed);
    }
    byte[] array = Payload.array(payload);
    int offset = Payload.offset(payload);
    return session().send(array, offset, payload.remaining(), traces, spans, computed);
  }

  /** Sends one payload that lies in pieces, for instance a header and a body. */
  public AgentResponse send(ByteBuffer[] payload) {
    return send(payload, 0, 0);
  }

  /** As {@link #send(ByteBuffer[])}, with what the tracer has dropped itself. */
  public AgentResponse send(ByteBuffer[] payload, long droppedP0Traces, long droppedP0Spans) {
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    return send(payload, traces, Payload.count("droppedP0Spans", droppedP0Spans), false);
  }

  /** As {@link #send(ByteBuffer[])}, with what the tracer says beside the payload. */
  public AgentResponse send(ByteBuffer[] payload, SendOptions options) {
    return send(payload, traces(options), spans(options), options.clientComputedStats);
  }

  private AgentResponse send(ByteBuffer[] payload, long traces, long spans, boolean computed) {
    if (Jvm.onVirtualThread()) {
      byte[] whole = Payload.whole(payload);
      return session().send(whole, 0, whole.length, traces, spans, computed);
    }
    Object[] pieces = Payload.pieces(payload);
    return session().sendPieces(pieces, Payload.parts(payload), traces, spans, computed);
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
    return offer(payload, 0, Payload.notNull("payload", payload).length, 0, 0);
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
    Payload.notNull("payload", payload);
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    long spans = Payload.count("droppedP0Spans", droppedP0Spans);
    return session().offer(payload, offset, length, traces, spans, false);
  }

  /** As {@link #offer(byte[], int, int)}, with what the tracer says beside the payload. */
  public boolean offer(byte[] payload, int offset, int length, SendOptions options) {
    Payload.notNull("payload", payload);
    return session()
        .offer(
            payload, offset, length, traces(options), spans(options), options.clientComputedStats);
  }

  /** As {@link #offer(byte[])}, what lies between position and limit of a buffer. */
  public boolean offer(ByteBuffer payload) {
    return offer(payload, 0, 0);
  }

  /** As {@link #offer(ByteBuffer)}, with what the tracer has dropped itself. */
  public boolean offer(ByteBuffer payload, long droppedP0Traces, long droppedP0Spans) {
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    return offer(payload, traces, Payload.count("droppedP0Spans", droppedP0Spans), false);
  }

  /** As {@link #offer(ByteBuffer)}, with what the tracer says beside the payload. */
  public boolean offer(ByteBuffer payload, SendOptions options) {
    return offer(payload, traces(options), spans(options), options.clientComputedStats);
  }

  private boolean offer(ByteBuffer payload, long traces, long spans, boolean computed) {
    if (Payload.notNull("payload", payload).isDirect()) {
      return session().offerDirect(payload, traces, spans, computed);
    }
    byte[] array = Payload.array(payload);
    int offset = Payload.offset(payload);
    return session().offer(array, offset, payload.remaining(), traces, spans, computed);
  }

  /** As {@link #offer(byte[])}, one payload that lies in pieces. */
  public boolean offer(ByteBuffer[] payload) {
    return offer(payload, 0, 0);
  }

  /** As {@link #offer(ByteBuffer[])}, with what the tracer has dropped itself. */
  public boolean offer(ByteBuffer[] payload, long droppedP0Traces, long droppedP0Spans) {
    byte[] whole = Payload.whole(payload);
    return offer(whole, 0, whole.length, droppedP0Traces, droppedP0Spans);
  }

  /** As {@link #offer(ByteBuffer[])}, with what the tracer says beside the payload. */
  public boolean offer(ByteBuffer[] payload, SendOptions options) {
    byte[] whole = Payload.whole(payload);
    return offer(whole, 0, whole.length, options);
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
    return sendAsync(payload, 0, Payload.notNull("payload", payload).length, 0, 0);
  }

  /** As {@link #sendAsync(byte[])}, a part of an array. */
  public CompletableFuture<AgentResponse> sendAsync(byte[] payload, int offset, int length) {
    return sendAsync(payload, offset, length, 0, 0);
  }

  /** As {@link #sendAsync(byte[], int, int)}, with what the tracer has dropped itself. */
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, long droppedP0Traces, long droppedP0Spans) {
    Payload.notNull("payload", payload);
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    long spans = Payload.count("droppedP0Spans", droppedP0Spans);
    return session().sendAsync(payload, offset, length, traces, spans, false);
  }

  /** As {@link #sendAsync(byte[], int, int)}, with what the tracer says beside the payload. */
  public CompletableFuture<AgentResponse> sendAsync(
      byte[] payload, int offset, int length, SendOptions options) {
    Payload.notNull("payload", payload);
    return session()
        .sendAsync(
            payload, offset, length, traces(options), spans(options), options.clientComputedStats);
  }

  /** As {@link #sendAsync(byte[])}, what lies between position and limit of a buffer. */
  public CompletableFuture<AgentResponse> sendAsync(ByteBuffer payload) {
    return sendAsync(payload, 0, 0);
  }

  /** As {@link #sendAsync(ByteBuffer)}, with what the tracer has dropped itself. */
  public CompletableFuture<AgentResponse> sendAsync(
      ByteBuffer payload, long droppedP0Traces, long droppedP0Spans) {
    long traces = Payload.count("droppedP0Traces", droppedP0Traces);
    return sendAsync(payload, traces, Payload.count("droppedP0Spans", droppedP0Spans), false);
  }

  /** As {@link #sendAsync(ByteBuffer)}, with what the tracer says beside the payload. */
  public CompletableFuture<AgentResponse> sendAsync(ByteBuffer payload, SendOptions options) {
    return sendAsync(payload, traces(options), spans(options), options.clientComputedStats);
  }

  private CompletableFuture<AgentResponse> sendAsync(
      ByteBuffer payload, long traces, long spans, boolean computed) {
    if (Payload.notNull("payload", payload).isDirect()) {
      return session().sendAsyncDirect(payload, traces, spans, computed);
    }
    byte[] array = Payload.array(payload);
    int offset = Payload.offset(payload);
    return session().sendAsync(array, offset, payload.remaining(), traces, spans, computed);
  }

  /** As {@link #sendAsync(byte[])}, one payload that lies in pieces. */
  public CompletableFuture<AgentResponse> sendAsync(ByteBuffer[] payload) {
    return sendAsync(payload, 0, 0);
  }

  /** As {@link #sendAsync(ByteBuffer[])}, with what the tracer has dropped itself. */
  public CompletableFuture<AgentResponse> sendAsync(
      ByteBuffer[] payload, long droppedP0Traces, long droppedP0Spans) {
    byte[] whole = Payload.whole(payload);
    return sendAsync(whole, 0, whole.length, droppedP0Traces, droppedP0Spans);
  }

  /** As {@link #sendAsync(ByteBuffer[])}, with what the tracer says beside the payload. */
  public CompletableFuture<AgentResponse> sendAsync(ByteBuffer[] payload, SendOptions options) {
    byte[] whole = Payload.whole(payload);
    return sendAsync(whole, 0, whole.length, options);
  }

  private static long traces(SendOptions options) {
    return Payload.notNull("options", options).droppedP0Traces;
  }

  private static long spans(SendOptions options) {
    return options.droppedP0Spans;
  }
}
