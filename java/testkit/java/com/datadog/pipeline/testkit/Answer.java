package com.datadog.pipeline.testkit;

import java.nio.charset.StandardCharsets;

/** One answer. Immutable and thread-safe. */
public final class Answer {
  /** What an agent says that has nothing to say. */
  public static final Answer RATES = json(200, "{\"rate_by_service\":{\"service:,env:\":1.0}}");

  final int status;
  final String headers;
  final byte[] body;
  final boolean raw;

  private Answer(int status, String headers, byte[] body, boolean raw) {
    this.status = status;
    this.headers = headers;
    this.body = body;
    this.raw = raw;
  }

  /** An answer with a body of JSON. */
  public static Answer json(int status, String body) {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    return new Answer(status, "Content-Type: application/json\r\n", bytes, false);
  }

  /** An answer with an empty body. */
  public static Answer status(int status) {
    return new Answer(status, "", new byte[0], false);
  }

  /** These bytes as they are, after which the connection is closed. */
  public static Answer raw(String bytes) {
    return new Answer(0, "", bytes.getBytes(StandardCharsets.ISO_8859_1), true);
  }

  /** A reset of the connection instead of an answer. */
  public static Answer reset() {
    return new Answer(0, "", null, true);
  }

  /** The same answer with one more header. */
  public Answer header(String name, String value) {
    return new Answer(status, headers + name + ": " + value + "\r\n", body, raw);
  }
}
