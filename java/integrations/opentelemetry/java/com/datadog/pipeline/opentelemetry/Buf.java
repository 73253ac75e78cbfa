package com.datadog.pipeline.opentelemetry;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** Bytes that grow: msgpack, and the text that goes into it. Not thread-safe. */
final class Buf {
  /** An unusual payload does not keep its memory. */
  private static final int KEEP = 4 << 20;

  private static final int SHORT_TEXT = 24;

  byte[] bytes = new byte[4096];
  int len;
  private char[] chars = new char[256];

  /** The same bytes, eight at a time. */
  private ByteBuffer words = words(bytes);

  private static ByteBuffer words(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder());
  }

  /** Eight bytes as a number, in the machine's order. */
  long word(int at) {
    return words.getLong(at);
  }

  /** Empties it, and gives memory back that an unusual payload has left. */
  void clear() {
    len = 0;
    if (bytes.length > KEEP) {
      bytes = new byte[4096];
      words = words(bytes);
    }
    if (chars.length > KEEP / 4) {
      chars = new char[256];
    }
  }

  /** Makes room for so many bytes. */
  void reserve(int more) {
    if (bytes.length - len < more) {
      int wanted = Math.addExact(len, more);
      int doubled = bytes.length > Integer.MAX_VALUE / 2 ? wanted : bytes.length * 2;
      bytes = Arrays.copyOf(bytes, Math.max(wanted, doubled));
      words = words(bytes);
    }
  }

  void put(int b) {
    reserve(1);
    bytes[len++] = (byte) b;
  }

  void put(byte[] from, int at, int count) {
    reserve(count);
    System.arraycopy(from, at, bytes, len, count);
    len += count;
  }

  void put(byte[] all) {
    put(all, 0, all.length);
  }

  /** A head byte and four bytes: array32, map32, uint32. Gives where it stands. */
  int put32(int head, int value) {
    reserve(5);
    int at = len;
    bytes[at] = (byte) head;
    len += 5;
    set32(at, value);
    return at;
  }

  /** Writes the number of something that {@link #put32} has begun. */
  void set32(int at, int value) {
    bytes[at + 1] = (byte) (value >>> 24);
    bytes[at + 2] = (byte) (value >>> 16);
    bytes[at + 3] = (byte) (value >>> 8);
    bytes[at + 4] = (byte) value;
  }

  /** A head byte and eight bytes. Gives where it stands. */
  int put64(int head, long value) {
    reserve(9);
    int at = len;
    bytes[at] = (byte) head;
    len += 9;
    set64(at, value);
    return at;
  }

  void set64(int at, long value) {
    for (int i = 8; i > 0; i--) {
      bytes[at + i] = (byte) value;
      value >>>= 8;
    }
  }

  /** An unsigned number in as few bytes as it takes. */
  void unsigned(int value) {
    reserve(5);
    if (value < 0x80) {
      bytes[len++] = (byte) value;
    } else if (value < 0x100) {
      bytes[len++] = (byte) 0xcc;
      bytes[len++] = (byte) value;
    } else if (value < 0x10000) {
      bytes[len++] = (byte) 0xcd;
      bytes[len++] = (byte) (value >>> 8);
      bytes[len++] = (byte) value;
    } else {
      put32(0xce, value);
    }
  }

  void float64(double value) {
    put64(0xcb, Double.doubleToRawLongBits(value));
  }

  /** The head of a text of so many bytes. */
  private static int headSize(int bytes) {
    return bytes < 32 ? 1 : bytes < 0x100 ? 2 : bytes < 0x10000 ? 3 : 5;
  }

  private void head(int at, int size) {
    if (size < 32) {
      bytes[at] = (byte) (0xa0 | size);
    } else if (size < 0x100) {
      bytes[at] = (byte) 0xd9;
      bytes[at + 1] = (byte) size;
    } else if (size < 0x10000) {
      bytes[at] = (byte) 0xda;
      bytes[at + 1] = (byte) (size >>> 8);
      bytes[at + 2] = (byte) size;
    } else {
      bytes[at] = (byte) 0xdb;
      set32(at, size);
    }
  }

  /** A text with its head. */
  void text(String s) {
    int n = s.length();
    if (n > (Integer.MAX_VALUE - 16) / 3) {
      throw new OutOfMemoryError("a text of " + n + " characters");
    }
    // As if it were ASCII; if it is not, the bytes move to where a longer head ends.
    reserve(5 + 3 * n);
    int at = len;
    int from = at + headSize(n);
    int end = utf8(s, from);
    int size = end - from;
    int shift = headSize(size) - headSize(n);
    if (shift > 0) {
      System.arraycopy(bytes, from, bytes, from + shift, size);
    }
    head(at, size);
    len = end + shift;
  }

  /** The first bytes of another buffer as a text. */
  void text(Buf from, int size) {
    reserve(5 + size);
    head(len, size);
    len += headSize(size);
    System.arraycopy(from.bytes, 0, bytes, len, size);
    len += size;
  }

  /** The text's bytes, without a head. There is room for three bytes a character. */
  private int utf8(String s, int at) {
    int n = s.length();
    if (n <= SHORT_TEXT) {
      int i = 0;
      for (; i < n; i++) {
        char c = s.charAt(i);
        if (c >= 0x80) {
          break;
        }
        bytes[at + i] = (byte) c;
      }
      if (i == n) {
        return at + n;
      }
    }
    if (chars.length < n) {
      chars = new char[Math.max(n, chars.length * 2)];
    }
    s.getChars(0, n, chars, 0);
    for (int i = 0; i < n; i++) {
      char c = chars[i];
      if (c < 0x80) {
        bytes[at++] = (byte) c;
      } else if (c < 0x800) {
        bytes[at++] = (byte) (0xc0 | c >>> 6);
        bytes[at++] = (byte) (0x80 | c & 0x3f);
      } else if (Character.isHighSurrogate(c)
          && i + 1 < n
          && Character.isLowSurrogate(chars[i + 1])) {
        int code = Character.toCodePoint(c, chars[++i]);
        bytes[at++] = (byte) (0xf0 | code >>> 18);
        bytes[at++] = (byte) (0x80 | code >>> 12 & 0x3f);
        bytes[at++] = (byte) (0x80 | code >>> 6 & 0x3f);
        bytes[at++] = (byte) (0x80 | code & 0x3f);
      } else {
        // Half a pair is no character.
        int whole = Character.isSurrogate(c) ? 0xfffd : c;
        bytes[at++] = (byte) (0xe0 | whole >>> 12);
        bytes[at++] = (byte) (0x80 | whole >>> 6 & 0x3f);
        bytes[at++] = (byte) (0x80 | whole & 0x3f);
      }
    }
    return at;
  }

  /** Text that is ASCII, without a head. */
  @SuppressWarnings("deprecation") // It takes the low byte of each character, which is all of it.
  void ascii(String s) {
    int n = s.length();
    reserve(n);
    s.getBytes(0, n, bytes, len);
    len += n;
  }

  /** The text's bytes, without a head. */
  void raw(String s) {
    reserve(3 * s.length());
    len = utf8(s, len);
  }
}
