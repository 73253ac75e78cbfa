package com.datadog.pipeline;

import com.datadog.pipeline.internal.Words;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The account of an exporter at one instant: {@code received = sent + dropped + filtered +
 * sampledOut + queued}, in traces and bytes of the input for everything, in spans for what was
 * read. Payloads that were dropped before anybody had read them are {@linkplain #unreadPayloads
 * counted beside it}. Immutable and thread-safe.
 */
public final class Metrics {
  /** Traces, spans and bytes. Immutable and thread-safe. */
  public static final class Counts {
    private final long traces;
    private final long spans;
    private final long bytes;

    Counts(long traces, long spans, long bytes) {
      this.traces = traces;
      this.spans = spans;
      this.bytes = bytes;
    }

    /** Traces (chunks of a payload). */
    public long traces() {
      return traces;
    }

    /** Spans. */
    public long spans() {
      return spans;
    }

    /** Bytes of the input. */
    public long bytes() {
      return bytes;
    }

    Counts plus(Counts other) {
      return new Counts(traces + other.traces, spans + other.spans, bytes + other.bytes);
    }

    @Override
    public boolean equals(@Nullable Object o) {
      return o instanceof Counts
          && ((Counts) o).traces == traces
          && ((Counts) o).spans == spans
          && ((Counts) o).bytes == bytes;
    }

    @Override
    public int hashCode() {
      return Long.hashCode(traces) * 31 * 31 + Long.hashCode(spans) * 31 + Long.hashCode(bytes);
    }

    @Override
    public String toString() {
      return Words.count(traces, "trace")
          + ", "
          + Words.count(spans, "span")
          + ", "
          + Words.count(bytes, "byte");
    }
  }

  private final long[] numbers;
  private final Map<DropReason, Counts> dropped;

  private final Map<String, Long> normalized;

  /** The numbers stand as {@link Numbers} says. */
  Metrics(long[] numbers, int from) {
    this.numbers = Arrays.copyOfRange(numbers, from, from + Numbers.ACCOUNT_DROPPED);
    Map<DropReason, Counts> reasons = new EnumMap<>(DropReason.class);
    int at = from + Numbers.ACCOUNT_DROPPED;
    for (DropReason reason : DropReason.values()) {
      reasons.put(reason, new Counts(numbers[at], numbers[at + 1], numbers[at + 2]));
      at += 3;
    }
    this.dropped = Collections.unmodifiableMap(reasons);
    Map<String, Long> changes = new LinkedHashMap<>();
    for (String change : Numbers.CHANGES) {
      changes.put(change, numbers[at++]);
    }
    this.normalized = Collections.unmodifiableMap(changes);
  }

  private Counts counts(int at) {
    return new Counts(numbers[at], numbers[at + 1], numbers[at + 2]);
  }

  /** Payloads that entered. */
  public long payloads() {
    return numbers[Numbers.ACCOUNT_PAYLOADS];
  }

  /** All that entered. */
  public Counts received() {
    return counts(Numbers.ACCOUNT_RECEIVED);
  }

  /** What the agent accepted. */
  public Counts sent() {
    return counts(Numbers.ACCOUNT_SENT);
  }

  /** What trace filters rejected. */
  public Counts filtered() {
    return counts(Numbers.ACCOUNT_FILTERED);
  }

  /** What sampling dropped. */
  public Counts sampledOut() {
    return counts(Numbers.ACCOUNT_SAMPLED_OUT);
  }

  /** What is on its way. */
  public Counts queued() {
    return counts(Numbers.ACCOUNT_QUEUED);
  }

  /** What was dropped, by reason; every reason is a key. Unmodifiable. */
  public Map<DropReason, Counts> dropped() {
    return dropped;
  }

  /** What was dropped for any reason. */
  public Counts droppedTotal() {
    Counts sum = new Counts(0, 0, 0);
    for (Counts c : dropped.values()) {
      sum = sum.plus(c);
    }
    return sum;
  }

  /** Sends after whose body the connection failed, so that the agent may have the payload twice. */
  public long possiblyDuplicated() {
    return numbers[Numbers.ACCOUNT_POSSIBLY_DUPLICATED];
  }

  /** Values of payloads that were repaired. */
  public long repaired() {
    return numbers[Numbers.ACCOUNT_REPAIRED];
  }

  /** Requests made for traces. */
  public long requests() {
    return numbers[Numbers.ACCOUNT_REQUESTS];
  }

  /** Bytes of request bodies that the agent accepted. */
  public long bodyBytes() {
    return numbers[Numbers.ACCOUNT_BODY_BYTES];
  }

  /**
   * Bytes of request bodies that went out, stats included, as they were on the way: compressed, and
   * each as often as it was sent.
   */
  public long wireBytes() {
    return numbers[Numbers.ACCOUNT_WIRE_BYTES];
  }

  /** Spans that the output format could not carry whole. */
  public long lostInConversion() {
    return numbers[Numbers.ACCOUNT_LOST_IN_CONVERSION];
  }

  /**
   * Changes that normalization has made, by the agent's names of the reasons ({@code
   * service_empty}, {@code span_name_truncate}, ...); every reason is a key. Unmodifiable.
   */
  public Map<String, Long> normalized() {
    return normalized;
  }

  /** Native memory that the exporter holds for payloads, in bytes. */
  public long nativeBytes() {
    return numbers[Numbers.ACCOUNT_NATIVE_BYTES];
  }

  /**
   * Dropped sends whose request was written whole and never answered, so that the agent may have it
   * all the same.
   */
  public long possiblyArrived() {
    return numbers[Numbers.ACCOUNT_POSSIBLY_ARRIVED];
  }

  /**
   * Payloads that were dropped before anybody had read them, whatever the reason: refused or
   * evicted by a full queue, left over at close, malformed as a whole. How many spans they had is
   * not known, so no figure has them. An alert on losses looks at this number as well as at {@link
   * #droppedTotal()}.
   */
  public long unreadPayloads() {
    return numbers[Numbers.ACCOUNT_UNREAD_PAYLOADS];
  }

  /** Traces that those payloads declared; a part of {@link #droppedTotal()}. */
  public long unreadTraces() {
    return numbers[Numbers.ACCOUNT_UNREAD_TRACES];
  }

  /** Their bytes; a part of {@link #droppedTotal()}. */
  public long unreadBytes() {
    return numbers[Numbers.ACCOUNT_UNREAD_BYTES];
  }

  /** What of {@link #queued()} lies on disk. */
  public Counts spooled() {
    return counts(Numbers.ACCOUNT_SPOOLED);
  }

  /** Payloads in the queue, those on their way included. */
  public long queuePayloads() {
    return numbers[Numbers.ACCOUNT_QUEUE_PAYLOADS];
  }

  /** Their bytes. */
  public long queueBytes() {
    return numbers[Numbers.ACCOUNT_QUEUE_BYTES];
  }

  /** Age of the oldest payload that waits in the queue, in ms. */
  public long queueOldestMillis() {
    return numbers[Numbers.ACCOUNT_QUEUE_OLDEST_MILLIS];
  }

  /** Payloads that the queue has refused. */
  public long queueRefused() {
    return numbers[Numbers.ACCOUNT_QUEUE_REFUSED];
  }

  /** Payloads that the queue gave up to make room, whole or in part. */
  public long queueEvicted() {
    return numbers[Numbers.ACCOUNT_QUEUE_EVICTED];
  }

  /** How long the queue must wait for its pace ({@link Builder#maxBytesPerSecond}), in ms. */
  public long queuePaceMillis() {
    return numbers[Numbers.ACCOUNT_QUEUE_PACE_MILLIS];
  }

  /** Native threads that deliver what is queued, at this moment. */
  public long senders() {
    return numbers[Numbers.ACCOUNT_SENDERS];
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof Metrics
        && Arrays.equals(((Metrics) o).numbers, numbers)
        && ((Metrics) o).dropped.equals(dropped)
        && ((Metrics) o).normalized.equals(normalized);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(numbers) * 31 + dropped.hashCode();
  }

  @Override
  public String toString() {
    StringBuilder s = new StringBuilder("received ").append(received());
    s.append("; sent ").append(sent());
    s.append("; filtered ").append(filtered().traces());
    s.append("; sampled out ").append(sampledOut().traces());
    s.append("; queued ").append(queued().traces());
    s.append("; dropped ").append(droppedTotal().traces());
    String separator = " (";
    for (Map.Entry<DropReason, Counts> e : dropped.entrySet()) {
      if (e.getValue().traces() > 0 || e.getValue().bytes() > 0) {
        s.append(separator).append(e.getKey()).append(' ').append(e.getValue().traces());
        separator = ", ";
      }
    }
    if (separator.equals(", ")) {
      s.append(')');
    }
    if (unreadPayloads() > 0) {
      s.append("; unread ").append(unreadPayloads()).append(" payloads, ");
      s.append(unreadTraces()).append(" traces, ").append(unreadBytes()).append(" bytes");
    }
    return s.toString();
  }
}
