package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EnvironmentTest {
  @TempDir Path folder;

  private static Map<String, String> variables(String... pairs) {
    Map<String, String> variables = new HashMap<>();
    for (int i = 0; i < pairs.length; i += 2) {
      variables.put(pairs[i], pairs[i + 1]);
    }
    return variables;
  }

  private Builder take(Builder to, String... pairs) {
    Environment.take(to, variables(pairs), folder.resolve("none"));
    return to;
  }

  @Test
  void theAddressFollowsItsPrecedence() throws IOException {
    Path socket = Files.createFile(folder.resolve("apm.socket"));
    Object[][] cases = {
      {"http://a:1", new String[] {"DD_TRACE_AGENT_URL", "http://a:1", "DD_AGENT_HOST", "b"}},
      {"http://b:8126", new String[] {"DD_AGENT_HOST", "b"}},
      {"http://127.0.0.1:9", new String[] {"DD_TRACE_AGENT_PORT", "9"}},
      {"http://b:9", new String[] {"DD_AGENT_HOST", " b ", "DD_TRACE_AGENT_PORT", "9"}},
      {"http://[::1]:8126", new String[] {"DD_AGENT_HOST", "::1"}},
      {"unix:///x", new String[] {"DD_AGENT_HOST", "unix:///x"}},
      {"unix://" + socket, new String[] {"DD_TRACE_AGENT_URL", ""}},
    };
    for (Object[] c : cases) {
      Builder builder = TraceExporter.builder();
      Environment.take(builder, variables((String[]) c[1]), socket);
      assertEquals(c[0], builder.settings.get("url"));
      assertEquals(1, builder.takenFromEnvironment().size());
    }
    assertEquals(null, take(TraceExporter.builder()).settings.get("url"));
  }

  @Test
  void everyVariableIsTakenAndNamed() {
    Builder builder =
        take(
            TraceExporter.builder(),
            "DD_SERVICE",
            "shop",
            "DD_ENV",
            "prod",
            "DD_VERSION",
            "1",
            "DD_HOSTNAME",
            "h",
            "DD_TRACE_AGENT_TIMEOUT",
            "2.5",
            "DD_DOGSTATSD_URL",
            "udp://127.0.0.1:8125",
            "DD_EXTERNAL_ENV",
            "it-false",
            "DD_GIT_COMMIT_SHA",
            "abc");
    assertEquals(8, builder.takenFromEnvironment().size(), builder.toString());
    assertEquals("DD_SERVICE", builder.takenFromEnvironment().get("service"));
    assertEquals("DD_TRACE_AGENT_TIMEOUT", builder.takenFromEnvironment().get("sendTimeout"));
    assertEquals(2500L, builder.settings.get("send_timeout_ms"));
    assertTrue(builder.toString().contains("service=DD_SERVICE"), builder.toString());
    try (TraceExporter exporter = builder.discovery(false).build()) {
      Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
      Map<?, ?> env = (Map<?, ?>) ((Map<?, ?>) all.get("configuration")).get("env");
      assertEquals("DD_ENV", env.get("source"));
      assertEquals("prod", env.get("value"));
    }
  }

  @Test
  void settersHaveTheLastWordBeforeAndAfter() {
    Builder builder =
        take(TraceExporter.builder().service("mine"), "DD_SERVICE", "a", "DD_ENV", "b");
    builder.env("mine too");
    assertEquals("mine", builder.settings.get("service"));
    assertEquals("mine too", builder.settings.get("env"));
    assertTrue(builder.takenFromEnvironment().isEmpty(), builder.toString());
  }

  @Test
  void statsAreSwitchedOnUnlessTheTracerComputesThem() {
    String variable = "DD_TRACE_STATS_COMPUTATION_ENABLED";
    for (String on : new String[] {"true", "1", "TRUE"}) {
      Builder builder = take(TraceExporter.builder(), variable, on);
      assertEquals(10_000L, builder.settings.get("compute_stats_ms"));
      assertEquals(variable, builder.takenFromEnvironment().get("computeStats"));
    }
    for (String off : new String[] {"false", "0", "False", ""}) {
      Builder builder = take(TraceExporter.builder(), variable, off);
      assertEquals(null, builder.settings.get("compute_stats_ms"));
      assertTrue(builder.takenFromEnvironment().isEmpty());
    }
    Builder before = take(TraceExporter.builder().clientComputedStats(true), variable, "true");
    Builder after = take(TraceExporter.builder(), variable, "true").clientComputedStats(true);
    for (Builder builder : new Builder[] {before, after}) {
      assertEquals(null, builder.settings.get("compute_stats_ms"));
      assertTrue(builder.takenFromEnvironment().isEmpty());
      builder.discovery(false).build().close();
    }
    Duration mine = Duration.ofSeconds(20);
    Builder set = take(TraceExporter.builder().computeStats(mine), variable, "true");
    assertEquals(20_000L, set.settings.get("compute_stats_ms"));
  }

  @Test
  void howToObfuscateIsTakenButNotThatItIsDone() {
    Builder builder =
        take(
            TraceExporter.builder(),
            "DD_APM_OBFUSCATION_REDIS_ENABLED",
            "false",
            "DD_APM_OBFUSCATION_HTTP_REMOVE_QUERY_STRING",
            " ",
            "DD_APM_REPLACE_TAGS",
            "[]",
            "DD_APM_OTHER",
            "x");
    assertEquals(
        "DD_APM_OBFUSCATION_REDIS_ENABLED, DD_APM_REPLACE_TAGS",
        builder.takenFromEnvironment().get("obfuscationEnvironment"));
    try (TraceExporter exporter = builder.discovery(false).build()) {
      assertTrue(
          exporter.explain().contains("\"obfuscate\":{\"source\":\"default\",\"value\":false"));
    }
    Builder wrong =
        take(TraceExporter.builder(), "DD_APM_OBFUSCATION_REDIS_ENABLED", "perhaps")
            .discovery(false);
    TraceExporterException e = assertThrows(TraceExporterException.class, wrong::build);
    assertTrue(e.getMessage().contains("DD_APM_OBFUSCATION_REDIS_ENABLED"), e.getMessage());
    Builder set = TraceExporter.builder().obfuscationEnvironment(variables());
    take(set, "DD_APM_REPLACE_TAGS", "[]");
    assertTrue(set.takenFromEnvironment().isEmpty(), set.toString());
  }

  @Test
  void aBadValueNamesItsVariable() {
    String[][] cases = {
      {"DD_TRACE_AGENT_URL", "ftp://x"},
      {"DD_TRACE_AGENT_TIMEOUT", "soon"},
      {"DD_TRACE_AGENT_TIMEOUT", "1e99"},
      {"DD_TRACE_AGENT_PORT", "many"},
      {"DD_DOGSTATSD_URL", "http://x"},
      {"DD_TRACE_STATS_COMPUTATION_ENABLED", "yes"},
    };
    for (String[] c : cases) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> take(TraceExporter.builder(), c[0], c[1]));
      assertTrue(e.getMessage().startsWith(c[0] + "="), e.getMessage());
    }
  }

  @Test
  void onlyTheOneMethodReadsTheEnvironment() {
    // Whatever the test's own environment says: a plain builder takes nothing of it.
    assertTrue(TraceExporter.builder().takenFromEnvironment().isEmpty());
    TraceExporter.builder().fromEnvironment();
  }
}
