package com.datadog.pipeline.internal;

import java.io.Closeable;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLConnection;
import java.util.Enumeration;
import java.util.Properties;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;

/** Where the libraries of a JAR stand: on the class path, or in a JAR that was handed over. */
abstract class Resources implements Closeable {
  /** The entry, or null. */
  abstract InputStream open(String name) throws IOException;

  /** What is said if there is no library for this platform. */
  abstract String nothingFor(Platform platform);

  /**
   * The facts beside a library of this version if there is one, else those of any library, else
   * null.
   */
  Properties properties(String name, String version) throws IOException {
    return read(open(name));
  }

  @Override
  public void close() {
    // Most have nothing open.
  }

  static Properties read(InputStream in) throws IOException {
    if (in == null) {
      return null;
    }
    try (InputStream open = in) {
      Properties properties = new Properties();
      properties.load(open);
      return properties;
    }
  }

  /** What a class loader sees. More than one JAR there may hold a library of ours. */
  static final class ClassPath extends Resources {
    private final ClassLoader loader;

    /**
     * Set if it is not the first JAR on the path that has our version: what stands before names.
     */
    private String base;

    /**
     * The JAR on disk in which something was found. Read as a file: connections to it need a dozen
     * classes that no JVM has at its start, and may leave it open.
     */
    private Jar jar;

    ClassPath(ClassLoader loader) {
      this.loader = loader;
    }

    @Override
    Properties properties(String name, String version) throws IOException {
      Properties first = read(open(name));
      if (first == null || version.equals(first.getProperty("version"))) {
        return first;
      }
      Enumeration<URL> all =
          loader == null ? ClassLoader.getSystemResources(name) : loader.getResources(name);
      while (all.hasMoreElements()) {
        URL url = all.nextElement();
        Properties other = read(open(url));
        if (version.equals(other.getProperty("version"))) {
          String text = url.toString();
          base = text.substring(0, text.length() - name.length());
          return other;
        }
      }
      return first;
    }

    @Override
    InputStream open(String name) throws IOException {
      if (base != null) {
        return open(new URL(base + name));
      }
      if (jar != null) {
        return jar.open(name);
      }
      if (loader != null) {
        URL url = loader.getResource(name);
        jar = url == null ? null : Jar.of(url.toString(), name);
        return jar != null ? jar.open(name) : loader.getResourceAsStream(name);
      }
      // On the boot class path; an agent's own JAR stands on the system's class path, too.
      InputStream in = Resources.class.getResourceAsStream("/" + name);
      return in != null ? in : ClassLoader.getSystemResourceAsStream(name);
    }

    @Override
    public void close() {
      if (jar != null) {
        jar.close();
      }
    }

    private static InputStream open(URL url) throws IOException {
      URLConnection connection = url.openConnection();
      // A JAR that stays open is one that cannot be replaced.
      connection.setUseCaches(false);
      return connection.getInputStream();
    }

    @Override
    String nothingFor(Platform platform) {
      return loader == null
          ? "classes on the boot class path see no resources of their JAR; hand it over by"
              + " TraceExporter.libraryFrom(JAR) before anything else is called"
          : "this JAR has no library for " + platform + "; use the JAR or classifier that does";
    }
  }

  /** A JAR of which we know the file. */
  static final class Jar extends Resources {
    private final File file;
    private ZipFile zip;

    Jar(File file) {
      this.file = file;
    }

    /** The JAR of this resource if it stands in a file, and not in a JAR inside of another. */
    static Jar of(String url, String name) {
      String before = "jar:file:";
      String after = "!/" + name;
      if (!url.startsWith(before) || !url.endsWith(after)) {
        return null;
      }
      String path = url.substring("jar:".length(), url.length() - after.length());
      try {
        File file = path.contains("!/") ? null : new File(new URI(path));
        return file != null && file.isFile() ? new Jar(file) : null;
      } catch (URISyntaxException | IllegalArgumentException e) {
        // A name that is spelled otherwise; the class loader knows how.
        return null;
      }
    }

    @Override
    InputStream open(String name) throws IOException {
      if (zip == null) {
        zip = new ZipFile(file);
      }
      ZipEntry entry = zip.getEntry(name);
      return entry == null ? null : zip.getInputStream(entry);
    }

    @Override
    String nothingFor(Platform platform) {
      return "it has no library for " + platform;
    }

    @Override
    public void close() {
      ZipFile open = zip;
      zip = null;
      if (open != null) {
        try {
          open.close();
        } catch (IOException e) {
          // It was only read.
          return;
        }
      }
    }
  }
}
