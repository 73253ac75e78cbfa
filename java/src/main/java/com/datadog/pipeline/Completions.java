package com.datadog.pipeline;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicLong;

/**
 * The futures of asynchronous sends, and the one daemon thread that fetches their answers. Native
 * threads never call Java: this one asks. It is there while futures are outstanding and half a
 * second longer, and runs none of the caller's code: futures are completed by the exporter's
 * executor, or else by {@link Continuations}. Thread-safe.
 */
final class Completions implements Runnable {
  /** How long one question waits, in ms; so long the thread outlives the last future. */
  private static final long PATIENCE_MILLIS = 500;

  private final ConcurrentHashMap<Long, Pending> pending = new ConcurrentHashMap<>();
  private final Continuations continuations = new Continuations();
  private final AtomicLong next = new AtomicLong();
  private final Source source;
  private boolean running;

  /** Nothing is outstanding, and the thread waits here: a JVM that ends waits for native code. */
  private boolean idle;

  // Of the thread alone. Kept over an error: a full heap must not lose a future.
  private long ticket;
  private Pending current;

  /** Tells of sends that are done. */
  interface Source {
    /** The ticket of one, as soon as there is one; 0 if there is none within so many ms. */
    long await(long millis);
  }

  Completions(Source source) {
    this.source = source;
  }

  /** A future; it keeps its session from being collected before its answer is there. */
  static final class Pending extends CompletableFuture<AgentResponse> implements Runnable {
    private static final int TRIES = 1000;

    final Session session;

    /** Below 0 for a send whose caller waits, and runs nothing when it completes. */
    final Long ticket;

    private final Executor executor;

    /** The answer or the reason of the failure, once it is known. */
    private volatile Object outcome;

    /** For {@link Continuations}: the one that waits behind this one. */
    Pending behind;

    Pending(Session session, Executor executor, Long ticket) {
      this.session = session;
      this.executor = executor;
      this.ticket = ticket;
    }

    /**
     * Completes the future, and with it runs what the caller has chained to it. What that throws
     * stays in its own future; only a lack of memory gets here, and passes.
     */
    @Override
    public void run() {
      for (int i = 0; i < TRIES; i++) {
        try {
          if (outcome instanceof Throwable) {
            completeExceptionally((Throwable) outcome);
          } else {
            complete((AgentResponse) outcome);
          }
          break;
        } catch (Throwable t) {
          pause();
        }
      }
      if (ticket > 0) {
        session.tellQuietly();
      }
    }

    /** The answer, or why there is none; the ticket comes by the source. */
    void settle(Object outcome) {
      this.outcome = outcome;
    }

    /** Waits for the answer; an interrupt is kept for the caller. */
    AgentResponse await() {
      try {
        return join();
      } catch (CompletionException e) {
        Throwable why = e.getCause();
        if (why instanceof TraceExporterException) {
          throw new TraceExporterException((TraceExporterException) why);
        }
        if (why instanceof Error) {
          throw (Error) why;
        }
        throw (RuntimeException) why;
      }
    }
  }

  /** A future for a send that is about to be queued. */
  Pending expect(Session session, Executor executor) {
    return expect(new Pending(session, executor, next.incrementAndGet()));
  }

  /** A future for a send whose caller waits for it, and must not hold a thread of the system. */
  Pending expectSend(Session session) {
    return expect(new Pending(session, null, -next.incrementAndGet()));
  }

  private Pending expect(Pending future) {
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
      daemon(this, "dp-completions").start();
      running = true;
    } else if (idle) {
      idle = false;
      notifyAll();
    }
  }

  /** A thread that keeps no JVM from ending and no application's classes alive. */
  static Thread daemon(Runnable body, String name) {
    Thread thread = new Thread(null, body, name, 256 * 1024);
    thread.setDaemon(true);
    thread.setContextClassLoader(null);
    return thread;
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
    while (true) {
      try {
        boolean waiting = continuations.relieve();
        if (waiting && pending.isEmpty()) {
          pause();
        } else if (pending.isEmpty() && !awaitWork()) {
          return;
        } else {
          fetch(waiting ? 1 : PATIENCE_MILLIS);
        }
      } catch (Throwable t) {
        // A full heap, most likely. What is in hand is kept, and tried again.
        pause();
      }
    }
  }

  /** Hands one completed send on, if there is one within {@code millis}. */
  private void fetch(long millis) {
    if (ticket == 0) {
      ticket = source.await(millis);
    }
    if (ticket != 0 && current == null) {
      current = pending.remove(ticket);
    }
    if (current != null) {
      if (current.outcome == null) {
        current.outcome = current.session.outcome(current);
      }
      hand(current);
      current = null;
    }
    ticket = 0;
  }

  private void hand(Pending future) {
    if (future.ticket < 0) {
      future.run();
      return;
    }
    if (future.executor != null) {
      try {
        future.executor.execute(future);
        return;
      } catch (Throwable t) {
        // It takes nothing more: the future completes all the same.
        future.behind = null;
      }
    }
    continuations.add(future);
  }

  /** A moment in which memory may become free or work get done. */
  private static void pause() {
    try {
      Thread.sleep(1);
    } catch (InterruptedException e) {
      // Nobody has a reason to; the next round comes a little earlier.
      return;
    }
  }
}
