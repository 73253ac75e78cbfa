package com.datadog.bridge;

import java.io.File;
import java.lang.instrument.Instrumentation;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.jar.JarFile;

/**
 * The way in: {@code -javaagent:data-pipeline-bridge.jar} before or behind the tracer's own. Puts
 * the JAR on the boot class path, where the tracer sees it, and starts {@link Bridge} there.
 * Nothing thrown leaves it.
 */
public final class BridgeAgent {
  private BridgeAgent() {}

  /** Called by the JVM before the application's main. */
  public static void premain(String options, Instrumentation instrumentation) {
    activate(instrumentation);
  }

  /** Called by the JVM when the agent is attached to a running application. */
  public static void agentmain(String options, Instrumentation instrumentation) {
    activate(instrumentation);
  }

  static void activate(Instrumentation instrumentation) {
    try {
      File jar = jar();
      // Closed by nobody: the boot loader reads from it as long as the JVM lives.
      @SuppressWarnings("resource")
      JarFile opened = new JarFile(jar);
      instrumentation.appendToBootstrapClassLoaderSearch(opened);
      Class<?> bridge = Class.forName("com.datadog.bridge.Bridge", true, null);
      bridge
          .getMethod("start", Instrumentation.class, String.class)
          .invoke(null, instrumentation, jar.getPath());
    } catch (Throwable e) {
      // An exception that left premain would end the JVM.
      System.err.println("[data-pipeline-bridge] not active, the tracer sends itself: " + e);
    }
  }

  /** The JAR that this class came from. The tracer's loader of extensions has URLs of its own. */
  private static File jar() throws URISyntaxException {
    String at = BridgeAgent.class.getProtectionDomain().getCodeSource().getLocation().toString();
    int file = at.indexOf("file:");
    if (file >= 0) {
      int end = at.indexOf("!/", file);
      return new File(new URI(end < 0 ? at.substring(file) : at.substring(file, end)));
    }
    String named = System.getProperty("dd.trace.extensions.path");
    if (named == null) {
      named = System.getenv("DD_TRACE_EXTENSIONS_PATH");
    }
    if (named == null) {
      throw new IllegalStateException("its own JAR is not to be found from " + at);
    }
    return new File(named);
  }

  /** {@code java -jar data-pipeline-bridge.jar doctor [TRACER.jar]}. */
  public static void main(String[] arguments) {
    System.exit(BridgeDoctor.run(arguments, System.out));
  }
}
