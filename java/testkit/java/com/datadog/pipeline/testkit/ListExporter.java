package com.datadog.pipeline.testkit;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Keeps payloads instead of sending them, for tests that need no socket: hand {@code
 * exporter::accept} to what would call {@code TraceExporter.send}. Thread-safe.
 */
public final class ListExporter implements Consumer<byte[]> {
  private final List<byte[]> payloads = new ArrayList<>();
  private RuntimeException failure;

  /** An exporter that has nothing yet. */
  public ListExporter() {}

  /** Keeps a payload of any format; throws what {@link #failWith} said. */
  @Override
  public synchronized void accept(byte[] payload) {
    if (failure != null) {
      throw failure;
    }
    payloads.add(payload.clone());
  }

  /** Throws this instead of keeping a payload; null for no fault any more. */
  public synchronized void failWith(RuntimeException failure) {
    this.failure = failure;
  }

  /** The payloads so far. */
  public synchronized List<byte[]> payloads() {
    return new ArrayList<>(payloads);
  }

  /**
   * The traces so far.
   *
   * @throws IllegalArgumentException if a payload cannot be read; the message says where
   */
  public List<Trace> traces() {
    List<Trace> traces = new ArrayList<>();
    for (byte[] payload : payloads()) {
      traces.addAll(Decoder.any(payload));
    }
    return traces;
  }

  /** The spans so far. */
  public List<Span> spans() {
    List<Span> spans = new ArrayList<>();
    for (Trace trace : traces()) {
      spans.addAll(trace.spans());
    }
    return spans;
  }

  /** Says what is expected of the traces. */
  public TracesAssert assertTraces() {
    return new TracesAssert(this::traces);
  }

  /** Forgets the payloads so far. */
  public synchronized void clear() {
    payloads.clear();
  }
}
