package com.datadog.pipeline.testkit;

import java.util.Collections;
import java.util.List;
import java.util.Map;

/** One request as it came. Immutable and thread-safe, as long as nobody writes to the body. */
public final class Request {
  private final String method;
  private final String path;
  private final Map<String, String> headers;
  private final byte[] body;

  Request(String method, String path, Map<String, String> headers, byte[] body) {
    this.method = method;
    this.path = path;
    this.headers = Collections.unmodifiableMap(headers);
    this.body = body;
  }

  /** The method. */
  public String method() {
    return method;
  }

  /** The path. */
  public String path() {
    return path;
  }

  /** A header by its name in any case, or null. */
  public String header(String name) {
    return headers.get(name);
  }

  /** All headers; names are found in any case. Unmodifiable. */
  public Map<String, String> headers() {
    return headers;
  }

  /** The body. */
  public byte[] body() {
    return body;
  }

  /** Whether it carries traces. */
  public boolean isTraces() {
    return path.endsWith("/traces") && !isProbe();
  }

  /**
   * Whether it is an empty payload that only finds out whether its endpoint is there: tracers send
   * it to agents without {@code /info}, and say no number of traces with it.
   */
  public boolean isProbe() {
    boolean isEmpty =
        body.length == 3 && body[0] == (byte) 0x92 && body[1] == (byte) 0x90 && body[2] == body[1]
            || body.length == 1 && body[0] == (byte) 0x80;
    return isEmpty && path.endsWith("/traces") && header("X-Datadog-Trace-Count") == null;
  }

  /** Whether it carries stats. */
  public boolean isStats() {
    return path.endsWith("/v0.6/stats");
  }

  /**
   * The traces of its body, in the format that its path says.
   *
   * @throws IllegalArgumentException if the body is none of that format; the message says where
   */
  public List<Trace> traces() {
    if (path.endsWith("/v1.0/traces")) {
      return V1Decoder.read(body);
    }
    return path.endsWith("/v0.5/traces") ? Decoder.v05(body) : Decoder.v04(body);
  }

  /**
   * The stats of its body.
   *
   * @throws IllegalArgumentException if it has none
   */
  public StatsPayload stats() {
    return StatsPayload.read(body);
  }

  @Override
  public String toString() {
    return method + " " + path + ", " + body.length + " bytes";
  }
}
