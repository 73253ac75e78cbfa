package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class BuilderTest {
  private static final Map<String, BiFunction<Builder, String, Builder>> TEXTS =
      new LinkedHashMap<>();
  private static final Map<String, BiFunction<Builder, String, Builder>> HEADERS =
      new LinkedHashMap<>();
  private static final Map<String, BiFunction<Builder, String, Builder>> RULES =
      new LinkedHashMap<>();
  private static final Map<String, BiFunction<Builder, Duration, Builder>> LIMITS =
      new LinkedHashMap<>();

  static {
    TEXTS.put("url", Builder::url);
    TEXTS.put("service", Builder::service);
    TEXTS.put("env", Builder::env);
    TEXTS.put("version", Builder::version);
    TEXTS.put("hostname", Builder::hostname);
    TEXTS.put("runtimeId", Builder::runtimeId);
    TEXTS.put("gitCommitSha", Builder::gitCommitSha);
    TEXTS.put("processTags", Builder::processTags);
    TEXTS.put("ignoreResource", Builder::ignoreResource);
    HEADERS.put("language", Builder::language);
    HEADERS.put("languageVersion", Builder::languageVersion);
    HEADERS.put("languageInterpreter", Builder::languageInterpreter);
    HEADERS.put("languageVendor", Builder::languageVendor);
    HEADERS.put("tracerVersion", Builder::tracerVersion);
    HEADERS.put("containerId", Builder::containerId);
    HEADERS.put("entityId", Builder::entityId);
    HEADERS.put("externalEnv", Builder::externalEnv);
    HEADERS.put("testSessionToken", Builder::testSessionToken);
    RULES.put("requireTag", Builder::requireTag);
    RULES.put("rejectTag", Builder::rejectTag);
    RULES.put("requireTagRegex", Builder::requireTagRegex);
    RULES.put("rejectTagRegex", Builder::rejectTagRegex);
    LIMITS.put("connectTimeout", Builder::connectTimeout);
    LIMITS.put("sendTimeout", Builder::sendTimeout);
    LIMITS.put("sendBudget", Builder::sendBudget);
    LIMITS.put("maxIdleAge", Builder::maxIdleAge);
    LIMITS.put("closeTimeout", Builder::closeTimeout);
  }

  private static void refused(String knob, Function<Builder, Builder> setter) {
    Throwable e =
        assertThrows(
            IllegalArgumentException.class, () -> setter.apply(TraceExporter.builder()), knob);
    assertEquals(IllegalArgumentException.class, e.getClass());
    assertTrue(e.getMessage().startsWith(knob), e.getMessage());
    assertTrue(!e.getMessage().contains("s3cret"), e.getMessage());
  }

  @Test
  void nullIsRefusedByNameInEverySetter() {
    for (Map<String, BiFunction<Builder, String, Builder>> setters :
        java.util.Arrays.asList(TEXTS, HEADERS, RULES)) {
      setters.forEach((knob, setter) -> refused(knob, b -> setter.apply(b, null)));
    }
    LIMITS.forEach((knob, setter) -> refused(knob, b -> setter.apply(b, null)));
    refused("header", b -> b.header(null, "x"));
    refused("header", b -> b.header("x", null));
    refused("outputFormat", b -> b.outputFormat(null));
    refused("inputFormat", b -> b.inputFormat(null));
    refused("onMalformed", b -> b.onMalformed(null));
    refused("overflow", b -> b.overflow(null));
    refused("statsLimits", b -> b.statsLimits(null));
    refused("peerTag", b -> b.peerTag((String[]) null));
    refused("peerTag", b -> b.peerTag("a", null));
    refused("additionalMetricTag", b -> b.additionalMetricTag("a", null));
    refused("spool", b -> b.spool(null, 1 << 20));
    refused("dogstatsd", b -> b.dogstatsd(null));
    refused("obfuscation", b -> b.obfuscation(null));
    refused("obfuscationEnvironment", b -> b.obfuscationEnvironment(null));
    refused(
        "obfuscationEnvironment",
        b -> b.obfuscationEnvironment(Collections.singletonMap("DD_APM_REPLACE_TAGS", null)));
    refused(
        "obfuscationEnvironment",
        b -> b.obfuscationEnvironment(Collections.singletonMap(null, "x")));
    refused("logListener", b -> b.logListener(null));
    refused("completionExecutor", b -> b.completionExecutor(null));
    refused("badValues", b -> b.fromEnvironment(null));
  }

  @Test
  void headersCannotCarryLineBreaks() {
    HEADERS.forEach(
        (knob, setter) -> {
          refused(knob, b -> setter.apply(b, "a\r\nX-Evil: 1"));
          refused(knob, b -> setter.apply(b, "a\0"));
          refused(knob, b -> setter.apply(b, "a\u007f"));
          assertDoesNotThrow(() -> setter.apply(TraceExporter.builder(), "a b\té"));
        });
    refused("header", b -> b.header("X", "a\nb"));
    refused("header", b -> b.header("X Y", "a"));
    refused("header", b -> b.header("Datadog-Client-Dropped-P0-Traces", "1"));
    refused("header", b -> b.header("datadog-client-dropped-p0-whatever", "1"));
    refused("header", b -> b.header("", "a"));
    refused("header", b -> b.header("content-length", "7"));
    refused("header: HOST is written by the exporter itself, see url", b -> b.header("HOST", "h"));
    for (String own :
        new String[] {
          "Expect",
          "Upgrade",
          "TE",
          "Content-Encoding",
          "X-Datadog-Trace-Count",
          "Datadog-Send-Real-Http-Status",
          "Datadog-Client-Dropped-P0-Traces",
          "Datadog-Meta-Lang",
          "Datadog-Container-ID",
          "X-Datadog-Test-Session-Token"
        }) {
      refused(
          "header: " + own + " is written by the exporter itself", b -> b.header(own, "s3cret"));
    }
    TraceExporter.builder().header("X-Expect", "1").discovery(false).build().close();
  }

  @Test
  void timeLimitsAreMoreThanZeroAndAtMostTenMinutes() {
    LIMITS.forEach(
        (knob, setter) -> {
          refused(knob, b -> setter.apply(b, Duration.ofMillis(-1)));
          refused(knob, b -> setter.apply(b, Duration.ofMinutes(10).plusNanos(1)));
          refused(knob, b -> setter.apply(b, Duration.ofSeconds(Long.MAX_VALUE)));
          refused(knob, b -> setter.apply(b, Duration.ofSeconds(Long.MIN_VALUE)));
          if (knob.equals("closeTimeout")) {
            assertDoesNotThrow(() -> setter.apply(TraceExporter.builder(), Duration.ZERO));
          } else {
            refused(knob, b -> setter.apply(b, Duration.ZERO));
          }
          // Every accepted value is one that the native side takes too.
          for (Duration good : new Duration[] {Duration.ofNanos(1), Duration.ofMinutes(10)}) {
            setter.apply(TraceExporter.builder(), good).build().close();
          }
        });
  }

  @Test
  void idleConnectionsAreZeroToSixtyFour() {
    refused("maxIdleConnections", b -> b.maxIdleConnections(-1));
    refused("maxIdleConnections", b -> b.maxIdleConnections(65));
    TraceExporter.builder().maxIdleConnections(0).build().close();
    TraceExporter.builder().maxIdleConnections(64).build().close();
  }

  @Test
  void filterRulesHaveAKeyAndRegexesCanBeRead() {
    RULES.forEach(
        (knob, setter) -> {
          refused(knob, b -> setter.apply(b, ""));
          refused(knob, b -> setter.apply(b, "  "));
          refused(knob, b -> setter.apply(b, ":value"));
          setter.apply(TraceExporter.builder(), "key:value").build().close();
          setter.apply(TraceExporter.builder(), "key").build().close();
        });
    refused("requireTagRegex", b -> b.requireTagRegex("key:a("));
    refused("rejectTagRegex", b -> b.rejectTagRegex("key:[a"));
    refused("ignoreResource", b -> b.ignoreResource("GET /("));
    TraceExporter.builder().ignoreResource("GET /(?P<name>h.*)").build().close();
    // What Java reads and the agent does not, and the other way round.
    for (String regex : new String[] {"a(?=b)", "\\u00e9", "a++", "(?x)a", "a{1001}", "\\C"}) {
      refused("ignoreResource", b -> b.ignoreResource(regex));
      refused("rejectTagRegex", b -> b.rejectTagRegex("key:" + regex));
    }
    String[] ofGo = {
      "(?i)get /Healthz", "^GET /[^[]+$", "[a&&x]", "a{,2}", "{", "(?P<1>a)", "\\pL", "[[]"
    };
    for (String regex : ofGo) {
      TraceExporter.builder().ignoreResource(regex).requireTagRegex("k:" + regex).build().close();
    }
    refused("obfuscation", b -> b.obfuscation("{\"redis\":{\"on\":true}}"));
    refused("obfuscation", b -> b.obfuscation("s3cret"));
    refused(
        "obfuscation",
        b ->
            b.obfuscation(
                "{\"replace_tags\":[{\"name\":\"*\",\"pattern\":\"s3cret(\",\"repl\":\"\"}]}"));
  }

  @Test
  void numbersSayTheirRange() {
    refused("queueBytes is 1; it must be 64 KiB or more", b -> b.queueBytes(1));
    refused("queuePayloads is 0; it must be 1 to 1,048,576", b -> b.queuePayloads(0));
    refused("senders is 65; it must be 1 to 64", b -> b.senders(65));
    refused("batchBytes is -1; it must be 0 or more", b -> b.batchBytes(-1));
    refused("maxRequestBytes is 1; it must be 1,024 or more", b -> b.maxRequestBytes(1));
    refused("spool: the limit is 1 bytes; it must be 1 MiB", b -> b.spool(Paths.get("/x"), 1));
    refused(
        "computeStats is PT0.9S; it must be 1 s to", b -> b.computeStats(Duration.ofMillis(900)));
    refused("peerTag: it needs a key", b -> b.peerTag(""));
    refused(
        "additionalMetricTag: 5 were given; at most 4 are used",
        b -> b.additionalMetricTag("a", "b").additionalMetricTag("c", "d", "e"));
  }

  @Test
  void healthMetricsNeedASchemeAndAHost() {
    for (String url :
        new String[] {
          "localhost:8125", "", "http://x", "udp://", "udp://h:0", "udp://u:s3cret@h", "unix://rel"
        }) {
      refused("dogstatsd is", b -> b.dogstatsd(url));
    }
    TraceExporter.builder().dogstatsd("udp://localhost").discovery(false).build().close();
  }

  @Test
  void settingsWithoutEffectTogetherAreNamedAtBuild() {
    Duration second = Duration.ofSeconds(1);
    Map<String, Builder> pairs = new LinkedHashMap<>();
    Supplier<Builder> b = TraceExporter::builder;
    pairs.put("computeStats", b.get().computeStats(second).discovery(false));
    pairs.put("agentFilters", b.get().agentFilters(true).discovery(false));
    pairs.put("outputFormat(AUTO)", b.get().outputFormat(OutputFormat.AUTO).discovery(false));
    pairs.put("computeTopLevel", b.get().computeTopLevel(true).clientComputedTopLevel(true));
    pairs.put("blockWait", b.get().blockWait(second));
    pairs.put("statsReplay", b.get().statsReplay(true));
    pairs.forEach(
        (name, builder) -> {
          TraceExporterException e = assertThrows(TraceExporterException.class, builder::build);
          assertEquals(ErrorCode.INVALID_CONFIGURATION, e.code());
          assertTrue(e.getMessage().contains(name + " has no effect with"), e.getMessage());
        });
  }

  @Test
  void whatIsShownHasTheNamesOfTheSettersAndNoSecrets() {
    Builder builder =
        TraceExporter.builder()
            .url("http://agent:1/s3cret")
            .header("X-Key", "s3cret")
            .testSessionToken("s3cret")
            .sendBudget(Duration.ofSeconds(2))
            .computeStats(Duration.ofSeconds(10))
            .ignoreResource("GET /health")
            .jmx(true)
            .obfuscation(
                "{\"replace_tags\":[{\"name\":\"*\",\"pattern\":\"s3cret\",\"repl\":\"\"}]}");
    String expected =
        "url=http://agent:1/***, header=[X-Key=***], testSessionToken=***, sendBudget=2000 ms,"
            + " computeStats=10000 ms, ignoreResource=[GET /health], obfuscation=***, jmx=true";
    assertEquals("Builder{" + expected + "}", builder.toString());
    try (TraceExporter exporter = builder.jmx(false).build()) {
      assertEquals(
          "TraceExporter{" + expected.replace("jmx=true", "jmx=false") + "}", exporter.toString());
      String all = exporter.explain();
      assertTrue(!all.contains("s3cret") && all.contains("\"ignoreResource\""), all);
    }
  }

  @Test
  void addressesAreCheckedAtOnceAndSayHowToWriteOne() {
    String[] bad = {
      "",
      "127.0.0.1:8126",
      "ftp://host",
      "https://",
      "http://",
      "http://:8126",
      "http://host:0",
      "http://host:65536",
      "http://host:x",
      "http://ho st",
      "http://user@host",
      "http://host/?a=b",
      "http://host/#a",
      "http://[::1",
      "http://[nonsense]:1",
      "http://h\u00f6st",
      "unix://relative",
      "unix:///a\0b",
      "windows:\\\\.\\pipe\\",
      "windows:C:\\pipe",
    };
    for (String url : bad) {
      refused("url", b -> b.url(url));
    }
    String[] good = {
      "http://localhost",
      "HTTP://h:1",
      "http://[::1]:8126/",
      "http://h_1.x:8126/prefix/",
      File.separatorChar == '/' ? "unix:///s" : "windows:\\\\.\\pipe\\s"
    };
    for (String url : good) {
      TraceExporter.builder().url(url).build().close();
    }
  }

  @Test
  void everyChoiceIsOneThatTheNativeSideKnows() {
    for (OutputFormat format : OutputFormat.values()) {
      TraceExporter.builder().outputFormat(format).build().close();
    }
    for (OnMalformed policy : OnMalformed.values()) {
      TraceExporter.builder().onMalformed(policy).build().close();
    }
  }

  @Test
  void anExporterKeepsWhatTheBuilderHadAtBuild() {
    Builder builder = TraceExporter.builder().service("first").header("X-A", "1");
    try (TraceExporter first = builder.build();
        TraceExporter second = builder.service("second").header("X-B", "2").build()) {
      assertNotSame(first, second);
      assertTrue(first.toString().contains("service=first"), first.toString());
      assertTrue(!first.toString().contains("X-B"), first.toString());
      assertTrue(second.toString().contains("service=second"), second.toString());
      assertTrue(second.toString().contains("X-A") && second.toString().contains("X-B"));
    }
  }
}
