package com.datadog.pipeline;

import java.nio.charset.StandardCharsets;

/** What goes with an exporter and must not lead to it. Immutable and thread-safe. */
final class Companions {
  private final LogListener listener;
  private final JmxBean bean;
  private final Thread hook;

  Companions(LogListener listener, JmxBean bean, Thread hook) {
    this.listener = listener;
    this.bean = bean;
    this.hook = hook;
  }

  /** The exporter is closed; these are its last lines, or null. */
  void closed(Object lines) {
    ShutdownHook.remove(hook);
    if (bean != null) {
      bean.unregister();
    }
    if (lines != null) {
      log((byte[]) lines);
    }
  }

  /** Tells the listener lines as the native side writes them. */
  void log(byte[] lines) {
    for (String line : new String(lines, StandardCharsets.UTF_8).split("\n")) {
      if (!line.isEmpty()) {
        log(LogLine.read(line));
      }
    }
  }

  void log(LogLine line) {
    if (listener != null) {
      try {
        listener.log(line);
      } catch (Throwable t) {
        // What a listener does wrong is no fault of the send that it is told about.
        return;
      }
    }
  }
}
