package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Whom an exporter trusts: the JVM's trust store, and the caller's file. */
class TlsTest {
  private static Path made;
  private static TlsServer server;

  @BeforeAll
  static void open() throws Exception {
    made = TlsServer.certificates();
    server = TlsServer.open("right", false);
  }

  @AfterAll
  static void close() throws IOException {
    if (server != null) {
      server.close();
    }
  }

  /** Sends one trace and prints what came of it. */
  public static final class Sender {
    public static void main(String[] args) {
      Builder builder =
          TraceExporter.builder()
              .url(args[0])
              .discovery(false)
              .sendBudget(Duration.ofSeconds(30))
              .connectTimeout(Duration.ofSeconds(30));
      if (args.length > 1) {
        builder.caFile(Paths.get(args[1]));
      }
      try (TraceExporter exporter = builder.build()) {
        byte[] payload = {(byte) 0x91, (byte) 0x91, (byte) 0x80};
        System.out.println("status=" + exporter.send(payload).status());
        System.out.println(exporter.explain().replaceAll(".*(\"tls\":[^}]*}).*", "$1"));
      } catch (TraceExporterException e) {
        System.out.println(e.code() + " " + e.getMessage());
      }
    }
  }

  private static String child(String property, String... more) throws Exception {
    // A launcher may keep these classes in a loader of its own, beside java.class.path.
    String classes = Sender.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    List<String> command = new ArrayList<>();
    command.addAll(Arrays.asList(property, "-Djavax.net.ssl.trustStorePassword=changeit"));
    command.addAll(Arrays.asList("-cp", Jars.JAR + File.pathSeparator + classes));
    command.addAll(Arrays.asList(Sender.class.getName(), server.url()));
    command.addAll(Arrays.asList(more));
    return new ChildJvm().run(command.toArray(new String[0])).toString();
  }

  @Test
  void theTrustStoreOfTheJvmIsTrusted() throws Exception {
    String out = child("-Djavax.net.ssl.trustStore=" + made.resolve("trust.p12"));
    assertTrue(out.contains("status=200"), out);
    assertTrue(out.contains("\"authorities_of_the_host\":1"), out);
  }

  @Test
  void withoutItNobodyIsAndTheSentenceNamesBothWays() throws Exception {
    String out = child("-Dnothing=else");
    assertTrue(out.contains("TLS_FAILED") && out.contains("`caFile`"), out);
    assertTrue(out.contains("javax.net.ssl.trustStore"), out);
  }

  @Test
  void theFileOfTheCallerIsTrustedBesideIt() throws Exception {
    String out = child("-Dnothing=else", made.resolve("ca.pem").toString());
    assertTrue(out.contains("status=200"), out);
    System.out.println(
        "trust store of this JVM: " + out.replaceAll("(?s).*(\"tls\":[^}]*}).*", "$1"));
  }

  @Test
  void aTrustStoreThatCannotBeReadIsSaidAtBuild() throws Exception {
    String out = child("-Djavax.net.ssl.trustStore=" + made.resolve("ca.cnf"));
    assertTrue(out.contains("INVALID_CONFIGURATION") && out.contains("caFile"), out);
    assertTrue(out.contains("trust store of this JVM cannot be read"), out);
  }
}
