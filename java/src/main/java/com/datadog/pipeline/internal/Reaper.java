package com.datadog.pipeline.internal;

import java.lang.ref.PhantomReference;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

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
    private volatile Object rest;

    Entry(Object owner, ReferenceQueue<Object> queue, long handle) {
      super(owner, queue);
      this.handle = handle;
    }

    /** Keeps what is needed to close in the owner's place; it must not lead to the owner. */
    public void keep(Object rest) {
      this.rest = rest;
    }
  }

  /** Closes in the place of an owner that is gone. */
  public interface Closer {
    /** Closes the handle; {@code rest} is what was kept with it, or null. */
    void close(long handle, Object rest);
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
  public int reap(Closer closer) {
    int count = 0;
    for (Reference<?> r = queue.poll(); r != null; r = queue.poll()) {
      Entry entry = (Entry) r;
      if (entries.remove(entry)) {
        closer.close(entry.handle, entry.rest);
        count++;
      }
    }
    return count;
  }
}
