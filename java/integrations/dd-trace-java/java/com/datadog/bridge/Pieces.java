package com.datadog.bridge;

import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Arrays;

/**
 * A channel that keeps what is written to it without copying, and gives the buffers back as they
 * were, so that the tracer can still send the payload itself. Not thread-safe.
 */
final class Pieces implements WritableByteChannel {
  /** The tracer writes a head and a body. */
  private ByteBuffer[] sources = new ByteBuffer[2];

  private int[] positions = new int[2];
  private ByteBuffer[] copies = new ByteBuffer[2];
  private int count;

  @Override
  public int write(ByteBuffer source) {
    if (count == sources.length) {
      sources = Arrays.copyOf(sources, count * 2);
      positions = Arrays.copyOf(positions, count * 2);
      copies = Arrays.copyOf(copies, count * 2);
    }
    sources[count] = source;
    positions[count] = source.position();
    copies[count++] = source.duplicate();
    int written = source.remaining();
    source.position(source.limit());
    return written;
  }

  /** What was written; ends with {@link #giveBack}. */
  ByteBuffer[] pieces() {
    return count == copies.length ? copies : Arrays.copyOf(copies, count);
  }

  int bytes() {
    int bytes = 0;
    for (int i = 0; i < count; i++) {
      bytes += copies[i].remaining();
    }
    return bytes;
  }

  /** Puts the tracer's buffers back to where they were, and forgets them. */
  void giveBack() {
    for (int i = count - 1; i >= 0; i--) {
      sources[i].position(positions[i]);
    }
    Arrays.fill(sources, 0, count, null);
    Arrays.fill(copies, 0, count, null);
    count = 0;
  }

  @Override
  public boolean isOpen() {
    return true;
  }

  @Override
  public void close() {}
}
