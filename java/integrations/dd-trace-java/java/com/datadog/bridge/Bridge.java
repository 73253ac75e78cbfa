package com.datadog.bridge;

import com.datadog.pipeline.TraceExporter;
import java.lang.instrument.Instrumentation;
import java.nio.file.Paths;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Sends what the tracer's sender was about to send. Called by the patched sender, on the tracer's
 * own thread; nothing thrown leaves it, and null tells the tracer to send the payload itself.
 *
 * <p>The library is loaded on a thread of its own after premain. Until it is there the tracer sends
 * itself.
 */
public final class Bridge {
  /** {@code native} hands stats to the exporter, on top of which the tracer must compute none. */
  static final String STATS_PROPERTY = "data-pipeline.stats";

  private static final AtomicBoolean STARTED = new AtomicBoolean();
  private static final AtomicBoolean SAID = new AtomicBoolean();
  private static volatile boolean ready;

  /** Apart, so that premain need not wait for what sending needs. */
  private static final class Sending {
    static final Senders ALL = new Senders();

    private Sending() {}
  }

  private Bridge() {}

  /** Called once, by {@link BridgeAgent}, in the class that the boot loader has made. */
  public static void start(Instrumentation instrumentation, String jar) {
    if (!STARTED.compareAndSet(false, true)) {
      return;
    }
    if (isNativeStats()) {
      // Before the tracer reads its configuration, if this agent comes first.
      if (System.getProperty("dd.trace.stats.computation.enabled") == null) {
        System.setProperty("dd.trace.stats.computation.enabled", "false");
      }
    }
    Transformer transformer = new Transformer();
    instrumentation.addTransformer(transformer, true);
    for (Class<?> loaded : instrumentation.getAllLoadedClasses()) {
      if (loaded.getName().endsWith(Transformer.SENDER_CLASS)) {
        try {
          instrumentation.retransformClasses(loaded);
        } catch (Throwable e) {
          sayInactive(e);
        }
      }
    }
    // Not a lambda: the first one of a JVM takes it some 15 ms, which premain shall not.
    Thread loading =
        new Thread("dp-bridge-load") {
          @Override
          public void run() {
            load(jar);
          }
        };
    loading.setDaemon(true);
    loading.start();
  }

  static boolean isNativeStats() {
    return "native".equals(System.getProperty(STATS_PROPERTY));
  }

  private static void load(String jar) {
    try {
      TraceExporter.libraryFrom(Paths.get(jar));
      if (!TraceExporter.isAvailable()) {
        sayInactive(TraceExporter.unavailabilityCause());
        return;
      }
      ready = true;
      try {
        Runtime.getRuntime()
            .addShutdownHook(new Thread(Sending.ALL::shutDown, "dp-bridge-shutdown"));
      } catch (IllegalStateException e) {
        // The JVM ends already: what comes from now on is flushed at once.
        Sending.ALL.shutDown();
      }
    } catch (Throwable e) {
      sayInactive(e);
    }
  }

  /**
   * Sends a payload of the tracer.
   *
   * @return the tracer's own response object, or null if the tracer shall send it itself
   */
  public static Object send(Object api, Object payload) {
    if (!ready) {
      return null;
    }
    try {
      return Sending.ALL.send(api, payload);
    } catch (Throwable e) {
      say("a payload goes out by the tracer's own sender: ", e);
      return null;
    }
  }

  /** One line that says why the tracer sends itself. Never throws. */
  static void sayInactive(Throwable why) {
    say("not active, the tracer sends itself: ", why);
  }

  /**
   * One line on standard error, as agents have it, and no second one. Never throws, whatever the
   * application has made of standard error.
   */
  static void say(String line, Object why) {
    try {
      if (SAID.compareAndSet(false, true)) {
        System.err.println("[data-pipeline-bridge] " + line + why);
      }
    } catch (Throwable e) {
      // There is nobody left to be told.
    }
  }
}
