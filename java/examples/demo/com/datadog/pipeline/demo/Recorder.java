package com.datadog.pipeline.demo;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/** A tracer in one page: spans that nest, finished traces as msgpack v0.4. Not thread-safe. */
final class Recorder {
  private static final class Span {
    String service;
    String name;
    String resource;
    String type;
    long traceId;
    long spanId;
    long parentId;
    long start;
    long duration;
    int error;
    final Map<String, String> meta = new LinkedHashMap<>();
    final Map<String, Double> metrics = new LinkedHashMap<>();
  }

  private final String service;
  private final List<List<Span>> finished = new ArrayList<>();
  private final List<Span> current = new ArrayList<>();
  private Span active;
  private long ids = System.nanoTime() | 1;

  Recorder(String service) {
    this.service = service;
  }

  /** Runs work inside a span. */
  <T> T span(String name, String resource, String type, Callable<T> work) throws Exception {
    Span span = new Span();
    Span parent = active;
    span.service = service;
    span.name = name;
    span.resource = resource;
    span.type = type;
    span.spanId = ids += 2;
    span.traceId = parent == null ? span.spanId : parent.traceId;
    span.parentId = parent == null ? 0 : parent.spanId;
    span.start = System.currentTimeMillis() * 1_000_000;
    span.meta.put("language", "jvm");
    span.meta.put("thread.name", Thread.currentThread().getName());
    if (parent == null) {
      span.metrics.put("_sampling_priority_v1", 1.0);
    }
    current.add(span);
    active = span;
    long start = System.nanoTime();
    try {
      return work.call();
    } catch (Exception e) {
      span.error = 1;
      span.meta.put("error.type", e.getClass().getName());
      span.meta.put("error.message", String.valueOf(e.getMessage()));
      throw e;
    } finally {
      span.duration = System.nanoTime() - start;
      active = parent;
      if (parent == null) {
        finished.add(new ArrayList<>(current));
        current.clear();
      }
    }
  }

  /** The finished traces, as one payload; they are gone from here then. */
  byte[] take() {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    array(out, finished.size());
    for (List<Span> trace : finished) {
      array(out, trace.size());
      for (Span span : trace) {
        write(out, span);
      }
    }
    finished.clear();
    return out.toByteArray();
  }

  private static void write(ByteArrayOutputStream out, Span s) {
    map(out, 12);
    text(out, "service", s.service);
    text(out, "name", s.name);
    text(out, "resource", s.resource);
    number(out, "trace_id", s.traceId);
    number(out, "span_id", s.spanId);
    number(out, "parent_id", s.parentId);
    number(out, "start", s.start);
    number(out, "duration", s.duration);
    text(out, "type", s.type);
    number(out, "error", s.error);
    string(out, "metrics");
    map(out, s.metrics.size());
    for (Map.Entry<String, Double> e : s.metrics.entrySet()) {
      string(out, e.getKey());
      fixed(out, 0xcb, Double.doubleToRawLongBits(e.getValue()));
    }
    string(out, "meta");
    map(out, s.meta.size());
    for (Map.Entry<String, String> e : s.meta.entrySet()) {
      text(out, e.getKey(), e.getValue());
    }
  }

  private static void array(ByteArrayOutputStream out, int n) {
    out.write(0xdc);
    out.write(n >>> 8);
    out.write(n);
  }

  private static void map(ByteArrayOutputStream out, int n) {
    out.write(0xde);
    out.write(n >>> 8);
    out.write(n);
  }

  private static void text(ByteArrayOutputStream out, String key, String value) {
    string(out, key);
    string(out, value);
  }

  private static void number(ByteArrayOutputStream out, String key, long value) {
    string(out, key);
    fixed(out, 0xd3, value);
  }

  private static void string(ByteArrayOutputStream out, String s) {
    byte[] bytes = s.getBytes(StandardCharsets.UTF_8);
    out.write(0xda);
    out.write(bytes.length >>> 8);
    out.write(bytes.length);
    out.write(bytes, 0, bytes.length);
  }

  private static void fixed(ByteArrayOutputStream out, int marker, long v) {
    out.write(marker);
    for (int shift = 56; shift >= 0; shift -= 8) {
      out.write((int) (v >>> shift));
    }
  }
}
