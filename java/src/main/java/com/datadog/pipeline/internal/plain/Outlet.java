package com.datadog.pipeline.internal.plain;

/**
 * Through which every body goes out: counted, paced ({@code maxBytesPerSecond}), or kept back
 * because it is only tried ({@code dryRun}); by the rules of {@code src/transport/outlet.rs}. The
 * pace is a bucket of tokens that holds a second's worth, told as the time at which it is not in
 * debt any more. Thread-safe.
 */
public final class Outlet {
  private static final long BURST_NANOS = 1_000_000_000L;

  /** What does not wait puts the others no further back than this. */
  private static final long LONGEST_DEBT_NANOS = 10_000_000_000L;

  private static final long DAY_NANOS = 86_400_000_000_000L;

  private final long rate;
  private final boolean dry;
  private long paid = System.nanoTime() - BURST_NANOS;
  private long bytes;
  private long dryBodies;
  private long dryBytes;

  /** {@code rate} in bytes a second, 0 for as fast as it goes; {@code dry}: nothing is sent. */
  public Outlet(long rate, boolean dry) {
    this.rate = rate;
    this.dry = dry;
  }

  /** Whether nothing is sent. */
  public boolean isDry() {
    return dry;
  }

  /** A body goes out, or would; {@code waits}: it has waited for its turn. */
  public synchronized void passes(long size, boolean waits) {
    if (dry) {
      dryBodies++;
      dryBytes += size;
    } else {
      bytes += size;
    }
    if (rate > 0) {
      long now = System.nanoTime();
      long before = Math.max(paid - now, -BURST_NANOS);
      long after = before + (long) Math.min(size * 1e9 / rate, DAY_NANOS);
      // Whatever was owed before stays.
      long most = waits ? after : Math.max(before, LONGEST_DEBT_NANOS);
      paid = now + Math.min(after, most);
    }
  }

  /** How long what waits has still to wait, in ns; 0 for not at all. */
  public synchronized long waitNanos() {
    return rate > 0 ? Math.max(0, paid - System.nanoTime()) : 0;
  }

  /** Bytes a second, or null. */
  public Long rate() {
    return rate > 0 ? rate : null;
  }

  /** Bytes of bodies that went out, each as often as it went. */
  public synchronized long bytes() {
    return bytes;
  }

  /** How many bodies would have gone out. */
  public synchronized long dryBodies() {
    return dryBodies;
  }

  /** How many bytes they have. */
  public synchronized long dryBytes() {
    return dryBytes;
  }
}
