package com.datadog.pipeline.opentelemetry;

import java.util.HashMap;
import java.util.Map;

/**
 * What the agent looks up under several keys. For each key in order the span's attribute, then the
 * resource's; the first that is not empty wins. A key is a bit, so that most look-ups end with a
 * test of two masks.
 */
final class Concepts {
  private static final Map<String, Integer> NUMBERS = new HashMap<>();

  static final int[] SERVICE = keys("service.name");
  static final int[] OPERATION = keys("operation.name");
  static final int[] RESOURCE = keys("resource.name");
  static final int[] TYPE = keys("span.type");
  static final int[] HTTP_METHOD = keys("http.request.method", "http.method");
  static final int[] HTTP_STATUS = keys("http.status_code", "http.response.status_code");
  static final int[] HTTP_ROUTE = keys("http.route");
  static final int[] URL_TEMPLATE = keys("url.template");
  static final int[] DB_SYSTEM = keys("db.system.name", "db.system");
  static final int[] DB_STATEMENT = keys("db.statement", "db.query.text");
  static final int[] DB_NAMESPACE = keys("db.namespace");
  static final int[] MESSAGING_SYSTEM = keys("messaging.system");
  static final int[] MESSAGING_OPERATION = keys("messaging.operation");
  static final int[] MESSAGING_DESTINATION =
      keys("messaging.destination", "messaging.destination.name");
  static final int[] RPC_SYSTEM = keys("rpc.system");
  static final int[] RPC_SYSTEM_NAME = keys("rpc.system.name");
  static final int[] RPC_SERVICE = keys("rpc.service");
  static final int[] RPC_METHOD = keys("rpc.method");
  static final int[] GRPC_STATUS =
      keys("rpc.grpc.status_code", "grpc.code", "rpc.grpc.status.code", "grpc.status.code");
  static final int[] RPC_STATUS = keys("rpc.response.status_code");
  static final int[] FAAS_PROVIDER = keys("faas.invoked_provider");
  static final int[] FAAS_NAME = keys("faas.invoked_name");
  static final int[] FAAS_TRIGGER = keys("faas.trigger");
  static final int[] GRAPHQL_TYPE = keys("graphql.operation.type");
  static final int[] GRAPHQL_NAME = keys("graphql.operation.name");
  static final int[] PROTOCOL = keys("network.protocol.name");
  static final int[] ENVIRONMENT = keys("deployment.environment.name", "deployment.environment");
  static final int[] VERSION = keys("service.version");
  static final int[] MEASURED = keys("_dd.measured");

  /** How many keys there are; below 64. */
  static final int COUNT = NUMBERS.size();

  private Concepts() {}

  private static int[] keys(String... names) {
    int[] keys = new int[names.length];
    for (int i = 0; i < names.length; i++) {
      Integer known = NUMBERS.get(names[i]);
      keys[i] = known == null ? NUMBERS.size() : known;
      NUMBERS.put(names[i], keys[i]);
    }
    return keys;
  }

  /** The number of a key, -1 if it belongs to no concept. */
  static int number(String key) {
    Integer number = NUMBERS.get(key);
    return number == null ? -1 : number;
  }

  /** The values of a span or a resource. */
  static final class Values {
    final Object[] values = new Object[COUNT];
    long mask;

    void clear() {
      mask = 0;
    }

    void put(int key, Object value) {
      // The first of two keys with one name and different types counts.
      if ((mask >>> key & 1) == 0) {
        values[key] = value;
        mask |= 1L << key;
      }
    }

    Object get(int key) {
      return (mask >>> key & 1) == 0 ? null : values[key];
    }
  }

  /** The text of a concept, null if there is none. Numbers are no text. */
  static String text(int[] concept, Values span, Values resource) {
    for (int key : concept) {
      String text = text(key, span, resource);
      if (text != null) {
        return text;
      }
    }
    return null;
  }

  /** A status that is an integer or a text that is one; negative if there is none. */
  static long status(int[] concept, Values span, Values resource) {
    for (int key : concept) {
      Long integer = integer(key, span, resource);
      if (integer != null) {
        return integer;
      }
      String text = text(key, span, resource);
      long status = text == null ? NONE : parsed(text);
      if (status != NONE) {
        return status;
      }
    }
    return -1;
  }

  private static final long NONE = Long.MIN_VALUE;

  /** The integer that a text writes, {@code 404} or {@code 4.04e2}; {@link #NONE} if it is none. */
  private static long parsed(String text) {
    for (int i = 0; i < text.length(); i++) {
      if ("+-.0123456789eE".indexOf(text.charAt(i)) < 0) {
        return NONE;
      }
    }
    try {
      return Long.parseLong(text);
    } catch (NumberFormatException e) {
      // Perhaps it has a fraction or an exponent.
    }
    try {
      double number = Double.parseDouble(text);
      return (long) number == number ? (long) number : NONE;
    } catch (NumberFormatException e) {
      return NONE;
    }
  }

  /** Whether the span, or else its resource, has the integer 1 there. */
  static boolean isOne(int[] concept, Values span, Values resource) {
    if (((span.mask | resource.mask) >>> concept[0] & 1) == 0) {
      return false;
    }
    Long integer = integer(concept[0], span, resource);
    return integer != null && integer == 1;
  }

  private static Long integer(int key, Values span, Values resource) {
    Object value = span.get(key);
    if (!(value instanceof Long)) {
      value = resource.get(key);
    }
    return value instanceof Long ? (Long) value : null;
  }

  private static String text(int key, Values span, Values resource) {
    Object value = span.get(key);
    if (value instanceof String && !((String) value).isEmpty()) {
      return (String) value;
    }
    value = resource.get(key);
    return value instanceof String && !((String) value).isEmpty() ? (String) value : null;
  }

  /** The gRPC status as text, null if there is none. */
  static String grpc(Values span, Values resource) {
    String status = textOrInteger(GRPC_STATUS, span, resource);
    if (status != null) {
      return status;
    }
    String system = text(RPC_SYSTEM_NAME, span, resource);
    if (system == null) {
      system = text(RPC_SYSTEM, span, resource);
    }
    return "grpc".equals(system) ? textOrInteger(RPC_STATUS, span, resource) : null;
  }

  private static String textOrInteger(int[] concept, Values span, Values resource) {
    for (int key : concept) {
      String text = text(key, span, resource);
      if (text != null) {
        return text;
      }
      Long integer = integer(key, span, resource);
      if (integer != null) {
        return integer.toString();
      }
    }
    return null;
  }
}
