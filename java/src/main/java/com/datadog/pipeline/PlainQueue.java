package com.datadog.pipeline;

import com.datadog.pipeline.internal.plain.Client;
import com.datadog.pipeline.internal.plain.Failure;
import com.datadog.pipeline.internal.plain.Traces;
import java.io.ByteArrayOutputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Payloads that wait, and the daemon threads that send them: there while something waits and a
 * second longer. Bounded in bytes and payloads, those on their way included. Also counts the sends
 * on callers' threads, so that closing can wait for them. Thread-safe.
 */
final class PlainQueue implements Runnable {
  private static final long IDLE_NANOS = 1_000_000_000L;

  /** After its limit, closing gives interrupted sends so long to say so. */
  private static final long LAST_WORDS_NANOS = 500_000_000L;

  private enum Mode {
    OPEN,
    /** Takes payloads, gives none. */
    SUSPENDED,
    /** Takes none, gives the rest. */
    CLOSING,
    CLOSED
  }

  private static final class Parcel {
    final PlainSender.Load load;
    final Completions.Pending future;
    final long offered = System.nanoTime();
    long number;

    Parcel(PlainSender.Load load, Completions.Pending future) {
      this.load = load;
      this.future = future;
    }

    /** Whether a caller waits for it as one does who sends on its own thread. */
    boolean isUrgent() {
      return future != null && future.ticket < 0;
    }
  }

  private final PlainSettings settings;
  private final PlainSender sender;

  /** Tickets of futures whose outcome is known. */
  private final LinkedBlockingQueue<Long> done;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Deque<Parcel> waiting = new ArrayDeque<>();
  private final Set<Parcel> out = new HashSet<>();
  private Mode mode = Mode.OPEN;
  private long waitingBytes;
  private long outBytes;
  private long next;
  private long dueBefore;
  private long refused;
  private long evicted;
  private int senders;
  private int resting;
  private int running;

  /** How many wait that a caller waits for as one does who sends on its own thread. */
  private int urgent;

  PlainQueue(PlainSettings settings, PlainSender sender, LinkedBlockingQueue<Long> done) {
    this.settings = settings;
    this.sender = sender;
    this.done = done;
  }

  private static IllegalStateException isClosed() {
    return new IllegalStateException("the exporter is closed");
  }

  /** A send on the caller's thread begins. */
  void enter() {
    lock.lock();
    try {
      if (mode == Mode.CLOSING || mode == Mode.CLOSED) {
        throw isClosed();
      }
      running++;
    } finally {
      lock.unlock();
    }
  }

  void leave() {
    lock.lock();
    try {
      running--;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  void requireOpen() {
    enter();
    leave();
  }

  /** Takes a copy. Without a future, false says that there is no room. */
  boolean offer(
      byte[] payload, int offset, int length, SendOptions options, Completions.Pending future) {
    requireOpen();
    byte[] copy = new byte[length];
    System.arraycopy(payload, offset, copy, 0, length);
    PlainSender.Load load;
    try {
      load = new PlainSender.Load(copy, 0, length, options);
    } catch (Failure e) {
      settle(future, sender.unreadable(copy, 0, length, e));
      return true;
    }
    Parcel parcel = new Parcel(load, future);
    List<Parcel> gone = new ArrayList<>();
    boolean taken;
    lock.lock();
    try {
      taken = admit(parcel, gone);
      if (taken) {
        sender.account.enter(load.counts);
        push(parcel);
      } else {
        refused++;
      }
    } finally {
      lock.unlock();
    }
    for (Parcel one : gone) {
      String why = "the payload was taken out of the queue to make room (`overflow`)";
      drop(one, new Failure(ErrorCode.EVICTED, why));
    }
    if (!taken) {
      String why = "the queue has no room for " + length + " bytes (`queueBytes`, `queuePayloads`)";
      Failure full = new Failure(ErrorCode.QUEUE_FULL, why);
      sender.account.refuse(PlainSender.unread(copy, 0, length), DropReason.QUEUE_FULL);
      sender.presence.lost(DropReason.QUEUE_FULL, load.counts.traces(), why);
      settle(future, PlainSender.exception(full));
    }
    return taken;
  }

  private boolean fits(int size) {
    return waitingBytes + outBytes + size <= settings.queueBytes()
        && waiting.size() + out.size() < settings.queuePayloads();
  }

  /** Whether there is room, or somebody has made some. */
  private boolean admit(Parcel parcel, List<Parcel> gone) {
    int size = parcel.load.length;
    if (parcel.isUrgent()) {
      return true;
    }
    if (size > settings.queueBytes()) {
      return false;
    }
    long left = settings.blockWaitMillis() * 1_000_000;
    boolean interrupted = false;
    try {
      while (!fits(size)) {
        if (settings.overflow() == Overflow.DROP_OLDEST && !waiting.isEmpty()) {
          Parcel oldest = waiting.poll();
          waitingBytes -= oldest.load.length;
          urgent -= oldest.isUrgent() ? 1 : 0;
          evicted++;
          gone.add(oldest);
          continue;
        }
        if (settings.overflow() != Overflow.BLOCK || left <= 0) {
          return false;
        }
        // Blocked offers wait for the payloads before them.
        dueBefore = next;
        changed.signalAll();
        try {
          left = changed.awaitNanos(left);
        } catch (InterruptedException e) {
          interrupted = true;
        }
        if (mode == Mode.CLOSING || mode == Mode.CLOSED) {
          throw isClosed();
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private void push(Parcel parcel) {
    parcel.number = next++;
    waiting.add(parcel);
    urgent += parcel.isUrgent() ? 1 : 0;
    waitingBytes += parcel.load.length;
    if (parcel.future != null) {
      dueBefore = next;
    }
    wake();
  }

  /** Something is to be done: somebody who rests does it, or a new thread. */
  private void wake() {
    changed.signalAll();
    boolean gives = mode == Mode.OPEN || mode == Mode.CLOSING;
    if (gives && !waiting.isEmpty() && resting == 0 && senders < settings.senders()) {
      try {
        Completions.daemon(this, "dp-sender").start();
        senders++;
      } catch (OutOfMemoryError e) {
        // The next offer tries again.
        return;
      }
    }
  }

  @Override
  public void run() {
    for (List<Parcel> batch = take(); batch != null; batch = take()) {
      try {
        deliver(batch);
      } catch (Throwable t) {
        // Memory, most likely: what is not booked is lost, and the next batch may fit.
        Failure failure = new Failure(ErrorCode.OUT_OF_MEMORY, String.valueOf(t));
        for (Parcel parcel : batch) {
          if (isOut(parcel)) {
            drop(parcel, failure);
          }
        }
      }
    }
  }

  private boolean isOut(Parcel parcel) {
    lock.lock();
    try {
      return out.contains(parcel);
    } finally {
      lock.unlock();
    }
  }

  /** Waits for a batch that is due; null if the thread is to end. */
  private List<Parcel> take() {
    lock.lock();
    try {
      long idle = IDLE_NANOS;
      while (true) {
        if (mode == Mode.CLOSED || mode == Mode.SUSPENDED) {
          return end();
        }
        Parcel first = waiting.peek();
        long wait;
        if (first == null) {
          if (mode == Mode.CLOSING || idle <= 0) {
            return end();
          }
          wait = idle;
        } else {
          idle = IDLE_NANOS;
          long age = System.nanoTime() - first.offered;
          wait = settings.batchAgeMillis() * 1_000_000 - age;
          boolean due = first.number < dueBefore || waitingBytes >= settings.batchBytes();
          if (due || wait <= 0 || mode == Mode.CLOSING) {
            // Not even who hurries goes faster than the pace; who has no time left is told so.
            long paced = urgent > 0 ? 0 : sender.outlet.waitNanos();
            wait = Math.min(paced, settings.asyncBudgetMillis() * 1_000_000 - age);
            if (wait <= 0) {
              return batch();
            }
          }
        }
        resting++;
        try {
          long left = changed.awaitNanos(wait);
          idle = first == null ? left : idle;
        } catch (InterruptedException e) {
          // Nobody has a reason to; waiting goes on.
          continue;
        } finally {
          resting--;
        }
      }
    } finally {
      lock.unlock();
    }
  }

  private List<Parcel> end() {
    senders--;
    changed.signalAll();
    return null;
  }

  /** What travels together: within the limit, and the tracer says the same of its stats. */
  private List<Parcel> batch() {
    List<Parcel> batch = new ArrayList<>();
    long bytes = 0;
    boolean computed = waiting.peek().load.options.clientComputedStats;
    for (Parcel p = waiting.peek(); p != null; p = waiting.peek()) {
      bytes += p.load.length;
      boolean fits = bytes <= settings.batchBytes();
      if (!batch.isEmpty() && !(fits && p.load.options.clientComputedStats == computed)) {
        break;
      }
      batch.add(waiting.poll());
      urgent -= p.isUrgent() ? 1 : 0;
      waitingBytes -= p.load.length;
      outBytes += p.load.length;
      out.add(p);
    }
    if (!waiting.isEmpty()) {
      wake();
    }
    return batch;
  }

  private void deliver(List<Parcel> batch) {
    Parcel oldest = batch.get(0);
    boolean alone = batch.size() == 1;
    long millis = settings.asyncBudgetMillis();
    Client.Budget budget =
        new Client.Budget(oldest.offered + millis * 1_000_000, millis, "asyncBudget", true);
    try {
      PlainSender.Load load = alone ? oldest.load : merged(batch);
      AgentResponse response =
          sender.deliver(
              load, budget, System.nanoTime(), e -> isSuspended() || e.status == 400 && !alone);
      for (Parcel parcel : batch) {
        settle(parcel, response);
      }
    } catch (Failure e) {
      if (!e.kept) {
        TraceExporterException lost = PlainSender.exception(e);
        for (Parcel parcel : batch) {
          settle(parcel, lost);
        }
      } else if (isSuspended()) {
        takeBack(batch);
      } else {
        // One bad payload costs only itself.
        for (Parcel parcel : batch) {
          List<Parcel> one = new ArrayList<>();
          one.add(parcel);
          deliver(one);
        }
      }
    }
  }

  /** One payload of several. Its bytes count as those of its parts. */
  private static PlainSender.Load merged(List<Parcel> batch) throws Failure {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    int count = 0;
    long[] sums = new long[5];
    for (Parcel parcel : batch) {
      count += parcel.load.traces.count();
    }
    byte[] head = Traces.head(count);
    bytes.write(head, 0, head.length);
    for (Parcel parcel : batch) {
      PlainSender.Load load = parcel.load;
      int traces = load.traces.count();
      bytes.write(load.bytes, load.traces.offset(0), load.traces.size(0, traces));
      sums[0] += load.counts.traces();
      sums[1] += load.counts.spans();
      sums[2] += load.counts.bytes();
      sums[3] += load.options.droppedP0Traces;
      sums[4] += load.options.droppedP0Spans;
    }
    Metrics.Counts counts = new Metrics.Counts(sums[0], sums[1], sums[2]);
    boolean computed = batch.get(0).load.options.clientComputedStats;
    SendOptions options = SendOptions.of(sums[3], sums[4], computed);
    return new PlainSender.Load(bytes.toByteArray(), counts, options);
  }

  private boolean isSuspended() {
    lock.lock();
    try {
      return mode == Mode.SUSPENDED;
    } finally {
      lock.unlock();
    }
  }

  private void takeBack(List<Parcel> batch) {
    lock.lock();
    try {
      for (int i = batch.size() - 1; i >= 0; i--) {
        Parcel parcel = batch.get(i);
        out.remove(parcel);
        outBytes -= parcel.load.length;
        waitingBytes += parcel.load.length;
        waiting.addFirst(parcel);
        urgent += parcel.isUrgent() ? 1 : 0;
      }
      wake();
    } finally {
      lock.unlock();
    }
  }

  private void drop(Parcel parcel, Failure why) {
    DropReason reason = PlainSender.reason(why);
    sender.account.dropped(parcel.load.counts, reason, false);
    sender.presence.lost(reason, parcel.load.counts.traces(), why.getMessage());
    settle(parcel, PlainSender.exception(why));
  }

  private void settle(Parcel parcel, Object outcome) {
    lock.lock();
    try {
      if (out.remove(parcel)) {
        outBytes -= parcel.load.length;
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    settle(parcel.future, outcome);
  }

  private void settle(Completions.Pending future, Object outcome) {
    if (future != null) {
      future.settle(outcome);
      done.add(future.ticket);
    }
  }

  private boolean isEmptyBefore(long number) {
    for (Parcel parcel : out) {
      if (parcel.number < number) {
        return false;
      }
    }
    return waiting.isEmpty() || waiting.peek().number >= number;
  }

  /** Waits until something holds; an interrupt is kept for the caller. */
  private boolean await(long nanos, java.util.function.BooleanSupplier holds) {
    boolean interrupted = false;
    long end = System.nanoTime() + nanos;
    try {
      while (!holds.getAsBoolean()) {
        try {
          long left = end - System.nanoTime();
          if (left <= 0 || mode == Mode.CLOSED) {
            return false;
          }
          changed.awaitNanos(left);
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
      return true;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  FlushResult flush(long millis, boolean suspend) {
    requireOpen();
    long[] before = sender.account.snapshot();
    boolean complete;
    lock.lock();
    try {
      long mark = next;
      dueBefore = Math.max(dueBefore, mark);
      wake();
      complete = await(millis * 1_000_000, () -> isEmptyBefore(mark));
      if (suspend && mode == Mode.OPEN) {
        mode = Mode.SUSPENDED;
        changed.signalAll();
      }
    } finally {
      lock.unlock();
    }
    if (suspend) {
      sender.client.hold(true);
      lock.lock();
      try {
        await(LAST_WORDS_NANOS, () -> senders == 0);
      } finally {
        lock.unlock();
      }
    }
    return PlainAccount.between(before, sender.account.snapshot(), complete);
  }

  void resume() {
    requireOpen();
    sender.client.hold(false);
    lock.lock();
    try {
      if (mode == Mode.SUSPENDED) {
        mode = Mode.OPEN;
        wake();
      }
    } finally {
      lock.unlock();
    }
  }

  /** Whether everything was done in time. Only the first call does something. */
  boolean close(long millis) {
    List<Parcel> rest;
    boolean complete;
    lock.lock();
    try {
      if (mode == Mode.SUSPENDED) {
        sender.client.hold(false);
      }
      mode = Mode.CLOSING;
      wake();
      complete =
          await(millis * 1_000_000, () -> waiting.isEmpty() && out.isEmpty() && running == 0);
      mode = Mode.CLOSED;
      rest = new ArrayList<>(waiting);
      waiting.clear();
      waitingBytes = 0;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    sender.client.close();
    Failure closed = new Failure(ErrorCode.CLOSED, "the exporter was closed before it was sent");
    for (Parcel parcel : rest) {
      drop(parcel, closed);
    }
    lock.lock();
    try {
      long end = System.nanoTime() + LAST_WORDS_NANOS;
      while (!out.isEmpty() || running > 0) {
        long left = end - System.nanoTime();
        if (left <= 0) {
          break;
        }
        changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lock.unlock();
    }
    return complete;
  }

  /** The account with what only the queue knows. */
  long[] numbers() {
    lock.lock();
    try {
      long[] numbers = sender.account.snapshot();
      numbers[Numbers.ACCOUNT_QUEUE_PAYLOADS] = waiting.size() + out.size();
      numbers[Numbers.ACCOUNT_QUEUE_BYTES] = waitingBytes + outBytes;
      Parcel first = waiting.peek();
      numbers[Numbers.ACCOUNT_QUEUE_OLDEST_MILLIS] =
          first == null ? 0 : TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - first.offered);
      numbers[Numbers.ACCOUNT_QUEUE_REFUSED] = refused;
      numbers[Numbers.ACCOUNT_QUEUE_EVICTED] = evicted;
      numbers[Numbers.ACCOUNT_SENDERS] = senders;
      numbers[Numbers.ACCOUNT_WIRE_BYTES] = sender.outlet.bytes();
      numbers[Numbers.ACCOUNT_QUEUE_PACE_MILLIS] =
          TimeUnit.NANOSECONDS.toMillis(sender.outlet.waitNanos());
      return numbers;
    } finally {
      lock.unlock();
    }
  }
}
