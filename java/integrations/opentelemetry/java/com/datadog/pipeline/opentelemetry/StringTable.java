package com.datadog.pipeline.opentelemetry;

import java.util.Arrays;

/**
 * The strings of one v0.5 payload: each is written once and then named by its number. Number 0 is
 * the empty text. They stand where the payload begins, so that {@link #complete} has the spans to
 * add and nothing to move. Not thread-safe.
 */
final class StringTable {
  private static final int LEAST = 1024;
  private static final int KEEP = 1 << 16;

  /** Odd, and its bits in no order: 2^64 divided by the golden ratio. */
  private static final long MIX = 0x9E3779B97F4A7C15L;

  private final Buf out = new Buf();
  private int count;
  private int countAt;

  // By string: open addressing.
  private String[] strings = new String[LEAST];
  private int[] numbers = new int[LEAST];
  private int used;

  // By bytes: where the text stands in `out`, its length, its hash.
  private int[] places = new int[256];
  private int[] lengths = new int[256];
  private int[] hashes = new int[256];
  private int[] byteNumbers = new int[256];
  private int bytesUsed;

  /** Begins a payload. */
  void begin() {
    out.clear();
    if (strings.length > KEEP) {
      strings = new String[LEAST];
      numbers = new int[LEAST];
    } else {
      Arrays.fill(strings, null);
    }
    used = 0;
    if (places.length > KEEP) {
      places = new int[256];
      lengths = new int[256];
      hashes = new int[256];
      byteNumbers = new int[256];
    } else {
      Arrays.fill(byteNumbers, 0);
    }
    bytesUsed = 0;
    count = 1;
    out.put(0x92);
    countAt = out.put32(0xdd, 0);
    out.put(0xa0);
  }

  /** The payload: this table and these spans. */
  Buf complete(Buf spans) {
    out.set32(countAt, count);
    out.put(spans.bytes, 0, spans.len);
    return out;
  }

  /** Lets the strings of the payload go. */
  void end() {
    Arrays.fill(strings, null);
    used = 0;
  }

  /** The number of a text. */
  int of(String s) {
    if (s.isEmpty()) {
      return 0;
    }
    int mask = strings.length - 1;
    int hash = s.hashCode();
    int at = (hash ^ hash >>> 16) & mask;
    for (String known = strings[at]; known != null; known = strings[at]) {
      if (known == s || known.equals(s)) {
        return numbers[at];
      }
      at = at + 1 & mask;
    }
    out.text(s);
    strings[at] = s;
    numbers[at] = count;
    if (++used > strings.length / 2) {
      grow();
    }
    return count++;
  }

  private void grow() {
    String[] old = strings;
    int[] oldNumbers = numbers;
    strings = new String[old.length * 2];
    numbers = new int[old.length * 2];
    int mask = strings.length - 1;
    for (int i = 0; i < old.length; i++) {
      if (old[i] != null) {
        int hash = old[i].hashCode();
        int at = (hash ^ hash >>> 16) & mask;
        while (strings[at] != null) {
          at = at + 1 & mask;
        }
        strings[at] = old[i];
        numbers[at] = oldNumbers[i];
      }
    }
  }

  /** The number of a text that comes once, as one with a time in it: nobody will look for it. */
  int add(Buf from, int length) {
    out.text(from, length);
    return count++;
  }

  /** The number of a text: the first bytes of another buffer. */
  int of(Buf from, int length) {
    if (length == 0) {
      return 0;
    }
    int hash = hash(from, length);
    int mask = byteNumbers.length - 1;
    int at = (hash ^ hash >>> 15) & mask;
    while (byteNumbers[at] != 0) {
      if (hashes[at] == hash && lengths[at] == length && same(from, places[at], length)) {
        return byteNumbers[at];
      }
      at = at + 1 & mask;
    }
    out.text(from, length);
    hashes[at] = hash;
    lengths[at] = length;
    places[at] = out.len - length;
    byteNumbers[at] = count;
    if (++bytesUsed > byteNumbers.length / 2) {
      growBytes();
    }
    return count++;
  }

  /**
   * Eight bytes a step, in two lanes, since in one each step would wait for the multiplication
   * before. The last eight bytes are taken as they end, so some count twice.
   */
  private static int hash(Buf from, int length) {
    long even = length;
    long odd = 0;
    if (length < 8) {
      for (int i = 0; i < length; i++) {
        odd = odd << 8 | from.bytes[i] & 0xff;
      }
    } else {
      int i = 0;
      for (; i + 16 <= length; i += 16) {
        even = (even ^ from.word(i)) * MIX;
        odd = (odd ^ from.word(i + 8)) * MIX;
        // A product's high bits know all of the factor, its low ones do not.
        even ^= even >>> 32;
        odd ^= odd >>> 32;
      }
      if (i + 8 < length) {
        even = (even ^ from.word(i)) * MIX;
      }
      odd ^= from.word(length - 8);
    }
    long both = ((even ^ even >>> 32) + Long.rotateLeft(odd, 23)) * MIX;
    return (int) (both >>> 32);
  }

  private boolean same(Buf from, int place, int length) {
    int i = 0;
    for (; i + 8 <= length; i += 8) {
      if (from.word(i) != out.word(place + i)) {
        return false;
      }
    }
    for (; i < length; i++) {
      if (from.bytes[i] != out.bytes[place + i]) {
        return false;
      }
    }
    return true;
  }

  private void growBytes() {
    int[] oldPlaces = places;
    int[] oldLengths = lengths;
    int[] oldHashes = hashes;
    int[] oldNumbers = byteNumbers;
    int size = oldNumbers.length * 2;
    places = new int[size];
    lengths = new int[size];
    hashes = new int[size];
    byteNumbers = new int[size];
    for (int i = 0; i < oldNumbers.length; i++) {
      if (oldNumbers[i] != 0) {
        int at = (oldHashes[i] ^ oldHashes[i] >>> 15) & size - 1;
        while (byteNumbers[at] != 0) {
          at = at + 1 & size - 1;
        }
        places[at] = oldPlaces[i];
        lengths[at] = oldLengths[i];
        hashes[at] = oldHashes[i];
        byteNumbers[at] = oldNumbers[i];
      }
    }
  }
}
