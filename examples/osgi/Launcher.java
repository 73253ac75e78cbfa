import java.io.File;
import java.util.HashMap;
import java.util.Map;
import java.util.ServiceLoader;
import org.osgi.framework.Bundle;
import org.osgi.framework.BundleContext;
import org.osgi.framework.BundleException;
import org.osgi.framework.launch.Framework;
import org.osgi.framework.launch.FrameworkFactory;

/** Starts the OSGi framework on the class path with the bundles that are named, and stops it. */
public final class Launcher {
  private Launcher() {}

  /** Takes where the agent is, a payload, a directory for the framework, and the bundles. */
  public static void main(String[] args) throws Exception {
    Map<String, String> settings = new HashMap<>();
    settings.put("url", args[0]);
    settings.put("payload", args[1]);
    settings.put("org.osgi.framework.storage", args[2]);
    settings.put("org.osgi.framework.storage.clean", "onFirstInit");
    FrameworkFactory factory = ServiceLoader.load(FrameworkFactory.class).iterator().next();
    Framework framework = factory.newFramework(settings);
    framework.start();
    try {
      start(framework.getBundleContext(), args);
    } finally {
      framework.stop();
      framework.waitForStop(10_000);
    }
  }

  private static void start(BundleContext context, String[] args) throws BundleException {
    Bundle[] bundles = new Bundle[args.length - 3];
    for (int i = 0; i < bundles.length; i++) {
      bundles[i] = context.installBundle(new File(args[i + 3]).toURI().toString());
    }
    for (Bundle bundle : bundles) {
      bundle.start();
      System.out.println(bundle.getSymbolicName() + " " + bundle.getVersion() + " is active");
    }
  }
}
