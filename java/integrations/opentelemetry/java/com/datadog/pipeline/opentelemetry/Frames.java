package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.sdk.common.InstrumentationScopeInfo;
import java.util.Locale;

/**
 * What follows from a span's scope, kind and status. There are few combinations, so their pairs are
 * encoded once a payload and then copied. Not thread-safe.
 */
final class Frames {
  private final Tag[] kinds = new Tag[SpanKind.values().length];
  private final Tag[] statuses = new Tag[StatusCode.values().length];
  private final Frame[] frames = new Frame[kinds.length * statuses.length];

  private final Tag spanKind;
  private final Tag statusCode;
  private final Tag scopeName;
  private final Tag libraryName;
  private final Tag scopeVersion;
  private final Tag libraryVersion;

  private final Buf pairs = new Buf();

  Frames(Rules rules) {
    spanKind = rules.tag("span.kind");
    statusCode = rules.tag("otel.status_code");
    scopeName = rules.tag("otel.scope.name");
    libraryName = rules.tag("otel.library.name");
    scopeVersion = rules.tag("otel.scope.version");
    libraryVersion = rules.tag("otel.library.version");
    for (SpanKind kind : SpanKind.values()) {
      kinds[kind.ordinal()] = new Tag(kind.name().toLowerCase(Locale.ROOT));
    }
    for (StatusCode code : StatusCode.values()) {
      String rest = code.name().substring(1).toLowerCase(Locale.ROOT);
      statuses[code.ordinal()] = new Tag(code.name().charAt(0) + rest);
    }
    for (int i = 0; i < frames.length; i++) {
      frames[i] = new Frame();
    }
  }

  /** The pairs of these three in this payload. */
  Frame of(
      InstrumentationScopeInfo scope,
      SpanKind kind,
      StatusCode status,
      StringTable table,
      long payload) {
    Frame frame = frames[kind.ordinal() * statuses.length + status.ordinal()];
    if (frame.isFor(scope, payload)) {
      return frame;
    }
    frame.begin(scope, payload);
    frame.add(spanKind, kinds[kind.ordinal()].number(table, payload));
    frame.add(statusCode, statuses[status.ordinal()].number(table, payload));
    if (!scope.getName().isEmpty()) {
      frame.add(scopeName, table.of(scope.getName()));
      frame.add(libraryName, table.of(scope.getName()));
    }
    String release = scope.getVersion();
    if (release != null && !release.isEmpty()) {
      frame.add(scopeVersion, table.of(release));
      frame.add(libraryVersion, table.of(release));
    }
    pairs.clear();
    for (int i = 0; i < frame.count; i++) {
      pairs.unsigned(frame.names[i].number(table, payload));
      pairs.unsigned(frame.values[i]);
    }
    frame.length = pairs.len;
    System.arraycopy(pairs.bytes, 0, frame.pairs, 0, pairs.len);
    return frame;
  }
}
