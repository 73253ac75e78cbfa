package com.datadog.pipeline;

/**
 * Gets what an exporter has to say: one line when a trouble begins, a summary every five minutes
 * while it lasts, one line when it ends. Nothing is printed anywhere else.
 *
 * <p>It is called on the thread of a send, or of another call into the exporter, when that is done:
 * so it should be quick, and an idle process hears nothing. Several threads may call it at once.
 * What it throws is swallowed. It must not hold the exporter, which could then not be collected.
 */
public interface LogListener {
  /** Takes one line. */
  void log(LogLine line);
}
