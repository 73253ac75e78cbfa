package consumer;

import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.TraceExporter;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.osgi.framework.BundleActivator;
import org.osgi.framework.BundleContext;

/** A bundle that imports ours and sends one payload when it is started. */
public final class Consumer implements BundleActivator {
  private TraceExporter exporter;

  @Override
  public void start(BundleContext context) throws Exception {
    exporter = TraceExporter.builder().url(context.getProperty("url")).build();
    byte[] payload = Files.readAllBytes(Paths.get(context.getProperty("payload")));
    AgentResponse response = exporter.send(payload);
    System.out.println("bundle " + context.getBundle().getSymbolicName() + ": " + response);
  }

  @Override
  public void stop(BundleContext context) {
    exporter.close();
  }
}
