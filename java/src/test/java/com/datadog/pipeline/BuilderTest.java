package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiFunction;
import java.util.function.Function;
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
    Throwable e = assertThrows(RuntimeException.class, () -> setter.apply(TraceExporter.builder()));
    assertTrue(
        e instanceof IllegalArgumentException || e instanceof NullPointerException, e.toString());
    assertTrue(e.getMessage().startsWith(knob), e.getMessage());
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
    refused("onMalformed", b -> b.onMalformed(null));
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
    refused("header", b -> b.header("", "a"));
    refused("header", b -> b.header("content-length", "7"));
    refused("header", b -> b.header("HOST", "h"));
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
  }

  @Test
  void addressesAreCheckedAtOnceAndSayHowToWriteOne() {
    String[] bad = {
      "",
      "127.0.0.1:8126",
      "ftp://host",
      "https://host:8126",
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
      "unix:///s"
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
