package com.datadog.pipeline.logging;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.LogListener;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import com.datadog.pipeline.testkit.FakeAgent;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.logging.Handler;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class LogListenersTest {
  /** A trace of one span. */
  private static final byte[] ONE =
      "\u0091\u0091\u0083\u00a7span_id\u0008\u00a8trace_id\u0007\u00a4name\u00a1n"
          .getBytes(StandardCharsets.ISO_8859_1);

  @RegisterExtension static FakeAgent agent = FakeAgent.start();

  /** An agent that refuses and then takes again: trouble begins, trouble ends. */
  private static void trouble(LogListener listener) {
    try (TraceExporter exporter =
        TraceExporter.builder()
            .url(agent.url())
            .sendBudget(Duration.ofSeconds(10))
            .logListener(listener)
            .build()) {
      agent.failWith(400);
      assertThrows(TraceExporterException.class, () -> exporter.send(ONE));
      agent.heal();
      exporter.send(ONE);
      exporter.send(ONE);
    }
  }

  /** A logger that keeps what is written, as {@code method: text}. */
  private static org.slf4j.Logger recorder(List<String> lines) {
    return (org.slf4j.Logger)
        Proxy.newProxyInstance(
            LogListenersTest.class.getClassLoader(),
            new Class<?>[] {org.slf4j.Logger.class},
            (proxy, method, arguments) -> {
              lines.add(method.getName() + ": " + arguments[0]);
              return null;
            });
  }

  @Test
  void slf4jHearsOfTroubleAndItsEnd() {
    List<String> lines = new ArrayList<>();
    trouble(new Slf4jLogListener(recorder(lines)));
    assertTrue(lines.get(0).startsWith("warn: "), lines.toString());
    assertTrue(lines.get(0).contains("400"), lines.toString());
    assertTrue(lines.stream().anyMatch(line -> line.startsWith("info: ")), lines.toString());
  }

  @Test
  void julHearsTheSameWithTheTimeAtWhichItWasTrue() {
    List<LogRecord> records = new ArrayList<>();
    java.util.logging.Logger logger = java.util.logging.Logger.getLogger("test.exporter");
    logger.setUseParentHandlers(false);
    Handler handler =
        new Handler() {
          @Override
          public void publish(LogRecord record) {
            records.add(record);
          }

          @Override
          public void flush() {}

          @Override
          public void close() {}
        };
    logger.addHandler(handler);
    long before = System.currentTimeMillis();
    trouble(new JulLogListener(logger));
    logger.removeHandler(handler);
    LogRecord first = records.get(0);
    assertEquals(Level.WARNING, first.getLevel());
    assertEquals("test.exporter", first.getLoggerName());
    assertEquals(TraceExporter.class.getName(), first.getSourceClassName());
    assertTrue(first.getMessage().contains("400"), first.getMessage());
    assertTrue(first.getMillis() >= before - 1000, first.getMillis() + " " + before);
    assertTrue(records.stream().anyMatch(record -> record.getLevel() == Level.INFO));

    records.clear();
    logger.setLevel(Level.OFF);
    trouble(new JulLogListener(logger));
    assertTrue(records.isEmpty());
  }

  @Test
  void withoutALoggerThereIsADefault() {
    assertThrows(IllegalArgumentException.class, () -> new JulLogListener(null));
    assertThrows(IllegalArgumentException.class, () -> new Slf4jLogListener(null));
    assertFalse(new JulLogListener().equals(new JulLogListener()));
    trouble(new Slf4jLogListener());
  }
}
