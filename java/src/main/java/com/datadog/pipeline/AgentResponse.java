package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What the agent answered, and what was sent. Immutable and thread-safe.
 *
 * <p>While the agent says the same and the counts are equal, {@code send} returns the very same
 * object.
 */
public final class AgentResponse {
  /** For the native side: which answer this is. */
  final long id;

  private final Content content;
  private final long traces;
  private final long spans;

  /** Null if nothing was left out. */
  private final long @Nullable [] leftOut;

  /** What stays the same from send to send. */
  private static final class Content {
    final int status;
    final int attempts;
    final byte[] body;
    final byte @Nullable [] rates;
    final @Nullable String containerTagsHash;
    final boolean ratesChanged;
    // A race parses twice with equal results.
    volatile Map<String, Double> parsed;

    Content(
        int status, int attempts, byte[] body, byte[] rates, String hash, boolean ratesChanged) {
      this.status = status;
      this.attempts = attempts;
      this.body = body;
      this.rates = rates;
      this.containerTagsHash = hash;
      this.ratesChanged = ratesChanged;
    }

    @Override
    public boolean equals(@Nullable Object o) {
      if (!(o instanceof Content)) {
        return false;
      }
      Content other = (Content) o;
      return other == this
          || status == other.status
              && attempts == other.attempts
              && ratesChanged == other.ratesChanged
              && Arrays.equals(body, other.body)
              && Arrays.equals(rates, other.rates)
              && Objects.equals(containerTagsHash, other.containerTagsHash);
    }

    @Override
    public int hashCode() {
      return status * 31 + Arrays.hashCode(body);
    }
  }

  AgentResponse(
      long id,
      AgentResponse shared,
      int status,
      byte[] body,
      byte[] rates,
      String containerTagsHash,
      boolean ratesChanged,
      long traces,
      long spans,
      int attempts,
      long @Nullable [] leftOut) {
    this.id = id;
    this.content =
        shared != null
            ? shared.content
            : new Content(status, attempts, body, rates, containerTagsHash, ratesChanged);
    this.traces = traces;
    this.spans = spans;
    this.leftOut = leftOut;
  }

  /** This one, or one that shares what is equal with the answer before. */
  AgentResponse after(@Nullable AgentResponse before) {
    if (before == null || !before.content.equals(content)) {
      return this;
    }
    return before.equals(this)
        ? before
        : new AgentResponse(id, before, 0, null, null, null, false, traces, spans, 0, leftOut);
  }

  /** HTTP status, 200 to 299; 0 when there was nothing to send and no request was made. */
  public int status() {
    return content.status;
  }

  /** The agent's body as it came, as text. Empty is a success too. */
  public String body() {
    return new String(content.body, StandardCharsets.UTF_8);
  }

  /**
   * The sampling rates that the agent asks for, by {@code service:S,env:E}: those of this answer,
   * or the last known ones if this answer has none because they are unchanged. Unmodifiable; empty
   * if the agent has never sent any.
   */
  public Map<String, Double> rates() {
    Map<String, Double> rates = content.parsed;
    if (rates == null) {
      rates = content.rates == null ? Collections.<String, Double>emptyMap() : parse(content.rates);
      content.parsed = rates;
    }
    return rates;
  }

  private static Map<String, Double> parse(byte[] text) {
    Map<String, Double> rates = new LinkedHashMap<>();
    try {
      Object json = Json.parse(new String(text, StandardCharsets.UTF_8));
      Object table = json instanceof Map ? ((Map<?, ?>) json).get("rate_by_service") : null;
      if (table instanceof Map) {
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) table).entrySet()) {
          if (entry.getValue() instanceof Number) {
            rates.put((String) entry.getKey(), ((Number) entry.getValue()).doubleValue());
          }
        }
      }
    } catch (IllegalArgumentException e) {
      // The native side has found rates in it; what it cannot be read as is no reason to fail a
      // send that succeeded.
      return Collections.emptyMap();
    }
    return Collections.unmodifiableMap(rates);
  }

  /** Whether {@link #rates()} is news since the last send of this exporter. */
  public boolean ratesChanged() {
    return content.ratesChanged;
  }

  /** The agent's hash of the container's tags, or null. */
  public @Nullable String containerTagsHash() {
    return content.containerTagsHash;
  }

  /** Traces sent. */
  public long traces() {
    return traces;
  }

  /** Spans sent. */
  public long spans() {
    return spans;
  }

  private Metrics.Counts leftOut(int at) {
    long[] n = leftOut;
    return n == null
        ? new Metrics.Counts(0, 0, 0)
        : new Metrics.Counts(n[at], n[at + 1], n[at + 2]);
  }

  /** What trace filters rejected of the payload. */
  public Metrics.Counts filtered() {
    return leftOut(Numbers.LEFT_OUT_FILTERED);
  }

  /** What sampling left out of the payload. */
  public Metrics.Counts sampledOut() {
    return leftOut(Numbers.LEFT_OUT_SAMPLED_OUT);
  }

  /** What of the payload could not be read. */
  public Metrics.Counts malformed() {
    return leftOut(Numbers.LEFT_OUT_MALFORMED);
  }

  /** What of the payload normalization refused, as the agent would. */
  public Metrics.Counts invalid() {
    return leftOut(Numbers.LEFT_OUT_INVALID);
  }

  /** Values of the payload that were repaired. */
  public long repaired() {
    return leftOut == null ? 0 : leftOut[Numbers.LEFT_OUT_REPAIRED];
  }

  /** Requests made; 0 when there was nothing to send. */
  public int attempts() {
    return content.attempts;
  }

  /** Equal in everything that can be read from it. */
  @Override
  public boolean equals(@Nullable Object o) {
    if (!(o instanceof AgentResponse)) {
      return false;
    }
    AgentResponse other = (AgentResponse) o;
    return other == this
        || traces == other.traces
            && spans == other.spans
            && Arrays.equals(leftOut, other.leftOut)
            && content.equals(other.content);
  }

  @Override
  public int hashCode() {
    return (Long.hashCode(traces) * 31 + Long.hashCode(spans)) * 31 + content.hashCode();
  }

  private String left() {
    StringBuilder s = new StringBuilder();
    String[] names = {"filtered", "sampledOut", "malformed", "invalid"};
    Metrics.Counts[] all = {filtered(), sampledOut(), malformed(), invalid()};
    for (int i = 0; i < names.length; i++) {
      if (all[i].traces() > 0 || all[i].spans() > 0) {
        s.append(", ").append(names[i]).append('=').append(all[i].traces());
      }
    }
    return repaired() == 0 ? s.toString() : s.append(", repaired=").append(repaired()).toString();
  }

  @Override
  public String toString() {
    return "AgentResponse{status="
        + status()
        + ", traces="
        + traces
        + ", spans="
        + spans
        + left()
        + ", attempts="
        + attempts()
        + ", ratesChanged="
        + ratesChanged()
        + '}';
  }
}
