package com.datadog.pipeline.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** Unix sockets, for Java 16 and newer. Thread-safe. */
final class UnixListener extends Listener {
  private final ServerSocketChannel channel;
  private final Path path;

  private UnixListener(ServerSocketChannel channel, Path path) {
    this.channel = channel;
    this.path = path;
  }

  static Listener listen(Path place) throws IOException {
    // A URL has no other.
    Path path = place.toAbsolutePath();
    // What an agent before has left there is in the way.
    Files.deleteIfExists(path);
    ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    channel.bind(UnixDomainSocketAddress.of(path), BACKLOG);
    return new UnixListener(channel, path);
  }

  @Override
  Connection accept() throws IOException {
    return new UnixConnection(channel.accept());
  }

  @Override
  String url() {
    return "unix://" + path;
  }

  @Override
  int port() {
    return 0;
  }

  @Override
  void close() throws IOException {
    channel.close();
    Files.deleteIfExists(path);
  }

  private static final class UnixConnection extends Connection {
    private final SocketChannel channel;

    UnixConnection(SocketChannel channel) {
      this.channel = channel;
    }

    @Override
    InputStream in() {
      return Channels.newInputStream(channel);
    }

    @Override
    OutputStream out() {
      return Channels.newOutputStream(channel);
    }

    @Override
    void reset() throws IOException {
      channel.close();
    }

    @Override
    void close() throws IOException {
      channel.close();
    }
  }
}
