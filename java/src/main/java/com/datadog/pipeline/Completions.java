package com.datadog.pipeline;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The futures of asynchronous sends, and the one daemon thread that completes them. It is there
 * while futures are outstanding and half a second longer. Native threads never call Java: this one
 * asks. Thread-safe.
 */
final class Completions implements Runnable {
  /** How long one question waits, in ms; so long the thread outlives the last future. */
  private static final long PATIENCE_MILLIS = 500;

  private final ConcurrentHashMap<Long, Pending> pending = new ConcurrentHashMap<>();
  private final AtomicLong next = new AtomicLong();
  private boolean running;

  /** Nothing is outstanding, and the thread waits here: a JVM that ends waits for native code. */
  private boolean idle;

  /** A future; it keeps its exporter from being collected before its answer is there. */
  static final class Pending extends CompletableFuture<AgentResponse> {
    final TraceExporter exporter;
    final Long ticket;

    Pending(TraceExporter exporter, Long ticket) {
      this.exporter = exporter;
      this.ticket = ticket;
    }
  }

  /** A future for a send that is about to be queued. */
  Pending expect(TraceExporter exporter) {
    Pending future = new Pending(exporter, next.incrementAndGet());
    pending.put(future.ticket, future);
    try {
      start();
    } catch (Error e) {
      pending.remove(future.ticket);
      throw e;
    }
    return future;
  }

  /** The send was not queued after all. */
  void forget(Pending future) {
    pending.remove(future.ticket);
  }

  private synchronized void start() {
    if (!running) {
      Thread thread = new Thread(null, this, "data-pipeline-completions", 256 * 1024);
      thread.setDaemon(true);
      // It must not keep an application's classes alive.
      thread.setContextClassLoader(null);
      thread.start();
      running = true;
    } else if (idle) {
      idle = false;
      notifyAll();
    }
  }

  /** Waits until something is outstanding; false if nothing comes, and the thread is to end. */
  private synchronized boolean awaitWork() {
    long end = System.nanoTime() + PATIENCE_MILLIS * 1_000_000;
    idle = pending.isEmpty();
    while (idle) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        break;
      }
      try {
        wait(left);
      } catch (InterruptedException e) {
        // Nobody has a reason to; waiting goes on.
        continue;
      }
    }
    idle = false;
    running = !pending.isEmpty();
    return running;
  }

  @Override
  public void run() {
    while (!pending.isEmpty() || awaitWork()) {
      long ticket = TraceExporter.nativeAwaitCompletion(PATIENCE_MILLIS);
      Pending future = ticket == 0 ? null : pending.remove(ticket);
      if (future != null) {
        future.exporter.complete(future);
      }
    }
  }
}
