package com.datadog.pipeline;

import java.nio.ByteBuffer;
import java.time.Duration;

/** Where the bytes of a payload stand, in the form that natives take. Not kept over a call. */
final class Payload {
  private Payload() {}

  static byte[] copy(ByteBuffer buffer) {
    byte[] copy = new byte[buffer.remaining()];
    buffer.duplicate().get(copy);
    return copy;
  }

  /** The bytes of a buffer that is not direct: its array, or a copy. */
  static byte[] array(ByteBuffer buffer) {
    return buffer.hasArray() ? buffer.array() : copy(buffer);
  }

  /** Where its bytes begin in {@link #array}. */
  static int offset(ByteBuffer buffer) {
    return buffer.hasArray() ? buffer.arrayOffset() + buffer.position() : 0;
  }

  /** Arrays and direct buffers; which part of each, says {@link #parts}. */
  static Object[] pieces(ByteBuffer[] payload) {
    Object[] pieces = new Object[notNull("payload", payload).length];
    for (int i = 0; i < payload.length; i++) {
      ByteBuffer piece = piece(payload, i);
      pieces[i] = piece.isDirect() ? piece : array(piece);
    }
    return pieces;
  }

  /** The name of a piece is only made where it is told. */
  private static ByteBuffer piece(ByteBuffer[] payload, int i) {
    return payload[i] != null ? payload[i] : notNull("payload[" + i + "]", payload[i]);
  }

  /** Offset and length of each piece. */
  static int[] parts(ByteBuffer[] payload) {
    int[] parts = new int[2 * payload.length];
    for (int i = 0; i < payload.length; i++) {
      ByteBuffer piece = payload[i];
      parts[2 * i] = piece.isDirect() ? piece.position() : offset(piece);
      parts[2 * i + 1] = piece.remaining();
    }
    return parts;
  }

  /** One copy of all pieces. */
  static byte[] whole(ByteBuffer[] payload) {
    long size = 0;
    for (int i = 0; i < notNull("payload", payload).length; i++) {
      size += piece(payload, i).remaining();
    }
    if (size > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("payload: " + size + " bytes are more than 2 GiB");
    }
    byte[] whole = new byte[(int) size];
    int at = 0;
    for (ByteBuffer piece : payload) {
      int length = piece.remaining();
      piece.duplicate().get(whole, at, length);
      at += length;
    }
    return whole;
  }

  /** One copy of pieces and parts. */
  static byte[] whole(Object[] pieces, int[] parts) {
    ByteBuffer[] buffers = new ByteBuffer[pieces.length];
    for (int i = 0; i < pieces.length; i++) {
      int from = parts[2 * i];
      boolean array = pieces[i] instanceof byte[];
      ByteBuffer all =
          array ? ByteBuffer.wrap((byte[]) pieces[i]) : ((ByteBuffer) pieces[i]).duplicate();
      all.limit(from + parts[2 * i + 1]).position(from);
      buffers[i] = all;
    }
    return whole(buffers);
  }

  static void within(byte[] payload, int offset, int length) {
    if (offset < 0 || length < 0 || length > payload.length - offset) {
      throw new IllegalArgumentException(
          "offset "
              + offset
              + " and length "
              + length
              + " do not lie within the "
              + payload.length
              + " bytes of the payload");
    }
  }

  /** A limit in ms, part of one counted as a whole: 0 if negative, the longest if longer. */
  static long millis(Duration limit) {
    if (notNull("limit", limit).isNegative()) {
      return 0;
    }
    boolean longer = limit.getSeconds() >= Builder.MAX_MILLIS / 1000;
    return longer ? Builder.MAX_MILLIS : limit.plusNanos(999_999).toMillis();
  }

  static <T> T notNull(String name, T argument) {
    if (argument == null) {
      throw new IllegalArgumentException(name + " must not be null");
    }
    return argument;
  }

  /** Counts that a tracer reports. */
  static long count(String name, long count) {
    if (count < 0) {
      throw new IllegalArgumentException(name + " is " + count + "; it must not be negative");
    }
    return count;
  }
}
