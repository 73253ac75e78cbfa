package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What an agent says of itself in its {@code /info}, or what an exporter has found of one that has
 * none. What it does not say is empty, 0 or false. Immutable and thread-safe.
 */
public final class AgentInfo {
  private final @Nullable String containerTagsHash;
  private final String stateHash;
  private final String json;
  private final Map<?, ?> fields;

  /** Reads what the native side gives: two lines of hashes, then the body. */
  AgentInfo(byte[] answer) {
    String text = new String(answer, StandardCharsets.UTF_8);
    int first = text.indexOf('\n');
    int second = text.indexOf('\n', first + 1);
    containerTagsHash = first == 0 ? null : text.substring(0, first);
    stateHash = text.substring(first + 1, second);
    json = text.substring(second + 1);
    fields = parse(json);
  }

  private static Map<?, ?> parse(String json) {
    try {
      Object all = Json.parse(json);
      return all instanceof Map ? (Map<?, ?>) all : Collections.emptyMap();
    } catch (IllegalArgumentException e) {
      // The native side could read it. Who needs more than nothing has the text.
      return Collections.emptyMap();
    }
  }

  private static String text(Map<?, ?> from, String key) {
    Object value = from.get(key);
    return value instanceof String ? (String) value : "";
  }

  private boolean flag(String key) {
    return Boolean.TRUE.equals(fields.get(key));
  }

  private static long number(Map<?, ?> from, String key) {
    Object value = from.get(key);
    return value instanceof Number ? Math.max(0, ((Number) value).longValue()) : 0;
  }

  private List<String> list(String key) {
    Object value = fields.get(key);
    List<String> texts = new ArrayList<>();
    if (value instanceof List) {
      for (Object one : (List<?>) value) {
        texts.add(String.valueOf(one));
      }
    }
    return Collections.unmodifiableList(texts);
  }

  private Map<?, ?> config() {
    Object config = fields.get("config");
    return config instanceof Map ? (Map<?, ?>) config : Collections.emptyMap();
  }

  /** The agent's version. */
  public String version() {
    return text(fields, "version");
  }

  /** The endpoints it has, {@code /v0.4/traces} for instance. Unmodifiable. */
  public List<String> endpoints() {
    return list("endpoints");
  }

  /** Whether it has an endpoint. */
  public boolean offers(String endpoint) {
    return endpoints().contains(endpoint);
  }

  /** Its feature flags. Unmodifiable. */
  public List<String> featureFlags() {
    return list("feature_flags");
  }

  /** Whether clients that compute stats may drop what sampling rejects. */
  public boolean clientDropP0s() {
    return flag("client_drop_p0s");
  }

  /** Whether it reads span events as a field of their own. */
  public boolean spanEvents() {
    return flag("span_events");
  }

  /** Whether it reads structured metadata of spans. */
  public boolean spanMetaStructs() {
    return flag("span_meta_structs");
  }

  /** Whether it takes spans that still run. */
  public boolean longRunningSpans() {
    return flag("long_running_spans");
  }

  /** The tags that make a peer for stats. Unmodifiable. */
  public List<String> peerTags() {
    return list("peer_tags");
  }

  /** The version of the obfuscation that clients may do. */
  public int obfuscationVersion() {
    return (int) number(fields, "obfuscation_version");
  }

  /** The largest request that it takes, in bytes. */
  public long maxRequestBytes() {
    return number(config(), "max_request_bytes");
  }

  /** The port where it takes DogStatsD metrics. */
  public int statsdPort() {
    return (int) number(config(), "statsd_port");
  }

  /** The environment that it puts on traces that have none. */
  public String defaultEnv() {
    return text(config(), "default_env");
  }

  /**
   * Whether the agent has no {@code /info}: then {@link #endpoints} has the one endpoint for traces
   * that an empty payload has found, {@link #json} says the same, {@link #stateHash} is empty, and
   * nothing else is known.
   */
  public boolean isProbed() {
    return stateHash.isEmpty();
  }

  /** The JSON as it came. */
  public String json() {
    return json;
  }

  /** SHA-256 of the JSON in hex: what the agent calls its state. */
  public String stateHash() {
    return stateHash;
  }

  /** The agent's hash of the container's tags, or null. */
  public @Nullable String containerTagsHash() {
    return containerTagsHash;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof AgentInfo
        && ((AgentInfo) o).json.equals(json)
        && ((AgentInfo) o).stateHash.equals(stateHash)
        && Objects.equals(((AgentInfo) o).containerTagsHash, containerTagsHash);
  }

  @Override
  public int hashCode() {
    return json.hashCode();
  }

  @Override
  public String toString() {
    return "AgentInfo{version=" + version() + ", endpoints=" + endpoints() + '}';
  }
}
