package com.datadog.pipeline.internal;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Looks at the head of a library before it is mapped. A file that is shorter than its own head says
 * ends the JVM with SIGBUS when its last pages are touched; one that is not ours has initialisers
 * of its own, which run before anybody can ask it for its version.
 */
final class LibraryFile {
  /** Part of what {@link #fault} says of a library of ours with another version. */
  static final String OTHER_VERSION = "is of version ";

  private static final String MARK = "data_pipeline_version:";

  /** As much of a table or note is read. What is larger is not of ours. */
  private static final int MOST = 1 << 16;

  private static final int ELF = 0x464c457f;
  private static final int MACH_O = 0xfeedfacf;
  private static final int MZ = 0x5a4d;
  private static final int PE = 0x4550;

  private final RandomAccessFile file;
  private final long length;
  private String os;
  private String arch;

  /** As many bytes the file must have. */
  private long needed;

  /** The section or note that holds the mark. */
  private String mark = "";

  private LibraryFile(RandomAccessFile file) throws IOException {
    this.file = file;
    this.length = file.length();
  }

  /** Whether the file begins as a library does. */
  static boolean isLibrary(File file) {
    try (RandomAccessFile in = new RandomAccessFile(file, "r")) {
      ByteBuffer head = new LibraryFile(in).read(0, 64);
      int magic = head.getInt(0);
      return magic == ELF || magic == MACH_O || (magic & 0xffff) == MZ;
    } catch (IOException | IndexOutOfBoundsException e) {
      return false;
    }
  }

  /** What is wrong with the file, or null. */
  static String fault(File path, Platform platform, String version) throws IOException {
    try (RandomAccessFile in = new RandomAccessFile(path, "r")) {
      LibraryFile library = new LibraryFile(in);
      try {
        library.look();
      } catch (IndexOutOfBoundsException e) {
        return "it is cut off or damaged: " + library.length + " bytes";
      }
      return library.fault(platform, version);
    }
  }

  private String fault(Platform platform, String version) {
    if (os == null) {
      return "it is no native library";
    }
    String target = os + "-" + arch;
    if (!target.equals(platform.directory())) {
      return "it is for " + target + ", this is " + platform + " (another processor or system)";
    }
    if (length < needed) {
      return "it is cut off: " + length + " of " + needed + " bytes";
    }
    int at = mark.indexOf(MARK);
    if (at < 0) {
      return "it is not ours: it has no mark of data-pipeline";
    }
    int end = mark.indexOf('\0', at);
    String found = mark.substring(at + MARK.length(), end < 0 ? mark.length() : end);
    return found.equals(version) ? null : "it " + OTHER_VERSION + found + ", the JAR is " + version;
  }

  private void look() throws IOException {
    ByteBuffer head = read(0, 64);
    int magic = head.getInt(0);
    if (magic == ELF && head.get(4) == 2 && head.get(5) == 1) {
      elf(head);
    } else if (magic == MACH_O) {
      machO(head);
    } else if ((magic & 0xffff) == MZ) {
      portableExecutable(head);
    }
  }

  /** The bytes from {@code offset} on, at most {@code count}; less at the end of the file. */
  private ByteBuffer read(long offset, long count) throws IOException {
    if (offset < 0 || count < 0 || offset > length) {
      throw new IndexOutOfBoundsException();
    }
    byte[] bytes = new byte[(int) Math.min(Math.min(count, MOST), length - offset)];
    file.seek(offset);
    file.readFully(bytes);
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private void needs(long offset, long count) {
    if (offset < 0 || count < 0 || offset + count < 0) {
      throw new IndexOutOfBoundsException();
    }
    needed = Math.max(needed, offset + count);
  }

  private String text(long offset, long count) throws IOException {
    // What lies behind the end is missed by the length already.
    return offset > length
        ? ""
        : new String(read(offset, count).array(), StandardCharsets.ISO_8859_1);
  }

  private static int unsigned(ByteBuffer bytes, int at) {
    return bytes.getShort(at) & 0xffff;
  }

  /** Segments and the table of sections, which stands at the end; the mark is a note. */
  private void elf(ByteBuffer head) throws IOException {
    os = "linux";
    int machine = unsigned(head, 18);
    arch = machine == 0x3e ? "x86_64" : machine == 0xb7 ? "aarch64" : "machine " + machine;
    long segments = head.getLong(32);
    int size = unsigned(head, 54);
    int count = unsigned(head, 56);
    needs(segments, (long) size * count);
    needs(head.getLong(40), (long) unsigned(head, 58) * unsigned(head, 60));
    ByteBuffer table = read(segments, (long) size * count);
    StringBuilder notes = new StringBuilder();
    for (int i = 0; i < count; i++) {
      long offset = table.getLong(i * size + 8);
      long bytes = table.getLong(i * size + 32);
      needs(offset, bytes);
      if (table.getInt(i * size) == 4) {
        notes.append(text(offset, bytes));
      }
    }
    mark = notes.toString();
  }

  /** Segments; the mark is a section {@code __dp_version}. */
  private void machO(ByteBuffer head) throws IOException {
    os = "macos";
    int cpu = head.getInt(4);
    arch = cpu == 0x01000007 ? "x86_64" : cpu == 0x0100000c ? "aarch64" : "machine " + cpu;
    int count = head.getInt(16);
    int size = head.getInt(20);
    needs(32, size);
    ByteBuffer commands = read(32, size);
    int at = 0;
    for (int i = 0; i < count; i++) {
      int length = commands.getInt(at + 4);
      if (length < 8) {
        throw new IndexOutOfBoundsException();
      }
      if (commands.getInt(at) == 0x19) {
        needs(commands.getLong(at + 40), commands.getLong(at + 48));
        int sections = commands.getInt(at + 64);
        for (int s = 0; s < sections; s++) {
          int section = at + 72 + 80 * s;
          if (name(commands, section, 16).equals("__dp_version")) {
            mark = text(commands.getInt(section + 48), commands.getLong(section + 40));
          }
        }
      }
      at += length;
    }
  }

  /** Sections; the mark is one of them, {@code .dpver}. */
  private void portableExecutable(ByteBuffer dos) throws IOException {
    os = "windows";
    long start = dos.getInt(0x3c);
    ByteBuffer head = read(start, 24);
    if (head.getInt(0) != PE) {
      os = null;
      return;
    }
    int machine = unsigned(head, 4);
    arch = machine == 0x8664 ? "x86_64" : machine == 0xaa64 ? "aarch64" : "machine " + machine;
    int count = unsigned(head, 6);
    long sections = start + 24 + unsigned(head, 20);
    needs(sections, 40L * count);
    ByteBuffer table = read(sections, 40L * count);
    for (int i = 0; i < count; i++) {
      long size = table.getInt(40 * i + 16) & 0xffffffffL;
      long offset = table.getInt(40 * i + 20) & 0xffffffffL;
      needs(offset, size);
      if (name(table, 40 * i, 8).equals(".dpver")) {
        mark = text(offset, size);
      }
    }
  }

  private static String name(ByteBuffer bytes, int at, int length) {
    StringBuilder s = new StringBuilder(length);
    for (int i = 0; i < length && bytes.get(at + i) != 0; i++) {
      s.append((char) bytes.get(at + i));
    }
    return s.toString();
  }
}
