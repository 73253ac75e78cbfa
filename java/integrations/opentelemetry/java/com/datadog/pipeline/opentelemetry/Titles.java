package com.datadog.pipeline.opentelemetry;

import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.sdk.trace.data.SpanData;

/**
 * What a span is called: service, type, name and resource follow from what is known of it, by the
 * agent's rules. Not thread-safe.
 */
final class Titles {
  /** The agent cuts resources there. */
  static final int MAX_RESOURCE = 5000;

  private static final String NO_SERVICE = "otlpresourcenoservicename";

  private final Names names;
  private final Concepts.Values own;
  private Concepts.Values resource;

  /** {@code own} is what the attributes of a span say; its content changes from span to span. */
  Titles(Names names, Concepts.Values own) {
    this.names = names;
    this.own = own;
  }

  /** What the resource says of the spans that follow. */
  void under(Concepts.Values resource) {
    this.resource = resource;
  }

  /** What is known under the first of these names, of the span or its resource; null if nothing. */
  String text(int[] concept) {
    return Concepts.text(concept, own, resource);
  }

  String service() {
    String service = text(Concepts.SERVICE);
    return service == null ? NO_SERVICE : names.service(service);
  }

  String type(SpanKind kind) {
    String type = text(Concepts.TYPE);
    if (type != null) {
      return type;
    }
    if (kind == SpanKind.SERVER) {
      return "web";
    }
    if (kind != SpanKind.CLIENT) {
      return "custom";
    }
    String system = text(Concepts.DB_SYSTEM);
    type = system == null ? "" : names.databaseType(system);
    return type.isEmpty() ? "http" : type;
  }

  /** The operation name. A rule whose word has nothing left by the agent's rules is none. */
  String name(SpanKind kind) {
    boolean client = kind == SpanKind.CLIENT;
    boolean server = kind == SpanKind.SERVER;
    String word = text(Concepts.OPERATION);
    String name = word == null ? "" : names.operation(word);
    if (name.isEmpty() && (client || server) && text(Concepts.HTTP_METHOD) != null) {
      return server ? "http.server.request" : "http.client.request";
    }
    if (name.isEmpty() && client) {
      word = text(Concepts.DB_SYSTEM);
      name = word == null ? "" : names.query(word);
    }
    if (name.isEmpty() && kind != SpanKind.INTERNAL) {
      word = text(Concepts.MESSAGING_SYSTEM);
      String operation = word == null ? null : text(Concepts.MESSAGING_OPERATION);
      name = operation == null ? "" : names.messaging(word, operation);
    }
    if (name.isEmpty() && (client || server)) {
      name = remote(client);
    }
    if (!name.isEmpty()) {
      return name;
    }
    word = text(Concepts.GRAPHQL_TYPE);
    if (word != null && !names.tag(word).isEmpty()) {
      return "graphql.server.request";
    }
    if (client || server) {
      word = text(Concepts.PROTOCOL);
      name = word == null ? "" : request(word, client);
      return !name.isEmpty() ? name : client ? "client.request" : "server.request";
    }
    return kind == SpanKind.PRODUCER
        ? "Producer"
        : kind == SpanKind.CONSUMER ? "Consumer" : "Internal";
  }

  private String request(String system, boolean client) {
    return client ? names.clientRequest(system) : names.serverRequest(system);
  }

  /** The name of a call to another process or function, or of one from there; empty if neither. */
  private String remote(boolean client) {
    String word = text(Concepts.RPC_SYSTEM);
    String name = "";
    if (word != null && client && names.tag(word).equals("aws-api")) {
      String service = text(Concepts.RPC_SERVICE);
      name = service == null ? "" : names.aws(service);
      return name.isEmpty() ? "aws.client.request" : name;
    }
    if (word != null) {
      name = request(word, client);
    }
    if (name.isEmpty() && client) {
      word = text(Concepts.FAAS_PROVIDER);
      String function = word == null ? null : text(Concepts.FAAS_NAME);
      return function == null ? "" : names.invoke(word, function);
    }
    if (name.isEmpty()) {
      word = text(Concepts.FAAS_TRIGGER);
      name = word == null ? "" : names.invoke(word);
    }
    return name;
  }

  String resource(SpanData span, SpanKind kind) {
    String name = text(Concepts.RESOURCE);
    if (name == null) {
      name = text(Concepts.HTTP_METHOD);
      if (name != null) {
        if (name.equals("_OTHER")) {
          name = "HTTP";
        }
        String path =
            kind == SpanKind.CLIENT
                ? text(Concepts.URL_TEMPLATE)
                : kind == SpanKind.SERVER ? text(Concepts.HTTP_ROUTE) : null;
        return path == null ? Normalize.truncate(name, MAX_RESOURCE) : names.spaced(name, path);
      }
      name = pair(Concepts.MESSAGING_OPERATION, Concepts.MESSAGING_DESTINATION);
    }
    if (name == null) {
      name = pair(Concepts.RPC_METHOD, Concepts.RPC_SERVICE);
    }
    if (name == null) {
      name = pair(Concepts.GRAPHQL_TYPE, Concepts.GRAPHQL_NAME);
    }
    if (name == null && text(Concepts.DB_SYSTEM) != null) {
      name = text(Concepts.DB_STATEMENT);
    }
    return Normalize.truncate(name == null ? span.getName() : name, MAX_RESOURCE);
  }

  private String pair(int[] first, int[] second) {
    String one = text(first);
    if (one == null) {
      return null;
    }
    String other = text(second);
    return other == null ? one : names.spaced(one, other);
  }
}
