package com.datadog.bridge;

import datadog.trace.agent.tooling.InstrumenterModule;
import java.lang.instrument.Instrumentation;

/**
 * The other way in: {@code DD_TRACE_EXTENSIONS_PATH=data-pipeline-bridge.jar}. The tracer makes one
 * of these, which is all that is needed; it instruments nothing itself.
 */
public final class BridgeExtension extends InstrumenterModule {
  /** For the tracer. */
  public BridgeExtension() {
    super("data-pipeline-bridge");
    try {
      Class<?> utils =
          Class.forName(
              "datadog.trace.agent.tooling.Utils",
              false,
              InstrumenterModule.class.getClassLoader());
      Instrumentation instrumentation =
          (Instrumentation) utils.getMethod("getInstrumentation").invoke(null);
      BridgeAgent.activate(instrumentation);
    } catch (Throwable e) {
      System.err.println("[data-pipeline-bridge] not active, the tracer sends itself: " + e);
    }
  }
}
