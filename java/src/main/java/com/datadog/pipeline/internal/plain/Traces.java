package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Where the traces of a v0.4 payload stand. Reads heads and skips the rest: what a value means is
 * the agent's matter. A declared size is never trusted. Immutable and thread-safe, as long as
 * nobody writes to the bytes.
 */
public final class Traces {
  private static final int SHOWN = 100;

  final byte[] bytes;

  /** Where each trace begins, and where the last one ends. */
  private final int[] at;

  private final int[] spans;

  private Traces(byte[] bytes, int[] at, int[] spans) {
    this.bytes = bytes;
    this.at = at;
    this.spans = spans;
  }

  /** How many there are. */
  public int count() {
    return spans.length;
  }

  /** Spans of the traces from one on to another. */
  public long spans(int from, int to) {
    long sum = 0;
    for (int i = from; i < to; i++) {
      sum += spans[i];
    }
    return sum;
  }

  /** Bytes of the traces from one on to another. */
  public int size(int from, int to) {
    return at[to] - at[from];
  }

  /** Where the first of them begins in {@link #bytes()}. */
  public int offset(int from) {
    return at[from];
  }

  /** The bytes in which they stand. */
  public byte[] bytes() {
    return bytes;
  }

  /** Traces that the head of a payload declares; 0 if it is none. Trusts nothing behind it. */
  public static long declared(byte[] payload, int offset, int length) {
    if (length < 1) {
      return 0;
    }
    int marker = payload[offset] & 0xff;
    if (marker >= 0x90 && marker <= 0x9f) {
      return marker & 15;
    }
    int size = marker == 0xdc ? 2 : marker == 0xdd ? 4 : 0;
    if (size == 0 || length <= size) {
      return 0;
    }
    long n = 0;
    for (int i = 1; i <= size; i++) {
      n = n << 8 | payload[offset + i] & 0xff;
    }
    return n > length ? 0 : n;
  }

  /** The head of an array of so many traces. */
  public static byte[] head(int traces) {
    if (traces < 16) {
      return new byte[] {(byte) (0x90 | traces)};
    }
    if (traces < 1 << 16) {
      return new byte[] {(byte) 0xdc, (byte) (traces >>> 8), (byte) traces};
    }
    return new byte[] {
      (byte) 0xdd,
      (byte) (traces >>> 24),
      (byte) (traces >>> 16),
      (byte) (traces >>> 8),
      (byte) traces
    };
  }

  /** Looks through a payload. */
  public static Traces read(byte[] bytes, int offset, int length) throws Failure {
    Reader reader = new Reader(bytes, offset, offset + length);
    int count = reader.array("an array of traces");
    // A trace takes a byte at least, so the payload bounds this.
    int[] at = new int[Math.min(count, 1024) + 1];
    int[] spans = new int[Math.min(count, 1024)];
    for (int i = 0; i < count; i++) {
      if (i == spans.length) {
        int more = Math.min(count, spans.length * 2);
        spans = Arrays.copyOf(spans, more);
        at = Arrays.copyOf(at, more + 1);
      }
      reader.trace = i;
      at[i] = reader.at;
      spans[i] = reader.chunk();
    }
    at[count] = reader.at;
    return new Traces(bytes, Arrays.copyOf(at, count + 1), Arrays.copyOf(spans, count));
  }

  /** Names a trace for a person: service and resource of its first span, and how many it has. */
  public String describe(int trace) {
    try {
      Reader reader = new Reader(bytes, at[trace], at[trace + 1]);
      if (spans[trace] == 0 || reader.array("") == 0) {
        return "a trace without spans";
      }
      String service = "";
      String resource = "";
      for (int n = reader.map(); n > 0; n--) {
        String key = reader.text();
        String value = key.equals("service") || key.equals("resource") ? reader.text() : null;
        if (value == null) {
          reader.skip();
        } else if (key.equals("service")) {
          service = value;
        } else {
          resource = value;
        }
      }
      return String.format(
          "service \"%s\", resource \"%s\", %d spans", service, resource, spans[trace]);
    } catch (Failure e) {
      return "a trace that cannot be read";
    }
  }

  private static final class Reader {
    private final byte[] bytes;
    private final int start;
    private final int end;
    private int at;
    private int trace = -1;
    private int span = -1;

    Reader(byte[] bytes, int start, int end) {
      this.bytes = bytes;
      this.start = start;
      this.end = end;
      this.at = start;
    }

    private Failure bad(ErrorCode code, int where, String why) {
      String place = trace < 0 ? "" : "trace " + trace + ", ";
      place += span < 0 ? "" : "span " + span + ", ";
      return new Failure(code, place + "offset " + (where - start) + ": " + why);
    }

    private Failure truncated(int where, String what) {
      return bad(ErrorCode.TRUNCATED_PAYLOAD, where, "the payload ends inside " + what);
    }

    private int marker(String what) throws Failure {
      if (at >= end) {
        throw truncated(at, what);
      }
      return bytes[at] & 0xff;
    }

    /** The number behind a marker, of so many bytes. */
    private long number(int from, int size, String what) throws Failure {
      if (end - from < size) {
        throw truncated(from - 1, what);
      }
      long n = 0;
      for (int i = 0; i < size; i++) {
        n = n << 8 | bytes[from + i] & 0xff;
      }
      return n;
    }

    private int container(int fix, int two, int width, String wanted) throws Failure {
      int begin = at;
      int marker = marker(wanted);
      long n;
      if (marker >= fix && marker <= fix + 15) {
        n = marker & 15;
        at++;
      } else if (marker == two || marker == two + 1) {
        int size = marker == two ? 2 : 4;
        n = number(at + 1, size, wanted);
        at += 1 + size;
      } else {
        String what = marker == 0xc0 ? "nil" : String.format("the byte 0x%02x", marker);
        String why = "there is " + what + " where " + wanted + " belongs";
        throw bad(ErrorCode.MALFORMED_PAYLOAD, begin, why);
      }
      if (n * width > end - at) {
        throw truncated(begin, wanted + " with " + n + " entries");
      }
      return (int) n;
    }

    int array(String wanted) throws Failure {
      return container(0x90, 0xdc, 1, wanted);
    }

    int map() throws Failure {
      return container(0x80, 0xde, 2, "a span (a map)");
    }

    /** Skips one trace and gives its spans. The agent takes nil for an empty one. */
    int chunk() throws Failure {
      span = -1;
      if (marker("a trace") == 0xc0) {
        at++;
        return 0;
      }
      int spans = array("a trace (an array of spans)");
      for (span = 0; span < spans; span++) {
        if (marker("a span") == 0xc0) {
          at++;
          continue;
        }
        skip(2L * map());
      }
      span = -1;
      return spans;
    }

    String text() throws Failure {
      int marker = marker("a text");
      int size = marker >= 0xd9 && marker <= 0xdb ? 1 << marker - 0xd9 : 0;
      boolean fix = marker >= 0xa0 && marker <= 0xbf;
      if (!fix && size == 0) {
        skip();
        return "";
      }
      long length = fix ? marker & 31 : number(at + 1, size, "a text");
      int from = at + 1 + size;
      skip();
      int shown = (int) Math.min(length, SHOWN);
      String more = length > SHOWN ? "..." : "";
      return new String(bytes, from, shown, StandardCharsets.UTF_8) + more;
    }

    void skip() throws Failure {
      skip(1);
    }

    /** Skips values; a loop and no recursion, so nesting costs nothing. */
    private void skip(long values) throws Failure {
      for (long left = values; left > 0; left--) {
        int begin = at;
        int m = marker("a value");
        long size = 0;
        long inner = 0;
        at++;
        if (m >= 0xa0 && m <= 0xbf) {
          size = m & 31;
        } else if (m >= 0x90 && m <= 0x9f) {
          inner = m & 15;
        } else if (m >= 0x80 && m <= 0x8f) {
          inner = 2 * (m & 15);
        } else if (m == 0xc1) {
          throw bad(ErrorCode.MALFORMED_PAYLOAD, begin, "the byte 0xc1 begins no value");
        } else if (m >= 0xc4 && m <= 0xc6 || m >= 0xd9 && m <= 0xdb) {
          int width = 1 << (m - (m < 0xd9 ? 0xc4 : 0xd9));
          size = number(at, width, "a text") + width;
        } else if (m >= 0xc7 && m <= 0xc9) {
          int width = 1 << m - 0xc7;
          size = number(at, width, "an extension") + width + 1;
        } else if (m >= 0xca && m <= 0xd3) {
          int[] sizes = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
          size = sizes[m - 0xca];
        } else if (m >= 0xd4 && m <= 0xd8) {
          size = 1 + (1 << m - 0xd4);
        } else if (m >= 0xdc && m <= 0xdf) {
          int width = (m & 1) == 0 ? 2 : 4;
          inner = number(at, width, "a list") * (m >= 0xde ? 2 : 1);
          size = width;
        }
        if (size > end - at || inner > end - at - size) {
          throw truncated(begin, "a value");
        }
        at += (int) size;
        left += inner;
      }
    }
  }
}
