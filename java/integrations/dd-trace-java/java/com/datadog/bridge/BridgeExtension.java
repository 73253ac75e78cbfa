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
      ClassLoader tracer = InstrumenterModule.class.getClassLoader();
      Class<?> utils = Class.forName("datadog.trace.agent.tooling.Utils", false, tracer);
      Instrumentation instrumentation =
          (Instrumentation) utils.getMethod("getInstrumentation").invoke(null);
      Class<?> config = Class.forName("datadog.trace.api.InstrumenterConfig", true, tracer);
      Object settings = config.getMethod("get").invoke(null);
      BridgeAgent.activate(
          instrumentation, (String) config.getMethod("getTraceExtensionsPath").invoke(settings));
    } catch (Throwable e) {
      BridgeAgent.sayInactive(e);
    }
  }
}
