package com.datadog.pipeline.internal.plain;

import java.io.EOFException;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ClosedSelectorException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;

/**
 * One connection whose every step has a time limit: a channel that does not block, and a selector
 * that waits for it. An interrupt waits for the caller: on Java 8 a channel closes when an
 * interrupted thread uses it. Used by one thread at a time; {@link #close} by any.
 */
final class Connection {
  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;

  /** When it was put back, by {@code System.nanoTime()}. */
  long idleSince;

  /** Whether it has carried a request before. */
  boolean kept;

  private Connection(SocketChannel channel, Selector selector, SelectionKey key) {
    this.channel = channel;
    this.selector = selector;
    this.key = key;
  }

  /** Connects. {@code SocketTimeoutException} if that takes longer than to {@code end}. */
  static Connection open(SocketAddress to, boolean unix, Gate gate, long end)
      throws IOException, Failure {
    SocketChannel channel = unix ? UnixSockets.open() : SocketChannel.open();
    Connection connection = null;
    boolean done = false;
    try {
      channel.configureBlocking(false);
      Selector selector = channel.provider().openSelector();
      connection = new Connection(channel, selector, channel.register(selector, 0));
      if (!gate.enter(connection)) {
        throw Failure.closed();
      }
      Interrupts.hold();
      done = channel.connect(to);
      while (!done) {
        connection.await(SelectionKey.OP_CONNECT, end);
        Interrupts.hold();
        done = channel.finishConnect();
      }
      if (!unix) {
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      }
      return connection;
    } finally {
      if (!done && connection != null) {
        gate.leave(connection);
        connection.close();
      } else if (!done) {
        channel.close();
      }
    }
  }

  private int await(int what, long end) throws IOException {
    long millis = Gate.millisUntil(end);
    if (millis < 0) {
      throw new SocketTimeoutException();
    }
    boolean interrupted = Thread.interrupted();
    try {
      key.interestOps(what);
      selector.select(millis + 1);
      selector.selectedKeys().clear();
      // An interrupt ends the wait.
      interrupted |= Thread.interrupted();
      return key.readyOps();
    } catch (CancelledKeyException | ClosedSelectorException e) {
      // Another thread has closed the connection.
      throw new ClosedChannelException();
    } finally {
      if (interrupted) {
        Interrupts.keep();
      }
    }
  }

  /**
   * Writes everything. Gives false if the other side takes nothing more and has said something: it
   * has answered before it had read all.
   */
  boolean write(ByteBuffer[] parts, long end) throws IOException {
    ByteBuffer last = parts[parts.length - 1];
    while (last.hasRemaining()) {
      Interrupts.hold();
      if (channel.write(parts) == 0) {
        int ready = await(SelectionKey.OP_WRITE | SelectionKey.OP_READ, end);
        if ((ready & SelectionKey.OP_WRITE) == 0 && (ready & SelectionKey.OP_READ) != 0) {
          return false;
        }
      }
    }
    return true;
  }

  /** Reads some bytes, one at least. */
  void read(ByteBuffer into, long end) throws IOException {
    while (true) {
      Interrupts.hold();
      int n = channel.read(into);
      if (n > 0) {
        return;
      }
      if (n < 0) {
        throw new EOFException();
      }
      await(SelectionKey.OP_READ, end);
    }
  }

  /** Whether the other side has neither closed nor said anything. */
  boolean isSilent() {
    try {
      return channel.read(ByteBuffer.allocate(1)) == 0;
    } catch (IOException e) {
      return false;
    }
  }

  void close() {
    try {
      channel.close();
      selector.close();
    } catch (IOException e) {
      // It is gone either way.
      return;
    }
  }
}
