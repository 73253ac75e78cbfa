package com.datadog.pipeline.testkit;

import java.io.IOException;
import java.nio.file.Path;

/** Unix sockets. The JAR has another one of this name for Java 16 and newer, which knows them. */
final class UnixListener {
  private UnixListener() {}

  static Listener listen(Path path) throws IOException {
    throw new UnsupportedOperationException("Unix sockets need Java 16 or newer");
  }
}
