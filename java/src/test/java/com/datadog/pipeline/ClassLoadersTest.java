package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.FakeAgent;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.ref.WeakReference;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Hosts put libraries into class loaders of their own and rename their packages. */
class ClassLoadersTest {
  private static final String OURS = "com.datadog.pipeline";
  private static final byte[] HALF = {(byte) 0x91, (byte) 0x91, (byte) 0x81};

  /** Loads the JAR's classes itself, under another package. */
  private static final class Relocating extends ClassLoader {
    private final Map<String, byte[]> entries = new HashMap<>();

    Relocating(String to) throws IOException {
      this(to, true);
    }

    /** Shading plugins rename what names classes; whether texts are changed, too, is a setting. */
    Relocating(String to, boolean texts) throws IOException {
      super(String.class.getClassLoader());
      String slashes = to.replace('.', '/');
      for (Map.Entry<String, byte[]> e : Jars.entries().entrySet()) {
        boolean type = e.getKey().startsWith(OURS.replace('.', '/'));
        entries.put(
            type ? e.getKey().replace(OURS.replace('.', '/'), slashes) : e.getKey(),
            type
                ? Jars.rewriteTexts(
                    e.getValue(),
                    s -> {
                      String renamed = s.replace(OURS.replace('.', '/'), slashes);
                      return texts ? renamed.replace(OURS, to) : renamed;
                    })
                : e.getValue());
      }
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
      byte[] bytes = entries.get(name.replace('.', '/') + ".class");
      if (bytes == null) {
        throw new ClassNotFoundException(name);
      }
      return defineClass(name, bytes, 0, bytes.length);
    }

    @Override
    public InputStream getResourceAsStream(String name) {
      byte[] bytes = entries.get(name);
      return bytes == null ? null : new ByteArrayInputStream(bytes);
    }
  }

  private static String packageOf(Class<?> type) {
    return type.getName().substring(0, type.getName().lastIndexOf('.'));
  }

  private static Object build(Class<?> exporter, String url) throws ReflectiveOperationException {
    Object builder = exporter.getMethod("builder").invoke(null);
    Class<?> type = builder.getClass();
    type.getMethod("url", String.class).invoke(builder, url);
    // A payload that breaks off is then refused whole.
    Class<?> policy = type.getClassLoader().loadClass(packageOf(type) + ".OnMalformed");
    type.getMethod("onMalformed", policy).invoke(builder, policy.getEnumConstants()[2]);
    return type.getMethod("build").invoke(builder);
  }

  private static void works(Class<?> exporter, FakeAgent agent) throws Exception {
    Object cause = exporter.getMethod("unavailabilityCause").invoke(null);
    assertEquals(null, cause);
    Object e = build(exporter, agent.url());
    Object response = exporter.getMethod("send", byte[].class).invoke(e, SendTest.ONE);
    assertEquals(200, response.getClass().getMethod("status").invoke(response));
    assertEquals(packageOf(exporter), packageOf(response.getClass()));
    Throwable thrown =
        assertThrows(
                InvocationTargetException.class,
                () -> exporter.getMethod("send", byte[].class).invoke(e, HALF))
            .getCause();
    // The native side has made an exception of the very class of this copy.
    String type = packageOf(exporter) + ".TraceExporterException";
    assertEquals(exporter.getClassLoader().loadClass(type), thrown.getClass());
    assertTrue(thrown.getMessage().contains("trace 0, span 0"), thrown.getMessage());
    ((AutoCloseable) e).close();
  }

  @Test
  void aRelocatedCopyFindsItsNatives() throws Exception {
    try (FakeAgent agent = FakeAgent.start()) {
      for (String to : new String[] {"shaded.acme.dp", "com.example.very.deep.in.it.pipeline"}) {
        for (boolean texts : new boolean[] {true, false}) {
          Class<?> exporter = new Relocating(to, texts).loadClass(to + ".TraceExporter");
          assertEquals(to, packageOf(exporter));
          works(exporter, agent);
        }
      }
      assertEquals(4, agent.traces().size());
    }
  }

  @Test
  void twoClassLoadersHaveTheirOwnCopies() throws Exception {
    try (FakeAgent agent = FakeAgent.start()) {
      Class<?> first = new Relocating(OURS).loadClass(OURS + ".TraceExporter");
      Class<?> second = new Relocating(OURS).loadClass(OURS + ".TraceExporter");
      assertNotSame(first, second);
      assertNotEquals(TraceExporter.class, first);
      works(first, agent);
      works(second, agent);
      try (TraceExporter ours = TraceExporter.builder().url(agent.url()).build()) {
        assertEquals(200, ours.send(SendTest.ONE).status());
      }
      works(first, agent);
      assertEquals(4, agent.traceRequests().size());
    }
  }

  /** A server deploys again and again: nothing of ours may keep the old classes. */
  @Test
  void aClassLoaderIsCollectedOnceItsExporterIsClosed() throws Exception {
    List<WeakReference<ClassLoader>> loaders = new ArrayList<>();
    try (FakeAgent agent = FakeAgent.start()) {
      for (int i = 0; i < 3; i++) {
        loaders.add(deployed(agent));
      }
    }
    for (int i = 0; i < 100; i++) {
      System.gc();
      loaders.removeIf(loader -> loader.get() == null);
      if (loaders.isEmpty()) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(loaders.size() + " class loaders are kept");
  }

  private static WeakReference<ClassLoader> deployed(FakeAgent agent) throws Exception {
    ClassLoader loader = new Relocating(OURS);
    works(loader.loadClass(OURS + ".TraceExporter"), agent);
    return new WeakReference<>(loader);
  }
}
