package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import io.opentelemetry.sdk.resources.Resource;
import io.opentelemetry.sdk.trace.data.EventData;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.data.StatusData;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.function.BiConsumer;

/**
 * Turns spans into one v0.5 payload, as the agent's own OTLP receiver would have read them.
 *
 * <p>A span's attributes are walked once. What must win is written before them: whoever has a name
 * first keeps it, so a later value of the same name is only a test of a number. Numbers wait and
 * become metrics; texts that are empty wait and are written if nobody had a better one. The tags of
 * a resource are encoded once a payload and copied, unless a span has one of their names.
 *
 * <p>All memory is used again: an export makes no objects in steady state. Not thread-safe.
 */
final class SpanEncoder implements BiConsumer<AttributeKey<?>, Object> {
  private static final long YEAR_2000 = 946_684_800_000_000_000L;
  private final Rules rules = new Rules();
  private final Names names = new Names();
  private final StringTable table = new StringTable();
  private final Buf spans = new Buf();
  private final Json json = new Json();

  private final Tag httpStatus = rules.tag("http.status_code");
  private final Tag grpcStatus = rules.tag("rpc.grpc.status_code");
  private final Tag sampleRate = rules.tag("_sample_rate");
  private final Tag priority = rules.tag("_sampling_priority_v1");
  private final Tag analytics = rules.tag("_dd1.sr.eausr");
  private final Tag measured = rules.tag("_dd.measured");
  private final Tag tracestate = rules.tag("w3c.tracestate");
  private final Tag otelTraceId = rules.tag("otel.trace_id");
  private final Tag version = rules.tag("version");
  private final Tag env = rules.tag("env");
  private final Tag events = rules.tag("events");
  private final Tag hasException = rules.tag("_dd.span_events.has_exception");
  private final Tag links = rules.tag("_dd.span_links");
  private final Tag statusDescription = rules.tag("otel.status_description");
  private final Tag errorMessage = rules.tag("error.msg");
  private final Tag databaseName = rules.tag("db.name");
  private final Tag mechanism = rules.tag("_dd.p.dm");
  private final Tag highTraceId = rules.tag(Rules.TRACE_ID_HIGH);
  private final Tag sampledByUser = new Tag("-4");
  private final Tag sampledByDefault = new Tag("-9");
  private final Frames frames = new Frames(rules);
  private final Tag yes = new Tag("true");
  private final Tag no = new Tag("false");

  private final Concepts.Values own = new Concepts.Values();
  private final Titles titles = new Titles(names, own);
  private ResourceTags[] resources = new ResourceTags[4];
  private int resourceCount;
  private long resourceIds;
  private ResourceTags resource;

  // One export.
  private final Batch batch = new Batch();
  private long payloads;

  // One span.
  private long serial;
  private int metaCount;
  private boolean conflict;
  private Tag[] metricTags = new Tag[16];
  private double[] metricValues = new double[16];
  private int metricCount;
  private Tag[] emptyTags = new Tag[8];
  private int emptyCount;
  private double statusAttribute;
  private boolean hasStatusAttribute;
  private String statusText;
  private String grpcText;

  // One chunk.
  private final Decision decision = new Decision();
  private boolean isFirst;

  /** The payload of these spans; its bytes are good until the next one. */
  Buf encode(Collection<SpanData> collection) {
    try {
      int chunks = batch.take(collection);
      payloads++;
      table.begin();
      spans.clear();
      spans.put32(0xdd, chunks);
      for (int i = 0; i < chunks; i++) {
        chunk(i);
      }
      return table.complete(spans);
    } finally {
      batch.clear();
      table.end();
      own.clear();
      Arrays.fill(own.values, null);
      rules.end();
    }
  }

  private void chunk(int index) {
    decision.begin();
    spans.put32(0xdd, batch.count(index));
    boolean first = true;
    for (int i = batch.first(index); i != Batch.END; i = batch.after(i)) {
      span(batch.span(i), batch.traceId(index), first);
      first = false;
    }
    decision.settle(spans, table, sampledByUser, payloads);
  }

  private void span(SpanData span, long traceId, boolean first) {
    serial++;
    metaCount = 0;
    metricCount = 0;
    emptyCount = 0;
    conflict = false;
    hasStatusAttribute = false;
    statusText = "";
    grpcText = null;
    own.clear();
    resource(span.getResource());
    SpanKind kind = span.getKind();
    StatusData status = span.getStatus();

    spans.put(0x9c);
    int serviceAt = spans.put32(0xce, 0);
    int nameAt = spans.put32(0xce, 0);
    int resourceAt = spans.put32(0xce, 0);
    spans.put64(0xcf, traceId);
    spans.put64(0xcf, Batch.hex(span.getSpanId(), 0));
    SpanContext parent = span.getParentSpanContext();
    spans.put64(0xcf, parent.isValid() ? Batch.hex(parent.getSpanId(), 0) : 0);
    long start = span.getStartEpochNanos();
    long duration = span.getEndEpochNanos() - start;
    if (duration < 0 || duration > Long.MAX_VALUE - start) {
      duration = 0;
    }
    if (start < YEAR_2000) {
      long now = System.currentTimeMillis() * 1_000_000;
      start = now < duration ? now : now - duration;
    }
    spans.put64(0xd3, start);
    spans.put64(0xd3, duration);
    spans.put(status.getStatusCode() == StatusCode.ERROR ? 1 : 0);

    int countAt = spans.put32(0xdf, 0);
    isFirst = first;
    winners(span, kind, status);
    if (first) {
      first(span, countAt);
    }
    span.getAttributes().forEach(this);
    afterAttributes(span, status);
    resourceTags();
    if (!has(databaseName) && !isWaiting(databaseName)) {
      String namespace = titles.text(Concepts.DB_NAMESPACE);
      if (namespace != null) {
        meta(databaseName, table.of(namespace));
      }
    }
    for (int i = 0; i < emptyCount; i++) {
      Tag tag = emptyTags[i];
      if (!has(tag)) {
        meta(tag, 0);
      }
    }
    spans.set32(countAt, metaCount);
    int priorityAt = metrics(first);
    if (first) {
      decision.first(metaCount, priorityAt);
    }
    spans.unsigned(table.of(titles.type(kind)));

    spans.set32(serviceAt, table.of(titles.service()));
    spans.set32(nameAt, table.of(titles.name(kind)));
    spans.set32(resourceAt, table.of(titles.resource(span, kind)));
  }

  private void resource(Resource of) {
    if (resource != null && resource.resource == of) {
      return;
    }
    ResourceTags found = null;
    for (int i = 0; i < resourceCount; i++) {
      if (resources[i].resource == of) {
        found = resources[i];
      }
    }
    if (found == null) {
      if (resourceCount == resources.length) {
        resourceCount = 0;
      }
      found = new ResourceTags(of, ++resourceIds, rules);
      resources[resourceCount++] = found;
    }
    resource = found;
    titles.under(found.concepts);
    found.claim();
  }

  /** Whether the span's meta will have this name, from the span or its resource. */
  private boolean has(Tag tag) {
    return tag.inMeta == serial || tag.inResource == resource.id;
  }

  private boolean isWaiting(Tag tag) {
    for (int i = 0; i < emptyCount; i++) {
      if (emptyTags[i] == tag) {
        return true;
      }
    }
    return false;
  }

  private void meta(Tag tag, int value) {
    tag.inMeta = serial;
    conflict |= tag.inResource == resource.id;
    spans.unsigned(tag.number(table, payloads));
    spans.unsigned(value);
    metaCount++;
  }

  private void meta(Tag tag, Tag value) {
    meta(tag, value.number(table, payloads));
  }

  private void metric(Tag tag, double value) {
    if (tag.inMetrics == serial) {
      return;
    }
    tag.inMetrics = serial;
    if (metricCount == metricTags.length) {
      metricTags = Arrays.copyOf(metricTags, metricCount * 2);
      metricValues = Arrays.copyOf(metricValues, metricCount * 2);
    }
    metricTags[metricCount] = tag;
    metricValues[metricCount++] = value;
  }

  private void overwrite(Tag tag, double value) {
    for (int i = 0; i < metricCount; i++) {
      if (metricTags[i] == tag) {
        metricValues[i] = value;
        return;
      }
    }
    metric(tag, value);
  }

  /** A text that an attribute gives: the first that is not empty stays. */
  private void text(Tag tag, String value) {
    if (tag.inMeta == serial) {
      return;
    }
    if (!value.isEmpty()) {
      meta(tag, table.of(value));
    } else if (!isWaiting(tag)) {
      if (emptyCount == emptyTags.length) {
        emptyTags = Arrays.copyOf(emptyTags, emptyCount * 2);
      }
      emptyTags[emptyCount++] = tag;
    }
  }

  /** What overwrites attributes of the same name, most powerful first. */
  private void winners(SpanData span, SpanKind kind, StatusData status) {
    InstrumentationScopeInfo scope = span.getInstrumentationScopeInfo();
    Attributes scopeAttributes = scope.getAttributes();
    if (!scopeAttributes.isEmpty()) {
      scopeAttributes.forEach(
          (key, value) -> {
            Tag tag = rules.tag(key.getKey());
            if (isFirst && tag == mechanism) {
              decision.own(table.of(Values.text(value)));
            } else if (!key.getKey().isEmpty() && tag != highTraceId && tag.inMeta != serial) {
              meta(tag, table.of(Values.text(value)));
            }
          });
    }
    Frame frame = frames.of(scope, kind, status.getStatusCode(), table, payloads);
    frame(frame, scopeAttributes.isEmpty());
    if (tagged(otelTraceId)) {
      meta(otelTraceId, table.of(span.getTraceId()));
    }
    List<EventData> spanEvents = span.getEvents();
    if (!spanEvents.isEmpty()) {
      events(spanEvents);
    }
    if (!span.getLinks().isEmpty() && tagged(links)) {
      json.out.clear();
      json.links(span.getLinks());
      meta(links, table.of(json.out, json.out.len));
    }
    if (!status.getDescription().isEmpty()) {
      once(statusDescription, status.getDescription());
    }
    TraceState state = span.getSpanContext().getTraceState();
    if (!state.isEmpty() && tagged(tracestate)) {
      meta(tracestate, table.of(Values.traceState(state)));
    }
  }

  /** What follows from scope, kind and status. */
  private void frame(Frame frame, boolean isFirstToName) {
    if (!isFirstToName) {
      for (int i = 0; i < frame.count; i++) {
        if (tagged(frame.names[i])) {
          meta(frame.names[i], frame.values[i]);
        }
      }
      return;
    }
    spans.put(frame.pairs, 0, frame.length);
    metaCount += frame.count;
    for (int i = 0; i < frame.count; i++) {
      Tag name = frame.names[i];
      name.inMeta = serial;
      conflict |= name.inResource == resource.id;
    }
  }

  private boolean tagged(Tag tag) {
    return tag.inMeta != serial;
  }

  private void once(Tag tag, Tag value) {
    if (tag.inMeta != serial) {
      meta(tag, value);
    }
  }

  /** A value as the agent writes such, if something of it is left then. */
  private void notEmpty(Tag tag, String value) {
    String normalized = value == null ? "" : names.tag(value);
    if (!normalized.isEmpty()) {
      once(tag, normalized);
    }
  }

  private void once(Tag tag, String value) {
    if (tag.inMeta != serial) {
      meta(tag, table.of(value));
    }
  }

  private void events(List<EventData> spanEvents) {
    if (tagged(events)) {
      json.out.clear();
      json.events(spanEvents);
      meta(events, table.add(json.out, json.out.len));
    }
    for (int i = 0; i < spanEvents.size(); i++) {
      if (spanEvents.get(i).getName().equals("exception")) {
        once(hasException, yes);
        return;
      }
    }
  }

  /** What the first span of a chunk says for all of it. */
  private void first(SpanData span, int countAt) {
    int value = sampledByDefault.number(table, payloads);
    decision.pair(spans, countAt, mechanism.number(table, payloads), value);
    mechanism.inMeta = serial;
    conflict |= mechanism.inResource == resource.id;
    metaCount++;
    String id = span.getTraceId();
    if (Batch.hex(id, 0) != 0 && tagged(highTraceId)) {
      json.out.clear();
      json.out.ascii(id);
      meta(highTraceId, table.of(json.out, 16));
    }
  }

  @Override
  public void accept(AttributeKey<?> key, Object value) {
    Rules.Rule rule = rules.of(key);
    if (rule.concept >= 0) {
      own.put(rule.concept, value);
    }
    switch (rule.action) {
      case NONE:
        return;
      case TRACE_ID:
        if (!(value instanceof Number)) {
          return;
        }
        break;
      case PRIORITY:
        if (value instanceof Number) {
          // Under two names: the first counts.
          if (priority.inMetrics != serial) {
            metric(priority, ((Number) value).doubleValue());
            decision.name((Number) value);
          }
          return;
        }
        break;
      case ANALYTICS:
        if (!(value instanceof Number)) {
          analytics(Values.analytics(Values.text(value)));
          return;
        }
        break;
      case MECHANISM:
        if (isFirst && !(value instanceof Number)) {
          decision.own(table.of(Values.text(value)));
          return;
        }
        break;
      case GRPC_STATUS:
        if (!(value instanceof Number)) {
          grpcText = Values.text(value);
          return;
        }
        break;
      case HTTP_STATUS:
        if (value instanceof Number) {
          if (!hasStatusAttribute) {
            statusAttribute = ((Number) value).doubleValue();
            hasStatusAttribute = true;
          }
          return;
        }
        if (statusText.isEmpty()) {
          statusText = Values.text(value);
        }
        break;
      default:
    }
    switch (rule.type) {
      case STRING:
        text(rule.tag, (String) value);
        break;
      case LONG:
      case DOUBLE:
        metric(rule.tag, ((Number) value).doubleValue());
        break;
      case BOOLEAN:
        once(rule.tag, (Boolean) value ? yes : no);
        break;
      default:
        other(rule.tag, value);
    }
  }

  /** A value that is a list, a map or bytes. */
  private void other(Tag tag, Object value) {
    if (value instanceof List) {
      if (tagged(tag)) {
        json.structure(value);
        if (json.out.len == 0) {
          text(tag, "");
        } else {
          meta(tag, table.of(json.out, json.out.len));
        }
      }
      return;
    }
    text(tag, Values.text(value));
  }

  private void analytics(double rate) {
    if (rate >= 0) {
      metric(analytics, rate);
    }
  }

  /** What follows from all attributes together. */
  private void afterAttributes(SpanData span, StatusData status) {
    long http = Concepts.status(Concepts.HTTP_STATUS, own, resource.concepts);
    if (http >= 0) {
      metric(httpStatus, http);
    } else if (hasStatusAttribute) {
      metric(httpStatus, statusAttribute);
    }
    if (Concepts.isOne(Concepts.MEASURED, own, resource.concepts)) {
      overwrite(measured, 1);
    }
    analytics(resource.analytics);
    String grpc = Concepts.grpc(own, resource.concepts);
    if (grpc != null) {
      once(grpcStatus, grpc);
    } else if (grpcText != null) {
      text(grpcStatus, grpcText);
    }
    TraceState state = span.getSpanContext().getTraceState();
    if (!state.isEmpty() && sampleRate.inMetrics != serial) {
      double rate = Values.sampleRate(state);
      if (rate >= 0) {
        metric(sampleRate, rate);
      }
    }
    if (tagged(version) && !isWaiting(version)) {
      String release = titles.text(Concepts.VERSION);
      notEmpty(version, release);
    }
    if (status.getStatusCode() == StatusCode.ERROR
        && tagged(errorMessage)
        && !isWaiting(errorMessage)) {
      String message = status.getDescription();
      if (message.isEmpty() && !statusText.isEmpty()) {
        message = Names.reason(statusText);
      }
      if (!message.isEmpty()) {
        once(errorMessage, message);
      }
    }
    if (tagged(env) && !isWaiting(env)) {
      String environment = titles.text(Concepts.ENVIRONMENT);
      notEmpty(env, environment);
    }
  }

  private void resourceTags() {
    if (!conflict) {
      Buf block = resource.block(table, payloads);
      spans.put(block.bytes, 0, block.len);
      metaCount += resource.names.length;
      return;
    }
    Tag[] tags = resource.names;
    for (int i = 0; i < tags.length; i++) {
      if (tags[i].inMeta != serial) {
        meta(tags[i], table.of(resource.values[i]));
      } else if (isFirst && tags[i] == mechanism) {
        decision.own(table.of(resource.values[i]));
      }
    }
  }

  /** Gives where the priority stands, if this is a chunk's first span. */
  private int metrics(boolean first) {
    int priorityAt = -1;
    if (first) {
      metric(priority, 1);
    }
    if (metricCount < 16) {
      spans.put(0x80 | metricCount);
    } else {
      spans.put32(0xdf, metricCount);
    }
    for (int i = 0; i < metricCount; i++) {
      spans.unsigned(metricTags[i].number(table, payloads));
      int at = spans.put64(0xcb, Double.doubleToRawLongBits(metricValues[i]));
      if (first && metricTags[i] == priority) {
        priorityAt = at;
      }
    }
    return priorityAt;
  }
}
