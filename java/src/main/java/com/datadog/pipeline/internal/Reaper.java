package com.datadog.pipeline.internal;

import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;

/**
 * Knows the handles of exporters that nobody has closed. Java 8 has no Cleaner, and a thread of
 * ours just for that would be one too many: whoever builds the next exporter closes those that were
 * collected. Thread-safe.
 */
public final class Reaper {
  private final ReferenceQueue<Object> queue = new ReferenceQueue<>();
  private final Set<Entry> entries =
      Collections.newSetFromMap(new ConcurrentHashMap<Entry, Boolean>());

  /** One owner's handle. */
  public static final class Entry extends PhantomReference<Object> {
    private final long handle;

    Entry(Object owner, ReferenceQueue<Object> queue, long handle) {
      super(owner, queue);
      this.handle = handle;
    }
  }

  /** Watches an owner. */
  public Entry watch(Object owner, long handle) {
    Entry entry = new Entry(owner, queue, handle);
    entries.add(entry);
    return entry;
  }

  /** The owner was closed as it should be. */
  public void forget(Entry entry) {
    entries.remove(entry);
    entry.clear();
  }

  /** Closes what was collected without having been closed; gives how many those were. */
  public int reap(LongConsumer close) {
    int count = 0;
    for (Reference<?> r = queue.poll(); r != null; r = queue.poll()) {
      Entry entry = (Entry) r;
      if (entries.remove(entry)) {
        close.accept(entry.handle);
        count++;
      }
    }
    return count;
  }
}
