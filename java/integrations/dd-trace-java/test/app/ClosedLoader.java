import java.net.URL;
import java.net.URLClassLoader;
import java.util.function.UnaryOperator;

/**
 * A tracer in a loader that asks the boot loader for nothing but Java's own, as those of OSGi do.
 * It cannot see the bridge, which must leave its sender alone.
 */
public final class ClosedLoader extends URLClassLoader {
  private ClosedLoader(URL[] urls) {
    super(urls, null);
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    synchronized (getClassLoadingLock(name)) {
      Class<?> known = findLoadedClass(name);
      if (known != null) {
        return known;
      }
      return name.startsWith("java.") ? super.loadClass(name, resolve) : findClass(name);
    }
  }

  @SuppressWarnings("unchecked")
  public static void main(String[] arguments) throws Exception {
    URL here = ClosedLoader.class.getProtectionDomain().getCodeSource().getLocation();
    try (ClosedLoader loader = new ClosedLoader(new URL[] {here})) {
      Class<?> sender = loader.loadClass("closed.common.writer.ddagent.DDAgentApi");
      UnaryOperator<Object> one =
          (UnaryOperator<Object>) sender.getDeclaredConstructor().newInstance();
      System.out.println("the sender has answered " + one.apply("itself"));
    }
  }
}
