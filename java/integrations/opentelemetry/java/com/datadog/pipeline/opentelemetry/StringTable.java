package com.datadog.pipeline.opentelemetry;

import java.util.Arrays;

/**
 * The strings of one v0.5 payload: each is written once and then named by its number. Number 0 is
 * the empty text. Not thread-safe.
 */
final class StringTable {
  private static final int LEAST = 1024;
  private static final int KEEP = 1 << 16;

  final Buf out = new Buf();
  int count;

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
    out.put(0xa0);
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

  /** The number of a text that stands as bytes in another buffer. */
  int of(byte[] bytes, int start, int length) {
    if (length == 0) {
      return 0;
    }
    int hash = hash(bytes, start, length);
    int mask = byteNumbers.length - 1;
    int at = (hash ^ hash >>> 15) & mask;
    while (byteNumbers[at] != 0) {
      if (hashes[at] == hash && lengths[at] == length && same(bytes, start, places[at], length)) {
        return byteNumbers[at];
      }
      at = at + 1 & mask;
    }
    out.text(bytes, start, length);
    hashes[at] = hash;
    lengths[at] = length;
    places[at] = out.len - length;
    byteNumbers[at] = count;
    if (++bytesUsed > byteNumbers.length / 2) {
      growBytes();
    }
    return count++;
  }

  /** Two times four bytes a step: one by one each would wait for the multiplication before. */
  private static int hash(byte[] bytes, int start, int length) {
    int even = length;
    int odd = 0;
    int end = start + length;
    int i = start;
    for (; i + 8 <= end; i += 8) {
      even = even * 923_521 + four(bytes, i);
      odd = odd * 923_521 + four(bytes, i + 4);
    }
    int hash = even * 31 + odd;
    for (; i < end; i++) {
      hash = hash * 31 + bytes[i];
    }
    return hash;
  }

  private static int four(byte[] b, int i) {
    return (b[i] * 31 + b[i + 1]) * 961 + b[i + 2] * 31 + b[i + 3];
  }

  private boolean same(byte[] bytes, int start, int place, int length) {
    for (int i = 0; i < length; i++) {
      if (bytes[start + i] != out.bytes[place + i]) {
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
