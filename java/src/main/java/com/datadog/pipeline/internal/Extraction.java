package com.datadog.pipeline.internal;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;

/**
 * A copy of the library in a directory of its own, which only this user can enter. The copy is
 * deleted as soon as it is loaded where the system allows that, else by a later JVM ({@link
 * #sweep}), and not at all if the property {@code com.datadog.pipeline.native.keep} is {@code
 * true}: profilers want to read it.
 */
final class Extraction {
  /** Property: the directory in which the copy is made. */
  static final String DIRECTORY_PROPERTY = Platform.propertyName("tmpdir");

  /** Property: whether the copy stays until the JVM ends. */
  static final String KEEP_PROPERTY = Platform.propertyName("keep");

  private static final String PREFIX = "data-pipeline-";
  private static final String KEPT_PREFIX = "data-pipeline-kept-";

  /** At most so many entries of a directory are looked at for left-overs. */
  private static final int SWEEP_ENTRIES = 1_000;

  private final boolean unlinks;
  private final boolean keep;
  private final Path directory;
  private final Path file;

  /**
   * Makes the directory. Its name need not be a secret: whoever has taken it already is not
   * followed. (The JDK's own way starts its random numbers, which takes a young JVM longer than
   * everything else here.)
   */
  Extraction(File place, Platform platform) throws IOException {
    this.unlinks = platform.unlinksLoadedFiles();
    this.keep = Platform.property(KEEP_PROPERTY).equals("true");
    String prefix = keep ? KEPT_PREFIX : PREFIX;
    long number = System.nanoTime();
    Path made = null;
    for (int tries = 1; made == null; tries++, number += 0x9e3779b97f4a7c15L) {
      try {
        Path wanted = new File(place, prefix + Long.toHexString(number)).toPath();
        made = Files.createDirectory(wanted, ownersOnly());
      } catch (FileAlreadyExistsException e) {
        if (tries == 100) {
          throw e;
        }
      }
    }
    this.directory = made;
    this.file = made.resolve(platform.libraryFile()).toAbsolutePath();
  }

  /**
   * Where a copy may be made, best first: the directory of the property alone, or {@code
   * java.io.tmpdir}, {@code XDG_RUNTIME_DIR}, the user's cache, the working directory.
   */
  static List<File> places() throws IOException {
    List<File> places = new ArrayList<>(5);
    String configured = Platform.property(DIRECTORY_PROPERTY);
    if (!configured.isEmpty()) {
      File directory = new File(configured);
      if (!directory.isDirectory()) {
        throw new NoSuchFileException(
            configured, null, "no such directory, named by -D" + DIRECTORY_PROPERTY);
      }
      places.add(directory);
    }
    add(places, Platform.property("java.io.tmpdir"));
    add(places, Platform.environment("XDG_RUNTIME_DIR"));
    String home = Platform.property("user.home");
    add(places, home.isEmpty() ? "" : new File(home, ".cache").getPath());
    add(places, Platform.property("user.dir"));
    return places;
  }

  private static void add(List<File> places, String path) {
    if (!path.isEmpty() && !places.contains(new File(path))) {
      places.add(new File(path));
    }
  }

  File file() {
    return file.toFile();
  }

  /** Writes the file and gives the CRC-32 of what it wrote, in hex. */
  String copy(InputStream in) throws IOException {
    CRC32 sum = new CRC32();
    // The directory is new, and nobody else can enter it. Not a channel, nor Files.createFile,
    // which
    // opens one: its classes are not in the archive that every JVM starts from.
    try (OutputStream out = new FileOutputStream(file.toFile())) {
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        sum.update(buffer, 0, n);
        out.write(buffer, 0, n);
      }
    }
    file.toFile().setExecutable(true);
    return Long.toHexString(sum.getValue());
  }

  private static FileAttribute<?>[] ownersOnly() {
    if (FileSystems.getDefault().supportedFileAttributeViews().contains("posix")) {
      return new FileAttribute<?>[] {
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))
      };
    }
    return new FileAttribute<?>[0];
  }

  /** A file system mounted with noexec says so here although the file has the bit. */
  boolean allowsNoExecution() {
    File f = file.toFile();
    return f.exists() && !f.canExecute();
  }

  /** Deletes the copy, or leaves that to the end of the JVM or to a later one. */
  void discard(boolean loaded) {
    if (loaded && (keep || !unlinks)) {
      // In this order: the last one told is deleted first.
      directory.toFile().deleteOnExit();
      file.toFile().deleteOnExit();
      return;
    }
    delete(file);
    delete(directory);
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      path.toFile().deleteOnExit();
    }
  }

  /**
   * Deletes what JVMs have left that crashed, or that could not delete a file which was loaded:
   * directories with our prefix, of our user, old enough that nobody is about to load from them.
   */
  void sweep(File place, Platform platform) {
    // Where a loaded file cannot be deleted, the system itself protects those in use.
    long age = platform.unlinksLoadedFiles() ? 3_600_000 : 5_000;
    long before = System.currentTimeMillis() - age;
    int looked = 0;
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(place.toPath())) {
      for (Path entry : entries) {
        if (++looked > SWEEP_ENTRIES) {
          return;
        }
        String name = entry.getFileName().toString();
        if (name.startsWith(PREFIX)
            && !name.startsWith(KEPT_PREFIX)
            && Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)
            && Files.getLastModifiedTime(entry).toMillis() < before
            && Files.getOwner(entry).equals(Files.getOwner(directory))) {
          if (!entry.resolve(platform.libraryFile()).toFile().delete()
              && Files.exists(entry.resolve(platform.libraryFile()))) {
            continue;
          }
          entry.toFile().delete();
        }
      }
    } catch (IOException | RuntimeException e) {
      // A left-over stays; that is no reason not to work.
      return;
    }
  }
}
