package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.cli.Main;
import com.datadog.pipeline.testkit.FakeAgent;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Normalization and obfuscation as Java switches them on, and the tool's {@code obfuscate}. */
class ObfuscationTest {
  private static final String STATEMENT = "select * from t where a = 'secret'";

  private FakeAgent agent;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  private Builder builder() {
    return TraceExporter.builder().url(agent.url());
  }

  /** One chunk with one SQL span; its name is missing. */
  private static byte[] payload(int spanId) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(0x91);
    out.write(0x91);
    out.write(0x87);
    text(out, "service");
    text(out, "My Shop");
    text(out, "resource");
    text(out, STATEMENT);
    text(out, "type");
    text(out, "sql");
    text(out, "trace_id");
    out.write(7);
    text(out, "span_id");
    out.write(spanId);
    text(out, "start");
    byte[] start = {(byte) 0xcf, 0x18, (byte) 0x86, 0x72, 0x51, (byte) 0xed, (byte) 0xfa, 0, 0};
    out.write(start, 0, start.length);
    text(out, "meta");
    out.write(0x81);
    text(out, "card");
    text(out, "4111111111111111");
    return out.toByteArray();
  }

  private static void text(ByteArrayOutputStream out, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    out.write(0xd9);
    out.write(bytes.length);
    out.write(bytes, 0, bytes.length);
  }

  private String sent() {
    byte[] body = agent.traceRequests().get(agent.traceRequests().size() - 1).body();
    return new String(body, StandardCharsets.ISO_8859_1);
  }

  @Test
  void offByDefaultAndBothSwitchesWork() {
    try (TraceExporter exporter = builder().build()) {
      exporter.send(payload(1));
      assertArrayEquals(payload(1), agent.traceRequests().get(0).body());
    }
    try (TraceExporter exporter = builder().normalize(true).obfuscate(true).build()) {
      exporter.send(payload(1));
      assertTrue(sent().contains("select * from t where a = ?") && sent().contains("my_shop"));
      assertFalse(sent().contains("secret") || sent().contains("4111"));
      exporter.send(payload(0));
      Metrics metrics = exporter.metrics();
      assertEquals(1, metrics.normalized().get("span_name_empty"));
      assertEquals(16, metrics.normalized().size());
      assertEquals(1, metrics.dropped().get(DropReason.INVALID_TRACE).traces());
      assertEquals(1, metrics.sent().traces());
    }
  }

  @Test
  void settingsSwitchObfuscationOnAndTheirErrorsNameThePlace() {
    String rules =
        "{\"credit_cards\": {\"enabled\": false},"
            + " \"replace_tags\": [{\"name\": \"card\", \"pattern\": \"4\", \"repl\": \"four\"}]}";
    try (TraceExporter exporter = builder().obfuscation(rules).build()) {
      exporter.send(payload(1));
      assertTrue(sent().contains("four111111111111111") && sent().contains("My Shop"));
      assertFalse(sent().contains("secret"));
    }
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> builder().obfuscation("{\n \"redis\": {\"enable\": true}}"));
    assertTrue(e.getMessage().contains("`enable`") && e.getMessage().contains("redis"));
    assertThrows(IllegalArgumentException.class, () -> builder().obfuscation(null));
  }

  @Test
  void variablesOfTheEnvironmentAreSettingsWithNames() {
    String rule = "[{\"name\": \"card\", \"pattern\": \".*\", \"repl\": \"gone\"}]";
    Builder builder =
        builder()
            .obfuscate(true)
            .obfuscationEnvironment(Collections.singletonMap("DD_APM_REPLACE_TAGS", rule));
    try (TraceExporter exporter = builder.build()) {
      exporter.send(payload(1));
      assertTrue(sent().contains("gone"));
    }
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                builder()
                    .obfuscationEnvironment(
                        Collections.singletonMap("DD_APM_OBFUSCATION_REDIS_ENABLED", "maybe")));
    assertTrue(e.getMessage().contains("DD_APM_OBFUSCATION_REDIS_ENABLED"), e.getMessage());
  }

  private static String tool(int expected, String input, String... args) {
    InputStream before = System.in;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      System.setIn(new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8)));
      PrintStream print = new PrintStream(out, true);
      assertEquals(expected, Main.run(args, print, print));
    } finally {
      System.setIn(before);
    }
    return new String(out.toByteArray(), StandardCharsets.UTF_8).trim();
  }

  @Test
  void theToolHidesOneTextFromStandardInput() {
    assertEquals(
        "select * from t where a = ?", tool(0, STATEMENT + "\n", "obfuscate", "--type", "sql"));
    assertEquals(
        "select [a] , ?",
        tool(
            0,
            "select [a] , 1",
            "obfuscate",
            "--type",
            "sql",
            "--dbms",
            "mssql",
            "--mode",
            "obfuscate_only"));
    assertEquals(
        "http://h/a/??",
        tool(0, "http://u:p@h/a/1?q=1\n", "obfuscate", "--type=http", "--preset=all"));
    assertEquals("?", tool(0, "4111111111111111\n", "obfuscate", "--type", "card"));
    assertTrue(tool(2, "", "obfuscate", "--type", "sqll").contains("sqll"));
    assertTrue(tool(2, "", "obfuscate").contains("--type"));
    assertTrue(tool(2, "", "obfuscate", "--type", "sql", "--preset", "x").contains("preset"));
  }
}
