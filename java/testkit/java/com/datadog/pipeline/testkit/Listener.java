package com.datadog.pipeline.testkit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** Where connections come from. Thread-safe. */
abstract class Listener {
  /**
   * How many connections may wait to be accepted; one more is lost, and its client stands still.
   */
  static final int BACKLOG = 1024;

  /** One connection. */
  abstract static class Connection {
    abstract InputStream in() throws IOException;

    abstract OutputStream out() throws IOException;

    /** Closes it in a way that the other side notices as an error, where there is one. */
    abstract void reset() throws IOException;

    abstract void close() throws IOException;
  }

  abstract Connection accept() throws IOException;

  /** The address as a URL. */
  abstract String url();

  /** The TCP port, 0 if there is none. */
  abstract int port();

  abstract void close() throws IOException;

  /** A listener on the loopback address; 0 is a free port. */
  static Listener tcp(int port) throws IOException {
    ServerSocket socket = new ServerSocket();
    socket.setReuseAddress(true);
    socket.bind(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), port), BACKLOG);
    return new Tcp(socket);
  }

  private static final class Tcp extends Listener {
    private final ServerSocket socket;

    Tcp(ServerSocket socket) {
      this.socket = socket;
    }

    @Override
    Connection accept() throws IOException {
      return new TcpConnection(socket.accept());
    }

    @Override
    String url() {
      return "http://127.0.0.1:" + port();
    }

    @Override
    int port() {
      return socket.getLocalPort();
    }

    @Override
    void close() throws IOException {
      socket.close();
    }
  }

  private static final class TcpConnection extends Connection {
    private final Socket socket;

    TcpConnection(Socket socket) {
      this.socket = socket;
    }

    @Override
    InputStream in() throws IOException {
      return socket.getInputStream();
    }

    @Override
    OutputStream out() throws IOException {
      // An error on some systems if the other side has gone: then of this connection alone.
      socket.setTcpNoDelay(true);
      return socket.getOutputStream();
    }

    @Override
    void reset() throws IOException {
      socket.setSoLinger(true, 0);
      socket.close();
    }

    @Override
    void close() throws IOException {
      socket.close();
    }
  }
}
