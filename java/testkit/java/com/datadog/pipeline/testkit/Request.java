package com.datadog.pipeline.testkit;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/** One request as it came. Immutable and thread-safe, as long as nobody writes to the body. */
public final class Request {
  private final String method;
  private final String path;
  private final Map<String, String> headers;
  private final byte[] body;
  private final boolean last;

  Request(String method, String path, Map<String, String> headers, byte[] body, boolean last) {
    this.method = method;
    this.path = path;
    this.headers = Collections.unmodifiableMap(headers);
    this.body = body;
    this.last = last;
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

  /** The body as it came, compressed if it was. */
  public byte[] body() {
    return body;
  }

  /** The body, without the gzip that a client may have put around it. */
  private byte[] content() {
    if (!"gzip".equalsIgnoreCase(header("Content-Encoding"))) {
      return body;
    }
    ByteArrayOutputStream content = new ByteArrayOutputStream();
    try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(body))) {
      byte[] piece = new byte[1 << 13];
      for (int n = in.read(piece); n >= 0; n = in.read(piece)) {
        content.write(piece, 0, n);
      }
    } catch (IOException e) {
      throw new IllegalArgumentException("the body is no gzip: " + e.getMessage(), e);
    }
    return content.toByteArray();
  }

  /** Whether the connection ends with the answer. */
  boolean isLast() {
    return last;
  }

  /** Whether it is for this endpoint; what an agent is asked may have a query behind it. */
  boolean isFor(String endpoint) {
    int query = path.indexOf('?');
    return (query < 0 ? path : path.substring(0, query)).endsWith(endpoint);
  }

  /** Whether it carries traces. */
  public boolean isTraces() {
    return isFor("/traces") && !isProbe();
  }

  /**
   * Whether it is an empty payload that only finds out whether its endpoint is there: tracers send
   * it to agents without {@code /info}, and say no number of traces with it.
   */
  public boolean isProbe() {
    boolean isEmpty =
        body.length == 3 && body[0] == (byte) 0x92 && body[1] == (byte) 0x90 && body[2] == body[1]
            || body.length == 1 && body[0] == (byte) 0x80;
    return isEmpty && isFor("/traces") && header("X-Datadog-Trace-Count") == null;
  }

  /** Whether it carries stats. */
  public boolean isStats() {
    return isFor("/v0.6/stats");
  }

  /**
   * The traces of its body, in the format that its path says; gzip is taken off.
   *
   * @throws IllegalArgumentException if the body is none of that format; the message says where
   */
  public List<Trace> traces() {
    if (isFor("/v1.0/traces")) {
      return V1Decoder.read(content());
    }
    return isFor("/v0.5/traces") ? Decoder.v05(content()) : Decoder.v04(content());
  }

  /**
   * The stats of its body; gzip is taken off.
   *
   * @throws IllegalArgumentException if it has none
   */
  public StatsPayload stats() {
    return StatsPayload.read(content());
  }

  @Override
  public String toString() {
    return method + " " + path + ", " + body.length + " bytes";
  }
}
