package com.datadog.pipeline.internal.plain;

import java.net.SocketAddress;
import java.nio.channels.SocketChannel;

/**
 * Sockets with a path, which Java knows from 16 on. The multi-release JAR holds this class again
 * for those; this one is for JVMs that cannot. Stateless, thread-safe.
 */
public final class UnixSockets {
  private UnixSockets() {}

  /** Whether this JVM has them. */
  public static boolean available() {
    return false;
  }

  /** The address of a path. */
  public static SocketAddress address(String path) {
    throw new UnsupportedOperationException(path);
  }

  /** A channel that is not connected. */
  public static SocketChannel open() {
    throw new UnsupportedOperationException();
  }
}
