package com.datadog.pipeline.cli;

import com.datadog.pipeline.Builder;
import com.datadog.pipeline.Compression;
import com.datadog.pipeline.Destination;
import com.datadog.pipeline.LogTarget;
import com.datadog.pipeline.OtlpEncoding;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** Where {@code send} goes to, by its options. Stateless. */
final class Target {
  static final String TLS = "--ca --client-cert --client-key";
  static final String OPTIONS = "--to --url --site --api-key --compression " + TLS;

  private static final List<String> KINDS =
      Arrays.asList("agent", "otlp-proto", "otlp-json", "intake", "log");

  private Target() {}

  /** Whether it is an agent. */
  static boolean isAgent(Arguments args) throws Arguments.Bad {
    String to = args.get("--to");
    if (to != null && !KINDS.contains(to)) {
      throw new Arguments.Bad("--to is " + to + "; it must be one of " + String.join(", ", KINDS));
    }
    return to == null || to.equals("agent");
  }

  /** Makes the settings that say where to. */
  static void apply(Arguments args, Builder builder) throws Arguments.Bad {
    if (isAgent(args)) {
      for (String option : new String[] {"--site", "--api-key"}) {
        if (args.has(option)) {
          throw new Arguments.Bad(option + " is for --to otlp-proto and intake");
        }
      }
      if (args.has("--compression") && compression(args) != Compression.NONE) {
        throw new Arguments.Bad("--compression is for --to otlp-proto, otlp-json and intake");
      }
      builder.url(args.url());
    } else {
      String to = args.get("--to");
      builder.destination(
          to.equals("log") ? log(args) : to.equals("intake") ? intake(args) : otlp(args, to));
      if (to.startsWith("otlp")) {
        // As toward an agent a file goes as it is: a collector or an agent stands there.
        builder.normalize(false).obfuscate(false).dropP0(false);
      }
    }
    tls(args, builder);
  }

  private static Destination otlp(Arguments args, String to) throws Arguments.Bad {
    String url = args.get("--url");
    Destination.Otlp otlp;
    if (args.has("--site")) {
      otlp = Destination.datadogOtlp(args.get("--site"), key(args));
      otlp = url == null ? otlp : otlp.url(url);
    } else {
      otlp = Destination.otlp(url == null ? "http://127.0.0.1:4318" : url);
    }
    otlp = otlp.encoding(to.equals("otlp-json") ? OtlpEncoding.JSON : OtlpEncoding.PROTOBUF);
    return args.has("--compression") ? otlp.compression(compression(args)) : otlp;
  }

  private static Destination intake(Arguments args) throws Arguments.Bad {
    String site = args.get("--site");
    Destination.Intake intake =
        Destination.intake(site == null ? "datadoghq.com" : site, key(args));
    intake = args.has("--url") ? intake.url(args.get("--url")) : intake;
    return args.has("--compression") ? intake.compression(compression(args)) : intake;
  }

  private static Destination log(Arguments args) {
    String file = args.get("--url");
    return Destination.log(file == null ? LogTarget.STDOUT : LogTarget.file(Paths.get(file)));
  }

  /** {@code --api-key}, else the environment's. */
  private static String key(Arguments args) throws Arguments.Bad {
    String key = args.has("--api-key") ? args.get("--api-key") : System.getenv("DD_API_KEY");
    if (key == null || key.isEmpty()) {
      throw new Arguments.Bad("an API key is needed: --api-key or DD_API_KEY");
    }
    return key;
  }

  private static Compression compression(Arguments args) throws Arguments.Bad {
    String name = args.get("--compression");
    for (Compression compression : Compression.values()) {
      if (compression.name().toLowerCase(Locale.ROOT).equals(name)) {
        return compression;
      }
    }
    throw new Arguments.Bad("--compression is " + name + "; it must be none, gzip or zstd");
  }

  /** Makes the settings that say whom to trust under https, and as whom to come. */
  static void tls(Arguments args, Builder builder) throws Arguments.Bad {
    pair(args);
    if (args.has("--ca")) {
      builder.caFile(Paths.get(args.get("--ca")));
    }
    if (args.has("--client-cert")) {
      builder.clientCertificate(
          Paths.get(args.get("--client-cert")), Paths.get(args.get("--client-key")));
    }
  }

  /** A certificate is of no use without its key. */
  static void pair(Arguments args) throws Arguments.Bad {
    if (args.has("--client-cert") != args.has("--client-key")) {
      throw new Arguments.Bad("--client-cert and --client-key go together");
    }
  }
}
