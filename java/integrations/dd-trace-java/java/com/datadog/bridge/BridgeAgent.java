package com.datadog.bridge;

import java.io.File;
import java.io.IOException;
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
    activate(instrumentation, null);
  }

  /** Called by the JVM when the agent is attached to a running application. */
  public static void agentmain(String options, Instrumentation instrumentation) {
    activate(instrumentation, null);
  }

  /**
   * Starts the bridge.
   *
   * @param paths where the JAR may be if its class does not know, as in the tracer's setting
   */
  static void activate(Instrumentation instrumentation, String paths) {
    try {
      File jar = jar(paths);
      // Closed by nobody: the boot loader reads from it as long as the JVM lives.
      @SuppressWarnings("resource")
      JarFile opened = new JarFile(jar);
      instrumentation.appendToBootstrapClassLoaderSearch(opened);
      Class<?> bridge = Class.forName("com.datadog.bridge.Bridge", true, null);
      bridge
          .getMethod("start", Instrumentation.class, String.class)
          .invoke(null, instrumentation, jar.getPath());
    } catch (Throwable e) {
      sayInactive(e);
    }
  }

  /** An exception that left premain would end the JVM. */
  static void sayInactive(Throwable why) {
    try {
      System.err.println("[data-pipeline-bridge] not active, the tracer sends itself: " + why);
    } catch (Throwable e) {
      // There is nobody left to be told.
    }
  }

  /** The JAR that this class came from. The tracer's loader of extensions has URLs of its own. */
  private static File jar(String paths) throws URISyntaxException {
    String at = BridgeAgent.class.getProtectionDomain().getCodeSource().getLocation().toString();
    if (at.startsWith("jar:file:")) {
      at = at.substring("jar:".length(), at.lastIndexOf("!/"));
    }
    if (at.startsWith("file:")) {
      return new File(new URI(at));
    }
    if (paths != null) {
      for (String path : paths.split(",")) {
        File named = new File(path.trim());
        File[] inside = named.isDirectory() ? named.listFiles() : null;
        for (File file : inside == null ? new File[] {named} : inside) {
          if (isOurs(file)) {
            return file;
          }
        }
      }
    }
    throw new IllegalStateException("its own JAR is not to be found from " + at + " in " + paths);
  }

  private static boolean isOurs(File file) {
    if (!file.isFile()) {
      return false;
    }
    try (JarFile jar = new JarFile(file)) {
      return jar.getEntry(BridgeAgent.class.getName().replace('.', '/') + ".class") != null;
    } catch (IOException e) {
      return false;
    }
  }

  /** {@code java -jar data-pipeline-bridge.jar doctor [TRACER.jar]}. */
  public static void main(String[] arguments) {
    System.exit(BridgeDoctor.run(arguments, System.out));
  }
}
