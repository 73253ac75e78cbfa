package com.datadog.pipeline.testkit;

import java.math.BigInteger;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads msgpack in the order in which it stands. Not thread-safe. */
final class Msgpack {
  private final ByteBuffer in;

  Msgpack(byte[] bytes) {
    in = ByteBuffer.wrap(bytes);
  }

  /** Nothing may follow: a body is one value. */
  void end() {
    if (in.hasRemaining()) {
      throw bad(in.remaining() + " bytes follow the payload");
    }
  }

  private IllegalArgumentException bad(String what) {
    return new IllegalArgumentException("offset " + in.position() + ": " + what);
  }

  /** The next byte, which says what comes; it is not taken. */
  int peek() {
    if (!in.hasRemaining()) {
      throw bad("the payload ends too early");
    }
    return in.get(in.position()) & 0xff;
  }

  private int head() {
    int head = peek();
    in.get();
    return head;
  }

  /** The number of elements of an array. */
  int array() {
    int head = head();
    if (head >= 0x90 && head < 0xa0) {
      return head & 0x0f;
    }
    return head == 0xdc ? in.getShort() & 0xffff : head == 0xdd ? size(in.getInt()) : none("array");
  }

  /** The number of entries of a map; nil has none. */
  int map() {
    int head = head();
    if (head >= 0x80 && head < 0x90) {
      return head & 0x0f;
    }
    if (head == 0xc0) {
      return 0;
    }
    return head == 0xde ? in.getShort() & 0xffff : head == 0xdf ? size(in.getInt()) : none("map");
  }

  private int none(String what) {
    in.position(in.position() - 1);
    throw bad("an " + what + " was expected, found byte 0x" + Integer.toHexString(peek()));
  }

  /** A declared size, which cannot be more than the bytes that are there. */
  private int size(int n) {
    if (n < 0 || n > in.remaining()) {
      throw bad("a size of " + (n & 0xffffffffL) + " is more than what follows");
    }
    return n;
  }

  boolean isText() {
    int head = peek();
    return head >= 0xa0 && head < 0xc0 || head >= 0xd9 && head <= 0xdb;
  }

  /** A text; nil is an empty one. */
  String text() {
    Object value = value();
    if (value == null) {
      return "";
    }
    if (value instanceof byte[]) {
      return new String((byte[]) value, StandardCharsets.UTF_8);
    }
    if (!(value instanceof String)) {
      throw bad("a text was expected, found " + value);
    }
    return (String) value;
  }

  byte[] binary() {
    Object value = value();
    if (!(value instanceof byte[])) {
      throw bad("binary was expected, found " + value);
    }
    return (byte[]) value;
  }

  /** A number of any kind; nil is zero. */
  Number number() {
    Object value = value();
    if (value == null) {
      return 0L;
    }
    if (value instanceof Boolean) {
      return (Boolean) value ? 1L : 0L;
    }
    if (!(value instanceof Number)) {
      throw bad("a number was expected, found " + value);
    }
    return (Number) value;
  }

  long integer() {
    return number().longValue();
  }

  /**
   * Anything: Long (BigInteger above its range), Double, String, byte[], Boolean, List, Map or
   * null.
   */
  Object value() {
    try {
      return any();
    } catch (BufferUnderflowException e) {
      throw bad("the payload ends too early");
    }
  }

  private Object any() {
    int head = head();
    if (head < 0x80) {
      return (long) head;
    }
    if (head < 0x90) {
      return entries(head & 0x0f);
    }
    if (head < 0xa0) {
      return elements(head & 0x0f);
    }
    if (head < 0xc0) {
      return string(head & 0x1f);
    }
    if (head >= 0xe0) {
      return (long) (byte) head;
    }
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return bytes(in.get() & 0xff);
      case 0xc5:
        return bytes(in.getShort() & 0xffff);
      case 0xc6:
        return bytes(in.getInt());
      case 0xca:
        return (double) in.getFloat();
      case 0xcb:
        return in.getDouble();
      case 0xcc:
        return (long) (in.get() & 0xff);
      case 0xcd:
        return (long) (in.getShort() & 0xffff);
      case 0xce:
        return in.getInt() & 0xffffffffL;
      case 0xcf:
        long bits = in.getLong();
        return bits >= 0 ? bits : (Object) new BigInteger(Long.toUnsignedString(bits));
      case 0xd3:
        return in.getLong();
      case 0xd0:
        return (long) in.get();
      case 0xd1:
        return (long) in.getShort();
      case 0xd2:
        return (long) in.getInt();
      case 0xd9:
        return string(in.get() & 0xff);
      case 0xda:
        return string(in.getShort() & 0xffff);
      case 0xdb:
        return string(in.getInt());
      case 0xdc:
        return elements(in.getShort() & 0xffff);
      case 0xdd:
        return elements(in.getInt());
      case 0xde:
        return entries(in.getShort() & 0xffff);
      case 0xdf:
        return entries(in.getInt());
      default:
        throw bad("byte 0x" + Integer.toHexString(head) + " begins nothing that payloads have");
    }
  }

  private byte[] bytes(int n) {
    byte[] bytes = new byte[size(n)];
    in.get(bytes);
    return bytes;
  }

  private String string(int n) {
    return new String(bytes(n), StandardCharsets.UTF_8);
  }

  private List<Object> elements(int n) {
    List<Object> all = new ArrayList<>();
    for (int i = size(n); i > 0; i--) {
      all.add(any());
    }
    return all;
  }

  private Map<Object, Object> entries(int n) {
    Map<Object, Object> all = new LinkedHashMap<>();
    for (int i = size(n); i > 0; i--) {
      Object key = any();
      all.put(key, any());
    }
    return all;
  }
}
