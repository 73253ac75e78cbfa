package com.datadog.pipeline.internal;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.AccessController;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.PrivilegedAction;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;

/**
 * Finds and loads the native library. Thread-safe: {@link #load} runs once, when the class that has
 * the natives is asked for them.
 *
 * <p>Tried in this order:
 *
 * <ol>
 *   <li>the file named by the property {@code com.datadog.pipeline.native.path};
 *   <li>the directory named by {@code com.datadog.pipeline.native.dir}, which holds the file or
 *       {@code <os>-<arch>/file};
 *   <li>what was handed over ({@link #handOver}): a JAR, a directory or a file;
 *   <li>the resource {@code META-INF/data-pipeline/<os>-<arch>/file} of the JAR with our version,
 *       copied as {@link Extraction} says;
 *   <li>the directories of {@code java.library.path};
 *   <li>natives that the host has provided.
 * </ol>
 *
 * <p>What somebody has named, in one of the first three ways, is an error if it cannot be used:
 * nothing else is tried then. A failure lists every try.
 */
public final class NativeLibrary {
  /** Property: the library's file. */
  public static final String PATH_PROPERTY = Platform.propertyName("path");

  /** Property: a directory that holds the library. */
  public static final String DIRECTORY_PROPERTY = Platform.propertyName("dir");

  /** Property: where the copy of the JAR's library is made. */
  public static final String TEMP_PROPERTY = Extraction.DIRECTORY_PROPERTY;

  /** Property: {@code true} keeps that copy until the JVM ends. */
  public static final String KEEP_PROPERTY = Extraction.KEEP_PROPERTY;

  private static Path handedOver;
  private static boolean looked;

  private final String version;
  private final List<String> tries = new ArrayList<>();
  private final List<Throwable> causes = new ArrayList<>();
  private final Platform platform = Platform.current();
  private boolean otherVersion;
  private String source = "";
  private volatile String sha256;
  private Resources loadedFrom;
  private Path loadedFile;
  private long nanos;

  NativeLibrary(String version) {
    this.version = version;
  }

  /**
   * Names where to look. To be called before the library is loaded.
   *
   * @return false if it comes too late: the library was looked for already
   */
  public static synchronized boolean handOver(Path jarOrFile) {
    if (looked) {
      return false;
    }
    handedOver = jarOrFile;
    return true;
  }

  private static synchronized Path takeHandedOver() {
    looked = true;
    return handedOver;
  }

  /** Loads the library of this version. Never throws; {@link #failure()} says how it went. */
  public static NativeLibrary load(final String version) {
    PrivilegedAction<NativeLibrary> action =
        new PrivilegedAction<NativeLibrary>() {
          @Override
          public NativeLibrary run() {
            NativeLibrary library = new NativeLibrary(version);
            library.find();
            return library;
          }
        };
    try {
      // Under a security manager it is our right that counts, not that of whoever comes first.
      return AccessController.doPrivileged(action);
    } catch (LinkageError e) {
      // A JVM that has no such thing any more.
      return action.run();
    }
  }

  private void find() {
    long start = System.nanoTime();
    try {
      // Before System.load: on some JDKs the two initialise each other and wait forever.
      FileSystems.getDefault();
      if (fromPath() || fromDirectory() || fromHandedOver()) {
        nanos = System.nanoTime() - start;
        return;
      }
      if (!isNamed() && (fromClassPath() || fromLibraryPath())) {
        nanos = System.nanoTime() - start;
        return;
      }
    } catch (Throwable t) {
      failed("unexpected", t);
    }
    source = "";
  }

  private boolean isNamed() {
    return !Platform.property(PATH_PROPERTY).isEmpty()
        || !Platform.property(DIRECTORY_PROPERTY).isEmpty()
        || takeHandedOver() != null;
  }

  /** The natives work although nothing could be loaded: the host has linked or loaded them. */
  public void providedByHost() {
    source = "the host";
  }

  /** Where the library came from; empty if it could not be loaded. */
  public String source() {
    return source;
  }

  /** Every try and how it ended, the one that worked included. Unmodifiable. */
  public List<String> tries() {
    return Collections.unmodifiableList(tries);
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
    if (loadedFile == null && loadedFrom == null) {
      return "";
    }
    try (InputStream in =
        loadedFile != null
            ? Files.newInputStream(loadedFile)
            : loadedFrom.open(platform.resource(platform.libraryFile()))) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] buffer = new byte[1 << 16];
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
      return hex(digest.digest());
    } catch (IOException | NoSuchAlgorithmException | RuntimeException e) {
      // Only shown to people; the library works without it.
      return "";
    } finally {
      if (loadedFrom != null) {
        loadedFrom.close();
      }
    }
  }

  private static String hex(byte[] bytes) {
    StringBuilder s = new StringBuilder(bytes.length * 2);
    for (byte b : bytes) {
      s.append(Character.forDigit((b >> 4) & 15, 16)).append(Character.forDigit(b & 15, 16));
    }
    return s.toString();
  }

  /** How long loading took, in microseconds. */
  public long loadMicros() {
    return nanos / 1000;
  }

  /** Operating system and processor. */
  public Platform platform() {
    return platform;
  }

  /** Whether a library was found that is ours, but of another version. */
  public boolean hasOtherVersion() {
    return otherVersion;
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
    s.append(", TraceExporter.libraryFrom(JAR)");
    UnsatisfiedLinkError error = new UnsatisfiedLinkError(s.toString());
    for (Throwable cause : causes) {
      error.addSuppressed(cause);
    }
    return error;
  }

  private boolean failed(String what, Throwable why) {
    causes.add(why);
    return failed(what, LoadErrors.explain(why));
  }

  private boolean failed(String what, String why) {
    tries.add(what + ": " + why);
    return false;
  }

  private boolean loaded(String what, String from) {
    tries.add(what + ": loaded");
    source = from;
    return true;
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
    if (directory.isEmpty() || !Platform.property(PATH_PROPERTY).isEmpty()) {
      return failed(
          "property " + DIRECTORY_PROPERTY,
          directory.isEmpty() ? "not set" : "not used beside " + PATH_PROPERTY);
    }
    try {
      return fromDirectory(Paths.get(directory));
    } catch (InvalidPathException e) {
      return failed("directory " + directory, e);
    }
  }

  private boolean fromDirectory(Path directory) {
    String what = "directory " + directory;
    if (!Files.isDirectory(directory)) {
      return failed(what, Files.exists(directory) ? "is no directory" : "no such directory");
    }
    Path nested = directory.resolve(platform.directory()).resolve(platform.libraryFile());
    Path file = Files.exists(nested) ? nested : directory.resolve(platform.libraryFile());
    return loadFile(what, file, file.toString());
  }

  private boolean fromHandedOver() {
    Path from = takeHandedOver();
    boolean named =
        !Platform.property(PATH_PROPERTY).isEmpty()
            || !Platform.property(DIRECTORY_PROPERTY).isEmpty();
    if (from == null || named) {
      return false;
    }
    String what = "handed over: " + from;
    if (Files.isDirectory(from)) {
      return fromDirectory(from);
    }
    if (!Files.isRegularFile(from)) {
      return failed(what, "no such file");
    }
    if (LibraryFile.isLibrary(from.toFile())) {
      return loadFile(what, from, from.toString());
    }
    return extract(what, new Resources.Jar(from.toFile()), "JAR " + from);
  }

  private boolean fromLibraryPath() {
    String path = Platform.property("java.library.path");
    for (String directory : path.split(File.pathSeparator)) {
      File file = new File(directory, platform.libraryFile());
      if (!directory.isEmpty() && file.isFile()) {
        return loadFile("java.library.path " + file, file.toPath(), file.getPath());
      }
    }
    return failed("java.library.path", "none of its directories has a " + platform.libraryFile());
  }

  private boolean loadFile(String what, Path file, String name) {
    if (!Files.isRegularFile(file)) {
      return failed(what, "there is no file " + file);
    }
    try {
      String fault = LibraryFile.fault(file.toFile(), platform, version);
      if (fault != null) {
        otherVersion |= fault.contains(LibraryFile.OTHER_VERSION);
        return failed(what, fault);
      }
      System.load(file.toAbsolutePath().toString());
      loadedFile = file;
      return loaded(what, name);
    } catch (LinkageError | IOException | RuntimeException e) {
      return failed(what, e);
    }
  }

  private boolean fromClassPath() {
    ClassLoader loader = NativeLibrary.class.getClassLoader();
    return extract("class path", new Resources.ClassPath(loader), "JAR");
  }

  /** Copies the library out of where it stands, and loads the copy. */
  private boolean extract(String what, Resources from, String origin) {
    String resource = platform.resource(platform.libraryFile());
    String where = what.equals("class path") ? "resource " + resource : what;
    try {
      Properties facts = from.properties(platform.resource("native.properties"), version);
      if (facts == null) {
        return failed(where, from.nothingFor(platform));
      }
      String found = facts.getProperty("version");
      if (found != null && !found.equals(version)) {
        otherVersion = true;
        return failed(where, "the library is of version " + found + ", the JAR is " + version);
      }
      for (File place : Extraction.places()) {
        Extraction copy = null;
        try (InputStream in = from.open(resource)) {
          if (in == null) {
            return failed(where, from.nothingFor(platform));
          }
          copy = new Extraction(place, platform);
          String sum = copy.copy(in);
          String expected = facts.getProperty("crc32");
          if (expected != null && !expected.equals(sum)) {
            return failed(
                where, "it is damaged: CRC-32 " + sum + " where " + expected + " belongs");
          }
          System.load(copy.file().getPath());
          loadedFrom = from;
          loaded(where + " by way of " + place, origin + " " + resource);
          copy.sweep(place, platform);
          return true;
        } catch (IOException e) {
          failed(where + " by way of " + place, e);
        } catch (LinkageError e) {
          if (copy == null || !copy.allowsNoExecution()) {
            return failed(where, e);
          }
          failed(
              where + " by way of " + place,
              "is on a file system that allows no execution (noexec); set -D" + TEMP_PROPERTY);
          causes.add(e);
        } finally {
          if (copy != null) {
            copy.discard(!source.isEmpty());
          }
        }
      }
      return false;
    } catch (IOException | RuntimeException e) {
      return failed(where, e);
    } finally {
      from.close();
    }
  }
}
