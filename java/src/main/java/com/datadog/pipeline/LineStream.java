package com.datadog.pipeline;

import java.io.IOException;
import java.io.OutputStream;
import java.time.Instant;

/**
 * A stream of the caller's for log lines. The native side calls no Java: it keeps the lines, and
 * they are written on the thread of the next call into the exporter, or the completion thread.
 * Thread-safe: nobody else of this exporter writes meanwhile.
 */
final class LineStream {
  private final OutputStream out;

  LineStream(OutputStream out) {
    this.out = out;
  }

  /** Writes lines, each in one write. What the stream does wrong is told to the listener. */
  synchronized void write(byte[] lines, Companions companions) {
    int from = 0;
    try {
      for (int i = 0; i < lines.length; i++) {
        if (lines[i] == '\n') {
          out.write(lines, from, i + 1 - from);
          from = i + 1;
        }
      }
      out.flush();
    } catch (IOException | RuntimeException e) {
      if (companions != null) {
        String text =
            lines.length - from + " bytes of log lines are lost: the stream of destination: " + e;
        companions.log(new LogLine(Instant.now(), LogLine.Severity.WARNING, text));
      }
    }
  }
}
