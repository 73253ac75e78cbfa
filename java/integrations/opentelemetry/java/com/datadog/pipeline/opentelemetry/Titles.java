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
    return system == null ? "http" : names.databaseType(system);
  }

  String name(SpanKind kind) {
    boolean client = kind == SpanKind.CLIENT;
    boolean server = kind == SpanKind.SERVER;
    String operation = text(Concepts.OPERATION);
    if (operation != null) {
      return names.operation(operation);
    }
    if ((client || server) && text(Concepts.HTTP_METHOD) != null) {
      return server ? "http.server.request" : "http.client.request";
    }
    String system = client ? text(Concepts.DB_SYSTEM) : null;
    if (system != null) {
      return names.query(system);
    }
    if (kind != SpanKind.INTERNAL) {
      system = text(Concepts.MESSAGING_SYSTEM);
      operation = system == null ? null : text(Concepts.MESSAGING_OPERATION);
      if (operation != null) {
        return names.messaging(system, operation);
      }
    }
    system = client || server ? text(Concepts.RPC_SYSTEM) : null;
    if (system != null) {
      if (client && names.tag(system).equals("aws-api")) {
        String service = text(Concepts.RPC_SERVICE);
        return service == null ? "aws.client.request" : names.aws(service);
      }
      return client ? names.clientRequest(system) : names.serverRequest(system);
    }
    String function = client ? text(Concepts.FAAS_PROVIDER) : null;
    if (function != null) {
      String invoked = text(Concepts.FAAS_NAME);
      if (invoked != null) {
        return names.invoke(function, invoked);
      }
    }
    String trigger = server ? text(Concepts.FAAS_TRIGGER) : null;
    if (trigger != null) {
      return names.invoke(trigger);
    }
    if (text(Concepts.GRAPHQL_TYPE) != null) {
      return "graphql.server.request";
    }
    if (client || server) {
      String protocol = text(Concepts.PROTOCOL);
      if (protocol != null) {
        return client ? names.clientRequest(protocol) : names.serverRequest(protocol);
      }
      return client ? "client.request" : "server.request";
    }
    return kind == SpanKind.PRODUCER
        ? "Producer"
        : kind == SpanKind.CONSUMER ? "Consumer" : "Internal";
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
