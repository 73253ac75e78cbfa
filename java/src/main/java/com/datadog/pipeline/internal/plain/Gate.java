package com.datadog.pipeline.internal.plain;

import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Lets sends pass, holds them, or ends them: {@link #close} interrupts waits and cuts connections.
 * Thread-safe.
 */
final class Gate {
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Set<Connection> open = new HashSet<>();
  private boolean held;
  private boolean closed;

  boolean isClosed() {
    lock.lock();
    try {
      return closed;
    } finally {
      lock.unlock();
    }
  }

  /** Waits a moment; less if the gate is closed. An interrupt waits for the caller. */
  void pause(long millis) {
    await(System.nanoTime() + millis * 1_000_000, false);
  }

  /** Waits while sends are held; false if they still are at {@code end}. */
  boolean pass(long end) {
    return await(end, true);
  }

  private boolean await(long end, boolean whileHeld) {
    lock.lock();
    try {
      long left = end - System.nanoTime();
      while (!closed && left > 0 && (held || !whileHeld)) {
        try {
          left = changed.awaitNanos(left);
        } catch (InterruptedException e) {
          Interrupts.keep();
          left = end - System.nanoTime();
        }
      }
      return !held;
    } finally {
      lock.unlock();
    }
  }

  void hold(boolean value) {
    lock.lock();
    try {
      held = value;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** False if the gate is closed: the connection must not be used. */
  boolean enter(Connection connection) {
    lock.lock();
    try {
      return !closed && open.add(connection);
    } finally {
      lock.unlock();
    }
  }

  void leave(Connection connection) {
    lock.lock();
    try {
      open.remove(connection);
    } finally {
      lock.unlock();
    }
  }

  /** Cuts what is open. */
  void cut() {
    Connection[] all;
    lock.lock();
    try {
      all = open.toArray(new Connection[0]);
    } finally {
      lock.unlock();
    }
    for (Connection connection : all) {
      connection.close();
    }
  }

  void close() {
    lock.lock();
    try {
      closed = true;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    cut();
  }

  /** How long it is to then, by {@code System.nanoTime()}. */
  static long millisUntil(long end) {
    return TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
  }
}
