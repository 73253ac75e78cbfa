package com.datadog.pipeline;

import java.lang.ref.WeakReference;

/**
 * Closes an exporter when the JVM shuts down. Holds it weakly: a hook must not keep a forgotten
 * exporter alive.
 */
final class ShutdownHook extends Thread {
  private final WeakReference<TraceExporter> exporter;

  private ShutdownHook(TraceExporter exporter) {
    super("dp-shutdown");
    this.exporter = new WeakReference<>(exporter);
  }

  /** A hook for this exporter; null if the JVM shuts down already. */
  static Thread register(TraceExporter exporter) {
    ShutdownHook hook = new ShutdownHook(exporter);
    hook.setContextClassLoader(null);
    try {
      Runtime.getRuntime().addShutdownHook(hook);
      return hook;
    } catch (IllegalStateException shuttingDown) {
      return null;
    }
  }

  /** The exporter is closed. */
  static void remove(Thread hook) {
    if (hook != null && hook != Thread.currentThread()) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException shuttingDown) {
        return;
      }
    }
  }

  @Override
  public void run() {
    TraceExporter e = exporter.get();
    if (e != null) {
      e.close();
    }
  }
}
