package com.datadog.pipeline.internal.plain;

import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;

/** As the class of the same name for Java 8, on a JVM that has Unix sockets. */
public final class UnixSockets {
  private UnixSockets() {}

  /** Whether this JVM has them. */
  public static boolean available() {
    return true;
  }

  /** The address of a path. */
  public static SocketAddress address(String path) {
    return UnixDomainSocketAddress.of(path);
  }

  /** A channel that is not connected. */
  public static SocketChannel open() throws IOException {
    return SocketChannel.open(StandardProtocolFamily.UNIX);
  }
}
