import java.lang.instrument.Instrumentation;
import java.lang.reflect.Method;

/** Times the bridge's premain in a fresh JVM, as an agent that calls it. */
public final class Premain {
  private Premain() {}

  public static void premain(String options, Instrumentation instrumentation) throws Exception {
    long start = System.nanoTime();
    Method premain =
        Class.forName("com.datadog.bridge.BridgeAgent")
            .getMethod("premain", String.class, Instrumentation.class);
    premain.invoke(null, null, instrumentation);
    System.out.println("premain_us " + (System.nanoTime() - start) / 1000);
  }

  public static void main(String[] arguments) {}
}
