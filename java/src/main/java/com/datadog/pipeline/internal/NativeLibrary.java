package com.datadog.pipeline.internal;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.zip.CRC32;

/**
 * Finds and loads the native library. Thread-safe: {@link #load} runs once, in the static
 * initialiser of the class that has the natives.
 *
 * <p>Tried in this order: the file named by the property {@value #PATH_PROPERTY}; the directory
 * named by {@value #DIRECTORY_PROPERTY}, which holds the file or {@code <os>-<arch>/file}; the
 * JAR's resource {@code META-INF/data-pipeline/<os>-<arch>/file}, copied into a private directory
 * and deleted as soon as it is loaded. {@value #TEMP_PROPERTY} names another place for that
 * directory. A failure lists every try.
 */
public final class NativeLibrary {
  /** Property: the library's file. */
  public static final String PATH_PROPERTY = "com.datadog.pipeline.native.path";

  /** Property: a directory that holds the library. */
  public static final String DIRECTORY_PROPERTY = "com.datadog.pipeline.native.dir";

  /** Property: where the library of the JAR is put to be loaded. */
  public static final String TEMP_PROPERTY = "com.datadog.pipeline.native.tmpdir";

  private final List<String> tries = new ArrayList<>();
  private final List<Throwable> causes = new ArrayList<>();
  private final Platform platform = Platform.current();
  private String source = "";
  private volatile String sha256;
  private Path loaded;
  private String loadedResource;
  private long nanos;

  private NativeLibrary() {}

  /** Loads the library. Never throws; {@link #failure()} says how it went. */
  public static NativeLibrary load() {
    NativeLibrary library = new NativeLibrary();
    long start = System.nanoTime();
    try {
      // Before System.load: on some JDKs the two initialise each other and wait forever.
      FileSystems.getDefault();
      if (library.fromPath() || library.fromDirectory() || library.fromResource()) {
        library.nanos = System.nanoTime() - start;
        return library;
      }
    } catch (Throwable t) {
      library.failed("unexpected", t);
    }
    library.source = "";
    return library;
  }

  /** Where the library came from; empty if it could not be loaded. */
  public String source() {
    return source;
  }

  /**
   * SHA-256 of the library, in hex; empty if it cannot be read any more. Computed when asked for: a
   * JVM that has just started needs longer for it than for loading.
   */
  public String sha256() {
    String hash = sha256;
    if (hash == null) {
      hash = hash();
      sha256 = hash;
    }
    return hash;
  }

  private String hash() {
    if (loaded == null && loadedResource == null) {
      return "";
    }
    try (InputStream in = loaded != null ? Files.newInputStream(loaded) : open(loadedResource)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
      return hex(digest.digest());
    } catch (IOException | NoSuchAlgorithmException | RuntimeException e) {
      // Only shown to people; the library works without it.
      return "";
    }
  }

  /** How long loading took, in microseconds. */
  public long loadMicros() {
    return nanos / 1000;
  }

  /** Operating system and processor. */
  public Platform platform() {
    return platform;
  }

  /** Why there is no library, or null if there is one. */
  public Throwable failure() {
    if (!source.isEmpty()) {
      return null;
    }
    StringBuilder s = new StringBuilder("the native library could not be loaded on ");
    s.append(platform).append(", Java ").append(Platform.property("java.version"));
    for (String one : tries) {
      s.append("; ").append(one);
    }
    s.append(". Knobs: -D").append(PATH_PROPERTY).append("=FILE, -D").append(DIRECTORY_PROPERTY);
    s.append("=DIR, -D").append(TEMP_PROPERTY).append("=DIR");
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(s.toString());
    for (Throwable cause : causes) {
      error.addSuppressed(cause);
    }
    return error;
  }

  private boolean failed(String what, Throwable why) {
    tries.add(what + ": " + explain(why));
    causes.add(why);
    return false;
  }

  private boolean failed(String what, String why) {
    tries.add(what + ": " + why);
    return false;
  }

  private static String explain(Throwable why) {
    String text = String.valueOf(why.getMessage());
    // IllegalCallerException does not exist on Java 8.
    if (why.getClass().getName().equals("java.lang.IllegalCallerException")) {
      return "this JVM does not let the JAR load native code; start it with"
          + " --enable-native-access=ALL-UNNAMED";
    }
    if (text.contains("wrong ELF class")
        || text.contains("cannot open shared object file: No such file")) {
      return text + " (a library for another processor or C library)";
    }
    return text;
  }

  private boolean fromPath() {
    String path = Platform.property(PATH_PROPERTY);
    if (path.isEmpty()) {
      return failed("property " + PATH_PROPERTY, "not set");
    }
    try {
      return loadFile("file " + path, Paths.get(path), path);
    } catch (InvalidPathException e) {
      return failed("file " + path, e);
    }
  }

  private boolean fromDirectory() {
    String directory = Platform.property(DIRECTORY_PROPERTY);
    if (directory.isEmpty()) {
      return failed("property " + DIRECTORY_PROPERTY, "not set");
    }
    try {
      Path plain = Paths.get(directory, platform.libraryFile());
      Path nested = Paths.get(directory, platform.directory(), platform.libraryFile());
      Path file = Files.exists(nested) ? nested : plain;
      return loadFile("directory " + directory, file, file.toString());
    } catch (InvalidPathException e) {
      return failed("directory " + directory, e);
    }
  }

  private boolean loadFile(String what, Path file, String name) {
    if (!Files.isRegularFile(file)) {
      return failed(what, "there is no file " + file);
    }
    try {
      System.load(file.toAbsolutePath().toString());
      loaded = file;
      source = name;
      return true;
    } catch (LinkageError | RuntimeException e) {
      return failed(what, e);
    }
  }

  private boolean fromResource() {
    String directory = "META-INF/data-pipeline/" + platform.directory() + "/";
    String resource = directory + platform.libraryFile();
    String what = "resource " + resource;
    Path folder = null;
    Path file = null;
    try (InputStream in = open(resource)) {
      if (in == null) {
        return failed(
            what,
            "this JAR has no library for " + platform + "; use the JAR or classifier that does");
      }
      String expected = expectedSum(directory);
      folder = privateDirectory();
      file = folder.resolve(platform.libraryFile());
      String sum = copy(in, file);
      if (expected != null && !expected.equals(sum)) {
        return failed(what, "it is damaged: CRC-32 " + sum + " where " + expected + " belongs");
      }
      System.load(file.toAbsolutePath().toString());
      loadedResource = resource;
      source = "JAR " + resource;
      return true;
    } catch (LinkageError e) {
      return failed(what, file != null && noExec(file) ? noExecError(file, e) : e);
    } catch (IOException | RuntimeException e) {
      return failed(what, e);
    } finally {
      discard(file, folder);
    }
  }

  private static InputStream open(String resource) {
    ClassLoader loader = NativeLibrary.class.getClassLoader();
    return loader == null
        ? ClassLoader.getSystemResourceAsStream(resource)
        : loader.getResourceAsStream(resource);
  }

  private static String expectedSum(String directory) throws IOException {
    try (InputStream in = open(directory + "native.properties")) {
      if (in == null) {
        return null;
      }
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("crc32");
    }
  }

  /**
   * A new directory that only this user can enter. Its name need not be a secret: whoever has taken
   * it already is not followed. (The JDK's own way starts its random numbers, which takes a young
   * JVM longer than everything else here.)
   */
  private static Path privateDirectory() throws IOException {
    String base = Platform.property(TEMP_PROPERTY);
    if (base.isEmpty()) {
      base = Platform.property("java.io.tmpdir");
    }
    long number = System.nanoTime();
    for (int tries = 1; ; tries++, number += 0x9e3779b97f4a7c15L) {
      Path directory = Paths.get(base, "data-pipeline-" + Long.toHexString(number));
      try {
        return Files.createDirectory(directory, ownersOnly());
      } catch (FileAlreadyExistsException e) {
        if (tries == 100) {
          throw e;
        }
      }
    }
  }

  private static FileAttribute<?>[] ownersOnly() {
    if (FileSystems.getDefault().supportedFileAttributeViews().contains("posix")) {
      return new FileAttribute<?>[] {
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))
      };
    }
    return new FileAttribute<?>[0];
  }

  /** Writes the file and gives the CRC-32 of what it wrote, in hex. */
  private static String copy(InputStream in, Path file) throws IOException {
    Files.createFile(file, ownersOnly());
    CRC32 sum = new CRC32();
    try (OutputStream out = Files.newOutputStream(file, StandardOpenOption.WRITE)) {
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        sum.update(buffer, 0, n);
        out.write(buffer, 0, n);
      }
    }
    return Long.toHexString(sum.getValue());
  }

  private static String hex(byte[] bytes) {
    StringBuilder s = new StringBuilder(bytes.length * 2);
    for (byte b : bytes) {
      s.append(Character.forDigit((b >> 4) & 15, 16)).append(Character.forDigit(b & 15, 16));
    }
    return s.toString();
  }

  /** A file system mounted with noexec says so here although the file has the bit. */
  private static boolean noExec(Path file) {
    File f = file.toFile();
    return f.exists() && !f.canExecute();
  }

  private static LinkageError noExecError(Path file, LinkageError cause) {
    UnsatisfiedLinkError error =
        new UnsatisfiedLinkError(
            file.getParent()
                + " is on a file system that allows no execution (noexec); set -D"
                + TEMP_PROPERTY);
    error.initCause(cause);
    return error;
  }

  private void discard(Path file, Path folder) {
    boolean loaded = !source.isEmpty();
    for (Path path : new Path[] {file, folder}) {
      if (path == null || !Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
        continue;
      }
      if (loaded && !platform.unlinksLoadedFiles()) {
        path.toFile().deleteOnExit();
        continue;
      }
      try {
        Files.delete(path);
      } catch (IOException e) {
        path.toFile().deleteOnExit();
      }
    }
  }
}
