package com.datadog.pipeline.opentelemetry;

import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;

/** Texts that are put together from attributes, each made once. Bounded; not thread-safe. */
final class Names {
  private static final int MOST = 512;

  private static final String[] SQL = {
    "actian.ingres",
    "adabas",
    "aws.redshift",
    "cache",
    "clickhouse",
    "cloudscape",
    "cockroachdb",
    "coldfusion",
    "db2",
    "derby",
    "edb",
    "filemaker",
    "firebird",
    "firebirdsql",
    "firstsql",
    "h2",
    "h2database",
    "hanadb",
    "hsqldb",
    "ibm.db2",
    "ibm.informix",
    "ibm.netezza",
    "informix",
    "ingres",
    "instantdb",
    "interbase",
    "intersystems.cache",
    "mariadb",
    "maxdb",
    "microsoft.sql_server",
    "mssql",
    "mysql",
    "netezza",
    "oracle",
    "oracle.db",
    "other_sql",
    "pervasive",
    "pointbase",
    "postgresql",
    "progress",
    "redshift",
    "sap.hana",
    "sap.maxdb",
    "softwareag.adabas",
    "sqlite",
    "sybase",
    "teradata",
    "vertica",
  };
  private static final Map<String, String> TYPES = new HashMap<>();

  static {
    for (String system : SQL) {
      TYPES.put(system, "sql");
    }
    for (String system :
        new String[] {
          "cassandra", "elasticsearch", "memcached", "mongodb", "opensearch", "redis"
        }) {
      TYPES.put(system, system);
    }
  }

  private static final Map<Integer, String> PHRASES = new HashMap<>();

  private static void phrases(String... pairs) {
    for (int i = 0; i < pairs.length; i += 2) {
      PHRASES.put(Integer.valueOf(pairs[i]), pairs[i + 1]);
    }
  }

  static {
    phrases(
        "100", "Continue",
        "101", "Switching Protocols",
        "102", "Processing",
        "103", "Early Hints",
        "200", "OK",
        "201", "Created",
        "202", "Accepted",
        "203", "Non-Authoritative Information",
        "204", "No Content",
        "205", "Reset Content",
        "206", "Partial Content",
        "207", "Multi-Status",
        "208", "Already Reported",
        "226", "IM Used",
        "300", "Multiple Choices",
        "301", "Moved Permanently",
        "302", "Found",
        "303", "See Other",
        "304", "Not Modified",
        "305", "Use Proxy",
        "307", "Temporary Redirect",
        "308", "Permanent Redirect",
        "400", "Bad Request",
        "401", "Unauthorized",
        "402", "Payment Required",
        "403", "Forbidden",
        "404", "Not Found",
        "405", "Method Not Allowed",
        "406", "Not Acceptable",
        "407", "Proxy Authentication Required",
        "408", "Request Timeout",
        "409", "Conflict",
        "410", "Gone",
        "411", "Length Required",
        "412", "Precondition Failed",
        "413", "Request Entity Too Large",
        "414", "Request URI Too Long",
        "415", "Unsupported Media Type",
        "416", "Requested Range Not Satisfiable",
        "417", "Expectation Failed",
        "418", "I'm a teapot",
        "421", "Misdirected Request",
        "422", "Unprocessable Entity",
        "423", "Locked",
        "424", "Failed Dependency",
        "425", "Too Early",
        "426", "Upgrade Required",
        "428", "Precondition Required",
        "429", "Too Many Requests",
        "431", "Request Header Fields Too Large",
        "451", "Unavailable For Legal Reasons",
        "500", "Internal Server Error",
        "501", "Not Implemented",
        "502", "Bad Gateway",
        "503", "Service Unavailable",
        "504", "Gateway Timeout",
        "505", "HTTP Version Not Supported",
        "506", "Variant Also Negotiates",
        "507", "Insufficient Storage",
        "508", "Loop Detected",
        "510", "Not Extended",
        "511", "Network Authentication Required");
  }

  /** One text made of another. */
  private static final class Made {
    final Map<String, String> known = new HashMap<>();
    final Function<String, String> make;

    Made(Function<String, String> make) {
      this.make = make;
    }

    String of(String from) {
      String text = known.get(from);
      if (text == null) {
        text = make.apply(from);
        if (known.size() >= MOST) {
          known.clear();
        }
        known.put(from, text);
      }
      return text;
    }
  }

  /** A name made of a word; empty if nothing of the word is left. */
  private static Function<String, String> name(Function<String, String> make) {
    return from -> {
      String word = Normalize.tagValue(from);
      return word.isEmpty() ? "" : Normalize.name(make.apply(word));
    };
  }

  /** A name made of two words; empty if nothing of one of them is left. */
  private static String name(String first, String second, String end) {
    String one = Normalize.tagValue(first);
    String other = Normalize.tagValue(second);
    return one.isEmpty() || other.isEmpty() ? "" : Normalize.name(one + "." + other + end);
  }

  private final Made service = new Made(Normalize::service);
  private final Made plain = new Made(name(text -> text));
  private final Made query = new Made(name(system -> system + ".query"));
  private final Made client = new Made(name(system -> system + ".client.request"));
  private final Made server = new Made(name(system -> system + ".server.request"));
  private final Made aws = new Made(name(service -> "aws." + service + ".request"));
  private final Made invoke = new Made(name(trigger -> trigger + ".invoke"));
  private final Made tag = new Made(Normalize::tagValue);
  private final Made databaseType =
      new Made(
          system -> {
            String known = Normalize.tagValue(system);
            return known.isEmpty() ? "" : TYPES.getOrDefault(known, "db");
          });
  private final Map<String, Made> dotted = new HashMap<>();
  private final Map<String, Made> invoked = new HashMap<>();
  private final Map<String, Made> spaced = new HashMap<>();

  // Functions that hold nothing of a call are made once: one that held it would be an object a
  // span.
  private static final Function<String, Function<String, String>> INVOKED =
      provider -> function -> name(provider, function, ".invoke");
  private static final Function<String, Function<String, String>> DOTTED =
      system -> operation -> name(system, operation, "");
  private static final Function<String, Function<String, String>> SPACED =
      first -> second -> Normalize.truncate(first + " " + second, Titles.MAX_RESOURCE);

  private static Made in(
      Map<String, Made> all, String first, Function<String, Function<String, String>> make) {
    Made made = all.get(first);
    if (made == null) {
      if (all.size() >= MOST) {
        all.clear();
      }
      made = new Made(make.apply(first));
      all.put(first, made);
    }
    return made;
  }

  String service(String name) {
    return service.of(name);
  }

  /** A tag value, normalized. */
  String tag(String value) {
    return tag.of(value);
  }

  // What follows is empty if nothing is left of a word by the agent's rules.

  String operation(String name) {
    return plain.of(name);
  }

  String query(String system) {
    return query.of(system);
  }

  String clientRequest(String system) {
    return client.of(system);
  }

  String serverRequest(String system) {
    return server.of(system);
  }

  String aws(String service) {
    return aws.of(service);
  }

  String invoke(String trigger) {
    return invoke.of(trigger);
  }

  String invoke(String provider, String name) {
    return in(invoked, provider, INVOKED).of(name);
  }

  String messaging(String system, String operation) {
    return in(dotted, system, DOTTED).of(operation);
  }

  /** Two words with a space between them, of at most 5,000 bytes. */
  String spaced(String first, String second) {
    return in(spaced, first, SPACED).of(second);
  }

  String databaseType(String system) {
    return databaseType.of(system);
  }

  /** The reason phrase behind an HTTP status that is text; the status alone if it has none. */
  static String reason(String status) {
    String phrase = null;
    try {
      phrase = PHRASES.get(Integer.parseInt(status));
    } catch (NumberFormatException e) {
      // It is no number.
    }
    return phrase == null ? status : status + " " + phrase;
  }
}
