package com.datadog.pipeline;

/**
 * Completes futures whose exporter has no executor of its own, on daemon threads. One is enough as
 * long as no continuation blocks. While something waits and nothing moves, {@link #relieve} starts
 * another, so that a continuation which waits for another future, or sleeps, delays nobody. Makes
 * no objects but threads: it must work while the heap is full. Thread-safe.
 */
final class Continuations implements Runnable {
  /** As many continuations may block at once before the next one waits for them. */
  static final int MAX_THREADS = 256;

  private static final long PATIENCE_MILLIS = 500;

  private Completions.Pending first;
  private Completions.Pending last;
  private int threads;
  private int idle;

  /** How many futures were taken, and how many when somebody last looked. */
  private long taken;

  private long seen;

  /** Takes a future whose outcome is known. */
  synchronized void add(Completions.Pending future) {
    future.behind = null;
    if (first == null) {
      first = future;
    } else {
      last.behind = future;
    }
    last = future;
    if (idle > 0) {
      notify();
    } else if (threads == 0) {
      start();
    }
  }

  /**
   * To be called again and again while it gives true: whether something waits. If nothing was taken
   * since the last call, it starts a thread.
   */
  synchronized boolean relieve() {
    if (first == null) {
      return false;
    }
    if (taken == seen && idle == 0 && threads < MAX_THREADS) {
      start();
    }
    seen = taken;
    return true;
  }

  /** If there is no memory for a thread, the next call of {@link #relieve} tries again. */
  private void start() {
    try {
      Completions.daemon(this, "dp-continuation").start();
      threads++;
    } catch (OutOfMemoryError e) {
      return;
    }
  }

  private synchronized Completions.Pending take() {
    long end = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
    while (first == null) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        threads--;
        return null;
      }
      idle++;
      try {
        wait(left);
      } catch (InterruptedException e) {
        // A continuation has interrupted its thread; that was meant for nothing of ours.
        continue;
      } finally {
        idle--;
      }
    }
    Completions.Pending future = first;
    first = future.behind;
    future.behind = null;
    taken++;
    return future;
  }

  @Override
  public void run() {
    for (Completions.Pending future = take(); future != null; future = take()) {
      try {
        future.run();
      } catch (Throwable t) {
        // The thread goes on: others wait for it.
        continue;
      }
    }
  }
}
