package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.internal.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
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
    Environment.take(to, variables(pairs), folder.resolve("none"), BadValues.FAIL);
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
      {"http://10.43.0.7:8127", new String[] {"DD_TRACE_AGENT_PORT", "tcp://10.43.0.7:8127"}},
      {
        "http://b:8127",
        new String[] {"DD_AGENT_HOST", "b", "DD_TRACE_AGENT_PORT", "tcp://10.43.0.7:8127"}
      },
      {"unix://" + socket, new String[] {"DD_TRACE_AGENT_URL", ""}},
    };
    for (Object[] c : cases) {
      Builder builder = TraceExporter.builder();
      Environment.take(builder, variables((String[]) c[1]), socket, BadValues.FAIL);
      assertEquals(c[0], builder.settings.get("url"));
      assertEquals(1, builder.takenFromEnvironment().size());
    }
    assertEquals(null, take(TraceExporter.builder()).settings.get("url"));
  }

  @Test
  void whoSendsToAnAgentTakesNoDestinationOfOpenTelemetry() {
    String[] otlp = {
      "OTEL_TRACES_EXPORTER", "otlp,datadog",
      "OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318",
      "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc",
      "OTEL_EXPORTER_OTLP_TIMEOUT", "soon",
      "OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file",
      "DD_SERVICE", "shop",
    };
    Builder builder = TraceExporter.builder();
    Path none = folder.resolve("none");
    Environment.takeForAgent(builder, variables(otlp), none, BadValues.FAIL);
    assertEquals("{service=DD_SERVICE}", builder.takenFromEnvironment().toString());
    Map<String, String> named = variables(otlp);
    named.put("DD_AGENT_HOST", "agent");
    Environment.takeForAgent(builder, named, none, BadValues.FAIL);
    assertEquals("http://agent:8126", builder.settings.get("url"));
    assertEquals(null, builder.settings.get("destination"));
  }

  @Test
  void theDestinationFollowsOpenTelemetrysVariables() {
    String all = "OTEL_EXPORTER_OTLP_";
    String traces = "OTEL_EXPORTER_OTLP_TRACES_";
    String exporter = "OTEL_TRACES_EXPORTER";
    // What the destination is, null for none; which variables say so.
    Object[][] cases = {
      {null, new String[] {}},
      {null, new String[] {exporter, "none", all + "ENDPOINT", "http://c:4318"}},
      {null, new String[] {exporter, "jaeger"}},
      {null, new String[] {all + "HEADERS", "a=b"}},
      {null, new String[] {"DD_AGENT_HOST", "h", all + "ENDPOINT", "http://c:4318"}},
      {"[{otlp={url=http://localhost:4318}}]", new String[] {exporter, "otlp"}},
      {
        "[{otlp={url=http://localhost:4318}}]",
        new String[] {exporter, "console , otlp", "DD_AGENT_HOST", "h"}
      },
      {"[{otlp={url=http://c:4318/v1/traces}}]", new String[] {all + "ENDPOINT", "http://c:4318"}},
      {"[{otlp={url=http://c:4318/v1/traces}}]", new String[] {all + "ENDPOINT", "http://c:4318/"}},
      {
        "[{otlp={url=http://c:4318/x/v1/traces}}]",
        new String[] {all + "ENDPOINT", "http://c:4318/x"}
      },
      {"[{otlp={url=http://c:4318/own}}]", new String[] {traces + "ENDPOINT", "http://c:4318/own"}},
      {
        "[{otlp={url=http://t/own}}]",
        new String[] {traces + "ENDPOINT", "http://t/own", all + "ENDPOINT", "http://c:4318"}
      },
      {
        "[{otlp={url=http://localhost:4318, encoding=JSON, compression=GZIP}}]",
        new String[] {
          exporter,
          "otlp",
          all + "PROTOCOL",
          "http/json",
          traces + "COMPRESSION",
          "gzip",
          all + "COMPRESSION",
          "zstd"
        }
      },
      {
        "[{otlp={url=http://localhost:4318, encoding=PROTOBUF, metricsUrl=http://m/x}}]",
        new String[] {
          exporter,
          "otlp",
          traces + "PROTOCOL",
          "http/protobuf",
          all + "PROTOCOL",
          "http/json",
          all + "METRICS_ENDPOINT",
          "http://m/x"
        }
      },
    };
    for (Object[] c : cases) {
      Builder builder = take(TraceExporter.builder(), (String[]) c[1]);
      Object made = builder.settings.get("destination");
      String shown = made == null ? null : made.toString();
      assertEquals(c[0], shown, String.join(" ", (String[]) c[1]));
    }
    Builder builder =
        take(
            TraceExporter.builder(),
            all + "ENDPOINT",
            "http://c:4318",
            all + "HEADERS",
            "authorization=Bearer%20s3cret, x-team = shop,,x-empty=",
            all + "TIMEOUT",
            "2500",
            traces + "TIMEOUT",
            "1500",
            all + "CERTIFICATE",
            "/ca.pem",
            all + "CLIENT_CERTIFICATE",
            "/c.pem",
            all + "CLIENT_KEY",
            "/c.key");
    Map<?, ?> kind = (Map<?, ?>) ((List<?>) builder.settings.get("destination")).get(0);
    assertEquals(
        "[[authorization, Bearer s3cret], [x-team, shop], [x-empty, ]]",
        ((Map<?, ?>) kind.get("otlp")).get("headers").toString());
    assertEquals(1500L, builder.settings.get("sendTimeout"));
    assertEquals("/ca.pem", builder.settings.get("caFile"));
    assertTrue(builder.takenFromEnvironment().get("sendTimeout").contains("TRACES_TIMEOUT"));
    assertEquals(all + "ENDPOINT", builder.takenFromEnvironment().get("destination"));
    assertTrue(!builder.toString().contains("s3cret"), builder.toString());
    // A setter has the last word, and says what the peer is.
    builder = take(TraceExporter.builder().url("http://mine:1"), exporter, "otlp");
    assertEquals(null, builder.settings.get("destination"));
    assertEquals("http://mine:1", builder.settings.get("url"));
  }

  @Test
  void aBadVariableOfOpenTelemetryIsNamed() {
    String all = "OTEL_EXPORTER_OTLP_";
    String[][] cases = {
      {all + "PROTOCOL", "grpc", "http/protobuf or http/json"},
      {all + "TRACES_PROTOCOL", "http", "http/protobuf or http/json"},
      {all + "COMPRESSION", "brotli", "none, gzip or zstd"},
      {all + "TIMEOUT", "soon", "no number of milliseconds"},
      {all + "TIMEOUT", "-1", "more than 0"},
      {all + "HEADERS", "a b=c", "header"},
      {all + "HEADERS", "a=b%0Ac", ""},
      {all + "ENDPOINT", "collector:4318", "scheme"},
      {all + "METRICS_ENDPOINT", "ftp://x", "metricsUrl"},
    };
    for (String[] c : cases) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> take(TraceExporter.builder(), "OTEL_TRACES_EXPORTER", "otlp", c[0], c[1]),
              c[0] + "=" + c[1]);
      assertTrue(e.getMessage().contains(c[2]), e.getMessage());
      if (!c[2].equals("metricsUrl")) {
        assertTrue(e.getMessage().startsWith(c[0]), e.getMessage());
      }
    }
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
    assertEquals(2500L, builder.settings.get("sendTimeout"));
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
      assertEquals(10_000L, builder.settings.get("computeStats"));
      assertEquals(variable, builder.takenFromEnvironment().get("computeStats"));
    }
    for (String off : new String[] {"false", "0", "False", ""}) {
      Builder builder = take(TraceExporter.builder(), variable, off);
      assertEquals(null, builder.settings.get("computeStats"));
      assertTrue(builder.takenFromEnvironment().isEmpty());
    }
    Builder before = take(TraceExporter.builder().clientComputedStats(true), variable, "true");
    Builder after = take(TraceExporter.builder(), variable, "true").clientComputedStats(true);
    Builder blind = take(TraceExporter.builder(), variable, "true").discovery(false);
    for (Builder builder : new Builder[] {before, after, blind}) {
      List<String> lines = new ArrayList<>();
      try (TraceExporter exporter = builder.logListener(l -> lines.add(l.text())).build()) {
        Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
        Map<?, ?> stats = (Map<?, ?>) ((Map<?, ?>) all.get("configuration")).get("computeStats");
        assertEquals(null, stats.get("value"));
        Map<?, ?> skipped = (Map<?, ?>) ((List<?>) all.get("skipped")).get(0);
        assertEquals(variable, skipped.get("variable"));
        assertTrue(skipped.get("why").toString().startsWith("computeStats has no effect with"));
      }
      assertTrue(lines.toString().contains(variable + " is left out: computeStats"), "" + lines);
    }
    Duration mine = Duration.ofSeconds(20);
    Builder set = take(TraceExporter.builder().computeStats(mine), variable, "true");
    assertEquals(20_000L, set.settings.get("computeStats"));
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
    Builder set = TraceExporter.builder().obfuscationEnvironment(variables());
    take(set, "DD_APM_REPLACE_TAGS", "[]");
    assertTrue(set.takenFromEnvironment().isEmpty(), set.toString());
  }

  @Test
  void aBadValueNamesItsVariable() {
    String[][] cases = {
      {"DD_TRACE_AGENT_URL", "ftp://x"},
      {"DD_AGENT_HOST", "a b"},
      {"DD_EXTERNAL_ENV", "a\u0001b"},
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
      String said = c[0] + "=\"" + c[1] + "\": ";
      assertTrue(e.getMessage().startsWith(said), e.getMessage());
      assertTrue(!e.getMessage().substring(said.length()).contains(c[1]), e.getMessage());
      Builder builder = TraceExporter.builder();
      Environment.take(
          builder,
          variables(c[0], c[1], "DD_SERVICE", "shop"),
          folder.resolve("none"),
          BadValues.SKIP);
      assertEquals("{service=DD_SERVICE}", builder.takenFromEnvironment().toString());
      List<String> lines = new ArrayList<>();
      try (TraceExporter exporter =
          builder.discovery(false).logListener(l -> lines.add(l.text())).build()) {
        Map<?, ?> all = (Map<?, ?>) Json.parse(exporter.explain());
        Map<?, ?> skipped = (Map<?, ?>) ((List<?>) all.get("skipped")).get(0);
        assertEquals(e.getMessage(), skipped.get("variable") + ": " + skipped.get("why"));
      }
      assertTrue(lines.toString().contains(c[0]), "" + lines);
    }
  }

  @Test
  void ofHostAndPortTheOneThatIsWrongIsNamed() {
    String[][] cases = {
      {"b", "many", "DD_TRACE_AGENT_PORT=\"many\": the port must be 1 to 65535"},
      {"a b", "9", "DD_AGENT_HOST=\"a b\": it has spaces"},
      {"b", "tcp://x:0", "DD_TRACE_AGENT_PORT=\"tcp://x:0\": the port must be"},
    };
    for (String[] c : cases) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  take(
                      TraceExporter.builder(), "DD_AGENT_HOST", c[0], "DD_TRACE_AGENT_PORT", c[1]));
      assertTrue(e.getMessage().startsWith(c[2]), e.getMessage());
    }
  }

  @Test
  void secretsInVariablesAreNotShown() {
    String[][] cases = {
      {"DD_TRACE_AGENT_URL", "http://u:s3cret@agent:8126/x"},
      {"DD_TRACE_AGENT_URL", "https://agent/s3cret?key=s3cret"},
      {"DD_DOGSTATSD_URL", "http://u:s3cret@x"},
      {"DD_APM_REPLACE_TAGS", "[{\"name\":\"*\",\"pattern\":\"s3cret(\",\"repl\":\"?\"}]"},
      {"DD_OBFUSCATION_CONFIG", "{\"replace_tags\":\"s3cret\"}"},
    };
    for (String[] c : cases) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> take(TraceExporter.builder(), c[0], c[1]));
      assertTrue(e.getMessage().startsWith(c[0]), e.getMessage());
      assertTrue(!e.getMessage().contains("s3cret"), e.getMessage());
      Builder builder = TraceExporter.builder();
      Environment.take(builder, variables(c), folder.resolve("none"), BadValues.SKIP);
      try (TraceExporter exporter = builder.discovery(false).build()) {
        String all = builder + exporter.toString() + exporter.explain();
        assertTrue(!all.contains("s3cret"), all);
      }
    }
  }

  @Test
  void aBadVariableOfObfuscationCostsNoOther() {
    Builder builder = TraceExporter.builder();
    Map<String, String> variables =
        variables(
            "DD_APM_OBFUSCATION_REDIS_ENABLED",
            "perhaps",
            "DD_APM_OBFUSCATION_VALKEY_ENABLED",
            "1");
    Environment.take(builder, variables, folder.resolve("none"), BadValues.SKIP);
    assertEquals(
        "{obfuscationEnvironment=DD_APM_OBFUSCATION_VALKEY_ENABLED}",
        builder.takenFromEnvironment().toString());
    assertTrue(builder.skipped.toString().contains("DD_APM_OBFUSCATION_REDIS_ENABLED"));
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> take(TraceExporter.builder(), "DD_APM_OBFUSCATION_REDIS_ENABLED", "perhaps"));
    assertTrue(
        e.getMessage().startsWith("DD_APM_OBFUSCATION_REDIS_ENABLED: \"perhaps\" is neither"));
  }

  @Test
  void onlyTheOneMethodReadsTheEnvironment() {
    // Whatever the test's own environment says: a plain builder takes nothing of it.
    assertTrue(TraceExporter.builder().takenFromEnvironment().isEmpty());
    TraceExporter.builder().fromEnvironment();
  }
}
