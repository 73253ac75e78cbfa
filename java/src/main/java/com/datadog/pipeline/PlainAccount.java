package com.datadog.pipeline;

/**
 * The account of an exporter without the native library: {@code received = sent + dropped +
 * queued}, true at every snapshot. Thread-safe.
 */
final class PlainAccount {
  private static final int SIZE =
      Numbers.ACCOUNT_DROPPED + 3 * DropReason.values().length + Numbers.CHANGES.length;

  private final long[] numbers = new long[SIZE];

  private void add(int at, long sign, Metrics.Counts counts) {
    numbers[at] += sign * counts.traces();
    numbers[at + 1] += sign * counts.spans();
    numbers[at + 2] += sign * counts.bytes();
  }

  private static int place(DropReason reason) {
    return Numbers.ACCOUNT_DROPPED + 3 * reason.ordinal();
  }

  /** A payload is there; it counts as queued until it has left. */
  synchronized void enter(Metrics.Counts counts) {
    numbers[Numbers.ACCOUNT_PAYLOADS]++;
    add(Numbers.ACCOUNT_RECEIVED, 1, counts);
    add(Numbers.ACCOUNT_QUEUED, 1, counts);
  }

  /** A payload comes and goes, unread. */
  synchronized void refuse(Metrics.Counts counts, DropReason reason) {
    numbers[Numbers.ACCOUNT_PAYLOADS]++;
    add(Numbers.ACCOUNT_RECEIVED, 1, counts);
    add(place(reason), 1, counts);
    numbers[Numbers.ACCOUNT_UNREAD_PAYLOADS]++;
    numbers[Numbers.ACCOUNT_UNREAD_TRACES] += counts.traces();
    numbers[Numbers.ACCOUNT_UNREAD_BYTES] += counts.bytes();
  }

  /** The agent has taken a request that carried this. */
  synchronized void sent(Metrics.Counts counts, int requests, int body, boolean twice) {
    add(Numbers.ACCOUNT_QUEUED, -1, counts);
    add(Numbers.ACCOUNT_SENT, 1, counts);
    numbers[Numbers.ACCOUNT_REQUESTS] += requests;
    numbers[Numbers.ACCOUNT_BODY_BYTES] += body;
    numbers[Numbers.ACCOUNT_POSSIBLY_DUPLICATED] += twice ? 1 : 0;
  }

  synchronized void dropped(Metrics.Counts counts, DropReason reason, boolean arrived) {
    add(Numbers.ACCOUNT_QUEUED, -1, counts);
    add(place(reason), 1, counts);
    numbers[Numbers.ACCOUNT_POSSIBLY_ARRIVED] += arrived ? 1 : 0;
  }

  /** Requests that came to nothing. */
  synchronized void asked(int requests) {
    numbers[Numbers.ACCOUNT_REQUESTS] += requests;
  }

  /** The account as {@link Numbers} says, without what only the queue knows. */
  synchronized long[] snapshot() {
    return numbers.clone();
  }

  /** What has changed from one snapshot to another, as {@link FlushResult} reads it. */
  static FlushResult between(long[] before, long[] after, boolean complete) {
    int reasons = 3 * DropReason.values().length;
    long[] flush = new long[Numbers.FLUSH_DROPPED + reasons];
    flush[Numbers.FLUSH_COMPLETE] = complete ? 1 : 0;
    for (int i = 0; i < 3; i++) {
      int sent = Numbers.ACCOUNT_SENT + i;
      flush[Numbers.FLUSH_SENT + i] = after[sent] - before[sent];
      flush[Numbers.FLUSH_PENDING + i] = after[Numbers.ACCOUNT_QUEUED + i];
    }
    for (int i = 0; i < reasons; i++) {
      int at = Numbers.ACCOUNT_DROPPED + i;
      flush[Numbers.FLUSH_DROPPED + i] = after[at] - before[at];
    }
    return new FlushResult(flush);
  }
}
