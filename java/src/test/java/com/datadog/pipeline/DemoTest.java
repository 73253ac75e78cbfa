package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.demo.Demo;
import com.datadog.pipeline.testkit.FakeAgent;
import java.io.File;
import java.net.URISyntaxException;
import org.junit.jupiter.api.Test;

class DemoTest {
  /** The test kit works where there is no JUnit: the demo has none on its class path. */
  @Test
  void everyTraceArrivesUnchanged() throws Exception {
    String path =
        String.join(
            File.pathSeparator, Jars.JAR.getPath(), home(FakeAgent.class), home(Demo.class));
    ChildJvm.Outcome o =
        new ChildJvm().run("-cp", path, Demo.class.getName(), System.getProperty("fixtures"));
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.contains(", unchanged"), o.toString());
  }

  private static String home(Class<?> type) throws URISyntaxException {
    return new File(type.getProtectionDomain().getCodeSource().getLocation().toURI()).getPath();
  }
}
