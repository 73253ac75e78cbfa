package com.datadog.pipeline.opentelemetry;

import com.datadog.pipeline.internal.Json;
import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.common.AttributesBuilder;
import io.opentelemetry.api.common.KeyValue;
import io.opentelemetry.api.common.Value;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.TraceStateBuilder;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.testing.trace.TestSpanData;
import io.opentelemetry.sdk.trace.data.EventData;
import io.opentelemetry.sdk.trace.data.LinkData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.data.StatusData;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/** The examples of tests/fixtures/otel: OTLP in JSON, and what the agent's receiver makes of it. */
final class Examples {
  final String id;
  final List<SpanData> spans = new ArrayList<>();
  final List<Map<String, Object>> chunks;

  @SuppressWarnings("unchecked")
  private Examples(Map<String, Object> line) {
    id = (String) line.get("id");
    chunks = (List<Map<String, Object>>) ((Map<String, Object>) line.get("expected")).get("chunks");
    Map<String, Object> otlp = (Map<String, Object>) line.get("otlp");
    for (Map<String, Object> rs : list(otlp, "resourceSpans")) {
      Map<String, Object> given = (Map<String, Object>) rs.get("resource");
      Resource resource =
          Resource.create(
              given == null ? Attributes.empty() : attributes(list(given, "attributes")));
      for (Map<String, Object> ss : list(rs, "scopeSpans")) {
        InstrumentationScopeInfo scope = scope((Map<String, Object>) ss.get("scope"));
        for (Map<String, Object> span : list(ss, "spans")) {
          spans.add(span(span, resource, scope));
        }
      }
    }
  }

  @SuppressWarnings("unchecked")
  static List<Examples> read(Path file) throws IOException {
    List<Examples> all = new ArrayList<>();
    try (InputStream raw = Files.newInputStream(file);
        InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw;
        BufferedReader lines =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (!line.isEmpty()) {
          all.add(new Examples((Map<String, Object>) Json.parse(line)));
        }
      }
    }
    return all;
  }

  @SuppressWarnings("unchecked")
  private static List<Map<String, Object>> list(Map<String, Object> of, String key) {
    Object value = of.get(key);
    return value == null ? new ArrayList<>() : (List<Map<String, Object>>) value;
  }

  private static String text(Map<String, Object> of, String key) {
    Object value = of.get(key);
    return value == null ? "" : value.toString();
  }

  private static long number(Map<String, Object> of, String key) {
    String text = text(of, key);
    return text.isEmpty() ? 0 : Long.parseUnsignedLong(text.replaceFirst("\\.0$", ""));
  }

  private static InstrumentationScopeInfo scope(Map<String, Object> given) {
    if (given == null) {
      return InstrumentationScopeInfo.create("");
    }
    return InstrumentationScopeInfo.builder(text(given, "name"))
        .setVersion(given.get("version") == null ? null : text(given, "version"))
        .setAttributes(attributes(list(given, "attributes")))
        .build();
  }

  private static SpanData span(
      Map<String, Object> span, Resource resource, InstrumentationScopeInfo scope) {
    String traceId = text(span, "traceId");
    TraceState state = state(text(span, "traceState"));
    String parent = text(span, "parentSpanId");
    List<EventData> events = new ArrayList<>();
    for (Map<String, Object> e : list(span, "events")) {
      Attributes attributes = attributes(list(e, "attributes"));
      events.add(
          EventData.create(
              number(e, "timeUnixNano"),
              text(e, "name"),
              attributes,
              attributes.size() + (int) number(e, "droppedAttributesCount")));
    }
    List<LinkData> links = new ArrayList<>();
    for (Map<String, Object> l : list(span, "links")) {
      Attributes attributes = attributes(list(l, "attributes"));
      links.add(
          LinkData.create(
              SpanContext.create(
                  text(l, "traceId"),
                  text(l, "spanId"),
                  TraceFlags.getDefault(),
                  state(text(l, "traceState"))),
              attributes,
              attributes.size() + (int) number(l, "droppedAttributesCount")));
    }
    return TestSpanData.builder()
        .setSpanContext(
            SpanContext.create(traceId, text(span, "spanId"), TraceFlags.getSampled(), state))
        .setParentSpanContext(
            parent.isEmpty()
                ? SpanContext.getInvalid()
                : SpanContext.create(
                    traceId, parent, TraceFlags.getSampled(), TraceState.getDefault()))
        .setResource(resource)
        .setInstrumentationScopeInfo(scope)
        .setName(text(span, "name"))
        .setKind(kind((int) number(span, "kind")))
        .setStartEpochNanos(number(span, "startTimeUnixNano"))
        .setEndEpochNanos(number(span, "endTimeUnixNano"))
        .setAttributes(attributes(list(span, "attributes")))
        .setEvents(events)
        .setLinks(links)
        .setStatus(status(span))
        .setHasEnded(true)
        .build();
  }

  @SuppressWarnings("unchecked")
  private static StatusData status(Map<String, Object> span) {
    Map<String, Object> status = (Map<String, Object>) span.get("status");
    if (status == null) {
      return StatusData.unset();
    }
    String message = text(status, "message");
    switch ((int) number(status, "code")) {
      case 1:
        return StatusData.create(io.opentelemetry.api.trace.StatusCode.OK, message);
      case 2:
        return StatusData.create(io.opentelemetry.api.trace.StatusCode.ERROR, message);
      default:
        return StatusData.create(io.opentelemetry.api.trace.StatusCode.UNSET, message);
    }
  }

  private static SpanKind kind(int kind) {
    switch (kind) {
      case 2:
        return SpanKind.SERVER;
      case 3:
        return SpanKind.CLIENT;
      case 4:
        return SpanKind.PRODUCER;
      case 5:
        return SpanKind.CONSUMER;
      default:
        return SpanKind.INTERNAL;
    }
  }

  private static TraceState state(String text) {
    TraceStateBuilder builder = TraceState.builder();
    if (!text.isEmpty()) {
      String[] members = text.split(",");
      // Put back to front: the builder writes the newest first.
      for (int i = members.length - 1; i >= 0; i--) {
        String[] pair = members[i].split("=", 2);
        builder.put(pair[0], pair[1]);
      }
    }
    return builder.build();
  }

  @SuppressWarnings("unchecked")
  private static Attributes attributes(List<Map<String, Object>> pairs) {
    AttributesBuilder out = Attributes.builder();
    for (Map<String, Object> pair : pairs) {
      String key = text(pair, "key");
      Value<?> value = value((Map<String, Object>) pair.get("value"));
      switch (value.getType()) {
        case STRING:
          out.put(key, (String) value.getValue());
          break;
        case BOOLEAN:
          out.put(key, (Boolean) value.getValue());
          break;
        case LONG:
          out.put(key, (Long) value.getValue());
          break;
        case DOUBLE:
          out.put(key, (Double) value.getValue());
          break;
        default:
          out.put(AttributeKey.valueKey(key), value);
      }
    }
    return out.build();
  }

  @SuppressWarnings("unchecked")
  private static Value<?> value(Map<String, Object> v) {
    if (v == null || v.isEmpty()) {
      return Value.of("");
    }
    Map.Entry<String, Object> entry = v.entrySet().iterator().next();
    Object inner = entry.getValue();
    switch (entry.getKey()) {
      case "stringValue":
        return Value.of((String) inner);
      case "boolValue":
        return Value.of((Boolean) inner);
      case "intValue":
        return Value.of(Long.parseLong(inner.toString()));
      case "doubleValue":
        return Value.of(Double.parseDouble(inner.toString()));
      case "bytesValue":
        return Value.of(Base64.getDecoder().decode((String) inner));
      case "arrayValue":
        List<Value<?>> values = new ArrayList<>();
        for (Map<String, Object> one : list((Map<String, Object>) inner, "values")) {
          values.add(value(one));
        }
        return Value.of(values);
      case "kvlistValue":
        List<KeyValue> map = new ArrayList<>();
        for (Map<String, Object> one : list((Map<String, Object>) inner, "values")) {
          map.add(KeyValue.of(text(one, "key"), value((Map<String, Object>) one.get("value"))));
        }
        return Value.of(map.toArray(new KeyValue[0]));
      default:
        throw new IllegalArgumentException(entry.getKey());
    }
  }
}
