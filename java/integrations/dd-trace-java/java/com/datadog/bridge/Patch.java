package com.datadog.bridge;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/**
 * Puts a few instructions in front of one method of a class file, without a library for that: what
 * stands on the boot class path must not shadow an application's own.
 *
 * <pre>
 *   Object answer = Bridge.send(this, payload);
 *   if (answer != null) return (Response) answer;
 *   ... the method as it was ...
 * </pre>
 *
 * <p>No member is added, so the class may be loaded already. Stateless.
 */
final class Patch {
  /** The method, whatever the tracer's packages are called. */
  static final String METHOD = "sendSerializedTraces";

  private static final String BRIDGE = Bridge.class.getName().replace('.', '/');
  private static final String DESCRIPTOR =
      "(Ljava/lang/Object;Ljava/lang/Object;)Ljava/lang/Object;";

  /** Length of what is put in front; a multiple of 4, so that switches keep their padding. */
  private static final int LENGTH = 16;

  /** Where the method goes on if the bridge did nothing. */
  private static final int REST = 13;

  private Patch() {}

  /** A class file that the patch does not fit. */
  static final class Misfit extends Exception {
    private static final long serialVersionUID = 1L;

    Misfit(String message) {
      super(message);
    }
  }

  /**
   * The patched class file.
   *
   * @throws Misfit if it has no such method, or is no class file that is understood here
   */
  static byte[] apply(byte[] classFile) throws Misfit {
    try {
      return new Editor(classFile).edit();
    } catch (IOException | IndexOutOfBoundsException e) {
      throw new Misfit("the class file cannot be read: " + e);
    }
  }

  private static final class Editor {
    private final byte[] file;
    private int poolCount;
    private int poolEnd;
    private int[] entries;

    // Numbers of what is added.
    private int send;
    private int response;
    private int object;

    Editor(byte[] file) {
      this.file = file;
    }

    private int u2(int at) {
      return (file[at] & 0xff) << 8 | file[at + 1] & 0xff;
    }

    private int u4(int at) {
      return u2(at) << 16 | u2(at + 2);
    }

    private String utf8(int index) {
      int at = entries[index];
      // Names of the tracer are ASCII.
      return new String(file, at + 3, u2(at + 1), StandardCharsets.UTF_8);
    }

    byte[] edit() throws IOException, Misfit {
      if (file.length < 10 || u4(0) != 0xCAFEBABE) {
        throw new Misfit("no class file");
      }
      readPool();
      int at = poolEnd + 6;
      at += 2 + 2 * u2(at);
      int fields = u2(at);
      at += 2;
      for (int i = 0; i < fields; i++) {
        at = skipMember(at);
      }
      int methods = u2(at);
      at += 2;
      for (int i = 0; i < methods; i++) {
        int next = skipMember(at);
        if (utf8(u2(at + 2)).equals(METHOD)) {
          String descriptor = utf8(u2(at + 4));
          int code = codeOf(at);
          if ((u2(at) & 0x0008) == 0 && code > 0 && descriptor.matches("\\(L[^;]+;\\)L[^;]+;")) {
            return write(code, descriptor);
          }
        }
        at = next;
      }
      throw new Misfit("it has no method " + METHOD + " of one argument");
    }

    private void readPool() throws Misfit {
      poolCount = u2(8);
      entries = new int[poolCount];
      int at = 10;
      for (int i = 1; i < poolCount; i++) {
        entries[i] = at;
        switch (file[at]) {
          case 1:
            at += 3 + u2(at + 1);
            break;
          case 3:
          case 4:
          case 9:
          case 10:
          case 11:
          case 12:
          case 17:
          case 18:
            at += 5;
            break;
          case 5:
          case 6:
            at += 9;
            i++;
            break;
          case 7:
          case 8:
          case 16:
          case 19:
          case 20:
            at += 3;
            break;
          case 15:
            at += 4;
            break;
          default:
            throw new Misfit("constant " + i + " is of an unknown kind");
        }
      }
      poolEnd = at;
    }

    private int skipMember(int at) {
      int attributes = u2(at + 6);
      at += 8;
      for (int i = 0; i < attributes; i++) {
        at += 6 + u4(at + 2);
      }
      return at;
    }

    /** Where the method's code attribute stands, 0 if it has none. */
    private int codeOf(int method) {
      int attributes = u2(method + 6);
      int at = method + 8;
      for (int i = 0; i < attributes; i++) {
        if (utf8(u2(at)).equals("Code")) {
          return at;
        }
        at += 6 + u4(at + 2);
      }
      return 0;
    }

    private byte[] write(int code, String descriptor) throws IOException, Misfit {
      ByteArrayOutputStream pool = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(pool);
      int next = poolCount;
      String returned = descriptor.substring(descriptor.indexOf(')') + 2, descriptor.length() - 1);
      text(out, BRIDGE);
      reference(out, 7, next);
      text(out, "send");
      text(out, DESCRIPTOR);
      pair(out, 12, next + 2, next + 3);
      pair(out, 10, next + 1, next + 4);
      text(out, returned);
      reference(out, 7, next + 6);
      text(out, "java/lang/Object");
      reference(out, 7, next + 8);
      send = next + 5;
      response = next + 7;
      object = next + 9;
      int added = 10;

      byte[] body = codeBody(code);
      ByteArrayOutputStream bytes = new ByteArrayOutputStream(file.length + 256);
      DataOutputStream result = new DataOutputStream(bytes);
      result.write(file, 0, 8);
      result.writeShort(poolCount + added);
      result.write(file, 10, poolEnd - 10);
      pool.writeTo(result);
      result.write(file, poolEnd, code + 2 - poolEnd);
      result.writeInt(body.length);
      result.write(body);
      int end = code + 6 + u4(code + 2);
      result.write(file, end, file.length - end);
      return bytes.toByteArray();
    }

    private static void text(DataOutputStream out, String text) throws IOException {
      out.writeByte(1);
      out.writeUTF(text);
    }

    private static void reference(DataOutputStream out, int kind, int to) throws IOException {
      out.writeByte(kind);
      out.writeShort(to);
    }

    private static void pair(DataOutputStream out, int kind, int first, int second)
        throws IOException {
      out.writeByte(kind);
      out.writeShort(first);
      out.writeShort(second);
    }

    /** The code attribute's content, with the instructions in front. */
    private byte[] codeBody(int code) throws IOException, Misfit {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      int at = code + 6;
      out.writeShort(Math.max(2, u2(at)));
      out.writeShort(u2(at + 2));
      int length = u4(at + 4);
      if (length + LENGTH > 0xffff) {
        throw new Misfit("the method is too long");
      }
      out.writeInt(length + LENGTH);
      out.writeByte(0x2a); // 0 aload_0
      out.writeByte(0x2b); // 1 aload_1
      out.writeByte(0xb8); // 2 invokestatic Bridge.send
      out.writeShort(send);
      out.writeByte(0x59); // 5 dup
      out.writeByte(0xc6); // 6 ifnull REST
      out.writeShort(REST - 6);
      out.writeByte(0xc0); // 9 checkcast Response
      out.writeShort(response);
      out.writeByte(0xb0); // 12 areturn
      out.writeByte(0x57); // 13 pop
      out.writeByte(0x00); // 14 nop
      out.writeByte(0x00); // 15 nop
      out.write(file, at + 8, length);
      at += 8 + length;
      int handlers = u2(at);
      out.writeShort(handlers);
      at += 2;
      for (int i = 0; i < handlers; i++) {
        for (int j = 0; j < 3; j++) {
          out.writeShort(u2(at + 2 * j) + LENGTH);
        }
        out.writeShort(u2(at + 6));
        at += 8;
      }
      attributes(out, at);
      return bytes.toByteArray();
    }

    private void attributes(DataOutputStream out, int at) throws IOException, Misfit {
      int count = u2(at);
      at += 2;
      ByteArrayOutputStream kept = new ByteArrayOutputStream();
      DataOutputStream to = new DataOutputStream(kept);
      int n = 0;
      boolean frames = false;
      for (int i = 0; i < count; i++) {
        int content = at + 6;
        int length = u4(at + 2);
        byte[] changed = null;
        switch (utf8(u2(at))) {
          case "StackMapTable":
            changed = frames(content);
            frames = true;
            break;
          case "LineNumberTable":
            changed = shifted(content, length, 4);
            break;
          case "LocalVariableTable":
          case "LocalVariableTypeTable":
            changed = shifted(content, length, 10);
            break;
          default:
            // Nothing else in code matters to a running JVM.
        }
        if (changed != null) {
          to.writeShort(u2(at));
          to.writeInt(changed.length);
          to.write(changed);
          n++;
        }
        at = content + length;
      }
      if (!frames) {
        throw new Misfit("the method has no stack map");
      }
      out.writeShort(n);
      kept.writeTo(out);
    }

    /** A table whose entries begin with a place in the code. */
    private byte[] shifted(int content, int length, int entry) throws IOException {
      byte[] table = new byte[length];
      System.arraycopy(file, content, table, 0, length);
      for (int at = 2; at + entry <= length; at += entry) {
        int place = ((table[at] & 0xff) << 8 | table[at + 1] & 0xff) + LENGTH;
        table[at] = (byte) (place >>> 8);
        table[at + 1] = (byte) place;
      }
      return table;
    }

    /** One frame more, where the bridge did nothing; the others stand further back. */
    private byte[] frames(int content) throws IOException, Misfit {
      DataInputStream in =
          new DataInputStream(new ByteArrayInputStream(file, content, file.length - content));
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      DataOutputStream out = new DataOutputStream(bytes);
      int count = in.readUnsignedShort();
      out.writeShort(count + 1);
      out.writeByte(64 + REST); // the same locals, one value on the stack
      out.writeByte(7);
      out.writeShort(object);
      // Of the first old frame the distance is counted from the new one.
      int more = LENGTH - REST - 1;
      for (int i = 0; i < count; i++) {
        int type = in.readUnsignedByte();
        if (type < 64) {
          int delta = type + more;
          if (delta < 64) {
            out.writeByte(delta);
          } else {
            out.writeByte(251);
            out.writeShort(delta);
          }
        } else if (type < 128) {
          int delta = type - 64 + more;
          if (delta < 64) {
            out.writeByte(64 + delta);
          } else {
            out.writeByte(247);
            out.writeShort(delta);
          }
          types(in, out, 1);
        } else if (type == 247) {
          out.writeByte(type);
          out.writeShort(in.readUnsignedShort() + more);
          types(in, out, 1);
        } else if (type >= 248 && type <= 251) {
          out.writeByte(type);
          out.writeShort(in.readUnsignedShort() + more);
        } else if (type >= 252 && type <= 254) {
          out.writeByte(type);
          out.writeShort(in.readUnsignedShort() + more);
          types(in, out, type - 251);
        } else if (type == 255) {
          out.writeByte(type);
          out.writeShort(in.readUnsignedShort() + more);
          int locals = in.readUnsignedShort();
          out.writeShort(locals);
          types(in, out, locals);
          int stack = in.readUnsignedShort();
          out.writeShort(stack);
          types(in, out, stack);
        } else {
          throw new Misfit("a frame is of an unknown kind");
        }
        more = 0;
      }
      return bytes.toByteArray();
    }

    private static void types(DataInputStream in, DataOutputStream out, int count)
        throws IOException {
      for (int i = 0; i < count; i++) {
        int tag = in.readUnsignedByte();
        out.writeByte(tag);
        if (tag == 7) {
          out.writeShort(in.readUnsignedShort());
        } else if (tag == 8) {
          // Where an object was made that is not initialized yet.
          out.writeShort(in.readUnsignedShort() + LENGTH);
        }
      }
    }
  }
}
