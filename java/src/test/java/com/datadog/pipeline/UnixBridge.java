package com.datadog.pipeline;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ProtocolFamily;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A Unix socket that leads to a port of this machine. Needs Java 16, which tests know by name only.
 */
final class UnixBridge implements AutoCloseable {
  private final ServerSocketChannel listener;
  private final int port;
  private final AtomicInteger connections = new AtomicInteger();

  UnixBridge(Path socket, int port) throws ReflectiveOperationException, IOException {
    this.port = port;
    ProtocolFamily family = StandardProtocolFamily.valueOf("UNIX");
    listener =
        (ServerSocketChannel)
            ServerSocketChannel.class.getMethod("open", ProtocolFamily.class).invoke(null, family);
    Class<?> type = Class.forName("java.net.UnixDomainSocketAddress");
    listener.bind((SocketAddress) type.getMethod("of", Path.class).invoke(null, socket));
    daemon(this::accept);
  }

  int connections() {
    return connections.get();
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work, "unix-bridge");
    thread.setDaemon(true);
    thread.start();
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel from = listener.accept();
        connections.incrementAndGet();
        InetAddress loopback = InetAddress.getLoopbackAddress();
        SocketChannel to = SocketChannel.open(new InetSocketAddress(loopback, port));
        daemon(() -> pump(from, to));
        daemon(() -> pump(to, from));
      }
    } catch (IOException e) {
      // The test is over.
      return;
    }
  }

  private static void pump(SocketChannel from, SocketChannel to) {
    ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
    try (SocketChannel f = from;
        SocketChannel t = to) {
      while (f.read(buffer) >= 0) {
        buffer.flip();
        while (buffer.hasRemaining()) {
          t.write(buffer);
        }
        buffer.clear();
      }
    } catch (IOException e) {
      // One side has gone, so the other goes.
      return;
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
