package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.AttributeType;
import java.util.HashMap;
import java.util.Map;

/**
 * What becomes of an attribute, by its key; and the tags, by their names. Both remember what they
 * have seen, up to a bound: an application that makes up keys costs time, not memory.
 */
final class Rules {
  /** More keys than this are not remembered. */
  private static final int MOST = 4096;

  /** What to do with a value. */
  enum Action {
    /** Into meta, or into metrics if it is a number. */
    TAG,
    /** Nothing: it is a field of the span. */
    NONE,
    /** A number only: the trace id says what a text would. */
    TRACE_ID,
    /** The sampling priority, if it is a number. */
    PRIORITY,
    /** The rate of analytics: of what is no number nothing else stays. */
    ANALYTICS,
    /** Who decided to keep the trace, which is known when the chunk's priority is. */
    MECHANISM,
    /** The gRPC status, which other attributes may tell better. */
    GRPC_STATUS,
    /** The HTTP status, which is decided when all attributes are known. */
    HTTP_STATUS,
  }

  static final class Rule {
    final AttributeKey<?> key;
    final AttributeType type;
    final Action action;

    /** The number of a concept's key, -1 if it is none. */
    final int concept;

    final Tag tag;

    Rule(AttributeKey<?> key, Action action, int concept, Tag tag) {
      this.key = key;
      this.type = key.getType();
      this.action = action;
      this.concept = concept;
      this.tag = tag;
    }
  }

  private static final Map<String, String> MAPPED = new HashMap<>();
  static final String TRACE_ID_HIGH = "_dd.p.tid";
  private static final String HEADER = "http.request.header.";

  static {
    String[] pairs = {
      "client.address", "http.client_ip",
      "http.request.body.size", "http.request.content_length",
      "http.response.body.size", "http.response.content_length",
      "http.request.header.referrer", "http.referrer",
      "http.request.method", "http.method",
      "http.response.status_code", "http.status_code",
      "network.protocol.version", "http.version",
      "server.address", "http.server_name",
      "url.full", "http.url",
      "user_agent.original", "http.useragent",
    };
    for (int i = 0; i < pairs.length; i += 2) {
      MAPPED.put(pairs[i], pairs[i + 1]);
    }
  }

  private Rule[] rules = new Rule[256];
  private int used;
  private final Map<String, Tag> tags = new HashMap<>();
  private final Map<String, Tag> passing = new HashMap<>();

  /** The tag of this name. */
  Tag tag(String name) {
    Tag tag = tags.get(name);
    if (tag == null) {
      tag = passing.get(name);
    }
    if (tag == null) {
      tag = new Tag(name);
      (tags.size() < MOST ? tags : passing).put(name, tag);
    }
    return tag;
  }

  /** Forgets what is beyond the bound. Called between exports. */
  void end() {
    if (!passing.isEmpty()) {
      passing.clear();
    }
  }

  Rule of(AttributeKey<?> key) {
    int mask = rules.length - 1;
    int hash = key.hashCode();
    int at = (hash ^ hash >>> 16) & mask;
    for (Rule known = rules[at]; known != null; known = rules[at]) {
      if (known.key == key || known.key.equals(key)) {
        return known;
      }
      at = at + 1 & mask;
    }
    Rule rule = make(key);
    if (used < MOST) {
      rules[at] = rule;
      if (++used > rules.length / 2) {
        grow();
      }
    }
    return rule;
  }

  private void grow() {
    Rule[] old = rules;
    rules = new Rule[old.length * 2];
    int mask = rules.length - 1;
    for (Rule rule : old) {
      if (rule != null) {
        int hash = rule.key.hashCode();
        int at = (hash ^ hash >>> 16) & mask;
        while (rules[at] != null) {
          at = at + 1 & mask;
        }
        rules[at] = rule;
      }
    }
  }

  private Rule make(AttributeKey<?> key) {
    String name = key.getKey();
    Action action = isField(name) ? Action.NONE : Action.TAG;
    switch (name) {
      case TRACE_ID_HIGH:
        action = Action.TRACE_ID;
        break;
      case "sampling.priority":
      case "_sampling_priority_v1":
        action = Action.PRIORITY;
        break;
      case "_dd.p.dm":
        action = Action.MECHANISM;
        break;
      case "analytics.event":
        action = Action.ANALYTICS;
        break;
      case "rpc.grpc.status_code":
        action = Action.GRPC_STATUS;
        break;
      case "http.status_code":
      case "http.response.status_code":
        action = Action.HTTP_STATUS;
        break;
      default:
    }
    return new Rule(key, action, Concepts.number(name), tag(mapped(name)));
  }

  /** The name that the agent gives to an attribute. */
  static String mapped(String key) {
    String mapped = MAPPED.get(key);
    if (mapped != null) {
      return mapped;
    }
    if (key.startsWith(HEADER)) {
      return "http.request.headers." + key.substring(HEADER.length());
    }
    return key;
  }

  /** Whether an attribute of this name says if spans are for analytics. */
  static boolean isAnalytics(String key) {
    return key.equals("analytics.event");
  }

  /**
   * Whether an attribute of this name is no tag: the agent reads it as a field, or it would speak
   * of the trace id, and an agent refuses a trace whose spans name two.
   */
  static boolean isField(String key) {
    switch (key) {
      case "":
      case TRACE_ID_HIGH:
      case "service.name":
      case "operation.name":
      case "resource.name":
      case "span.type":
        return true;
      default:
        return false;
    }
  }
}
