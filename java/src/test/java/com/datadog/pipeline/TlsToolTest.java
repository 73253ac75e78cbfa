package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.FakeAgent;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tool under https: a certificate's fault is named, and the option that helps. */
class TlsToolTest {
  private static final String GO_1 =
      new File(System.getProperty("fixtures"), "traces/go/001.msgpack").getPath();

  @TempDir Path folder;

  private static ChildJvm.Outcome tool(List<String> options, String... words) {
    List<String> all = new ArrayList<>(Arrays.asList(words));
    all.addAll(options);
    return ToolTest.tool(all.toArray(new String[0]));
  }

  private static List<String> trusting(String ca) throws Exception {
    return Arrays.asList("--ca", TlsServer.file(ca));
  }

  private static List<String> as(String certificate, String key) throws Exception {
    List<String> all = new ArrayList<>(trusting("ca.pem"));
    Collections.addAll(all, "--client-cert", TlsServer.file(certificate));
    Collections.addAll(all, "--client-key", TlsServer.file(key));
    return all;
  }

  /** A request as `send --capture` keeps it. */
  private String captured() {
    try (FakeAgent agent = FakeAgent.start()) {
      String kept = folder.resolve("captured").toString();
      ToolTest.tool("send", "--capture", kept, "--url", agent.url(), GO_1);
      return kept;
    }
  }

  @Test
  void everyFaultOfACertificateIsNamedWithWhatHelps() throws Exception {
    String kept = captured();
    // Which certificate, what the library says, what Java's own TLS is said to say.
    String[][] cases = {
      {"expired", "expired|renew it there", "has expired: renew it there"},
      {"early", "not valid for another", "is not valid yet: see the clock here"},
      {"wrong-host", "another.example|`url`", "is for another host (--url)"},
      {"no-name", "no host name at all|`url`", ""},
      {"unknown", "`caFile`|javax.net.ssl.trustStore", "has issued the certificate of"},
      {"self-signed", "`caFile`", "has issued the certificate of"},
      {"for-clients", "not one for servers", "failed: "},
    };
    for (String[] c : cases) {
      try (TlsServer server = TlsServer.open(c[0], false)) {
        ChildJvm.Outcome o = tool(trusting("ca.pem"), "doctor", "--url", server.url());
        assertEquals(1, o.exit, c[0] + o);
        assertTrue(o.out.startsWith("traces would not arrive"), c[0] + o);
        for (String word : c[1].split("\\|")) {
          assertTrue(o.out.contains(word), c[0] + o);
        }
        o = tool(trusting("ca.pem"), "send", "--url", server.url(), GO_1);
        assertEquals(1, o.exit, c[0] + o);
        assertTrue(o.err.contains(c[1].split("\\|")[0]), c[0] + o);
        assertEquals(0, server.requests(), c[0]);
        o = tool(trusting("ca.pem"), "replay", "--url", server.url(), kept);
        if (c[2].isEmpty()) {
          // Java takes the subject of the certificate for a host name, too.
          assertEquals(0, o.exit, c[0] + o);
          continue;
        }
        assertEquals(1, o.exit, c[0] + o);
        assertTrue(o.err.contains(c[2]), c[0] + o);
        assertEquals(0, server.requests(), c[0]);
      }
    }
  }

  @Test
  void theRightCertificateIsAccepted() throws Exception {
    String kept = captured();
    try (TlsServer server = TlsServer.open("right", false)) {
      List<String> options = trusting("ca.pem");
      ChildJvm.Outcome o = tool(options, "doctor", "--url", server.url(), "--send", "--verbose");
      assertEquals(0, o.exit, o.toString());
      assertTrue(o.out.contains("explain.agent.tls."), o.out);
      assertEquals(0, tool(options, "send", "--url", server.url(), GO_1).exit);
      int before = server.requests();
      o = tool(options, "replay", "--url", server.url(), kept);
      assertEquals(0, o.exit, o.toString());
      assertEquals(before + 1, server.requests());
      // Without the file nobody whom this JVM trusts has issued it.
      o = tool(Collections.emptyList(), "replay", "--url", server.url(), kept);
      assertTrue(o.exit == 1 && o.err.contains("(--ca)"), o.toString());
      // TLS where plain HTTP is spoken, and the reverse.
      o = tool(Collections.emptyList(), "doctor", "--url", server.url().replace("https", "http"));
      assertTrue(o.exit == 1 && o.out.contains("https://"), o.toString());
    }
    try (FakeAgent agent = FakeAgent.start()) {
      String url = agent.url().replace("http", "https");
      ChildJvm.Outcome o = tool(trusting("ca.pem"), "doctor", "--url", url);
      assertTrue(o.exit == 1 && o.out.contains("is it the port for https?"), o.toString());
    }
  }

  @Test
  void aServerThatAsksGetsTheCertificateOfTheOptions() throws Exception {
    String kept = captured();
    try (TlsServer server = TlsServer.open("right", true)) {
      ChildJvm.Outcome o = tool(trusting("ca.pem"), "doctor", "--url", server.url());
      assertEquals(1, o.exit, o.toString());
      assertTrue(o.out.contains("`clientCertificate`"), o.out);
      o = tool(trusting("ca.pem"), "replay", "--url", server.url(), kept);
      assertEquals(1, o.exit, o.toString());
      assertEquals(0, server.requests());
      List<String> own = as("client.pem", "client.key");
      o = tool(own, "doctor", "--url", server.url(), "--send");
      assertEquals(0, o.exit, o.toString());
      assertEquals(0, tool(own, "send", "--url", server.url(), GO_1).exit);
      int before = server.requests();
      // Every form of a key.
      Files.createDirectories(folder);
      for (String form : new String[] {"pkey", "ec"}) {
        String key = folder.resolve(form + ".key").toString();
        openssl(form, "-in", TlsServer.file("client.key"), "-out", key);
        o = tool(as("client.pem", key), "replay", "--url", server.url(), kept);
        assertEquals(0, o.exit, form + o);
      }
      assertEquals(before + 2, server.requests());
      o = tool(as("stranger-client.pem", "stranger-client.key"), "doctor", "--url", server.url());
      assertTrue(o.exit == 1 && o.out.contains("`clientCertificate`"), o.toString());
      o =
          tool(
              as("stranger-client.pem", "stranger-client.key"),
              "replay",
              "--url",
              server.url(),
              kept);
      assertEquals(1, o.exit, o.toString());
    }
  }

  @Test
  void anRsaKeyIsReadInBothForms() throws Exception {
    String certificate = folder.resolve("rsa.pem").toString();
    String modern = folder.resolve("rsa.key").toString();
    String old = folder.resolve("rsa-old.key").toString();
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "9",
        "-subj",
        "/CN=x",
        "-keyout",
        modern,
        "-out",
        certificate);
    openssl("rsa", "-traditional", "-in", modern, "-out", old);
    String kept = captured();
    try (TlsServer server = TlsServer.open("right", false)) {
      for (String key : new String[] {modern, old}) {
        ChildJvm.Outcome o = tool(as(certificate, key), "replay", "--url", server.url(), kept);
        assertEquals(0, o.exit, key + o);
      }
      ChildJvm.Outcome o =
          tool(as(certificate, "client.key"), "replay", "--url", server.url(), kept);
      assertTrue(o.exit == 2 && o.err.contains("no key of the kind RSA"), o.toString());
    }
  }

  private static void openssl(String... words) throws Exception {
    List<String> command = new ArrayList<>(Collections.singletonList("openssl"));
    command.addAll(Arrays.asList(words));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    while (process.getInputStream().read() >= 0) {
      continue;
    }
    assertEquals(0, process.waitFor(), command.toString());
  }

  @Test
  void filesThatCannotBeUsedAreNamed() throws Exception {
    String url = "https://localhost:1";
    // The certificate, the key, what replay says, what doctor says.
    String[][] cases = {
      {"ca.cnf", "", "--ca", "no certificate in PEM or DER", "no certificate"},
      {"client.pem", "right.key", "--client-key", "does not belong", "does not belong"},
      {"client.pem", "client-locked.key", "--client-key", "locked by a password", "password"},
      {"client.pem", "client.pem", "--client-key", "holds no private key", "no private key"},
      {"client.key", "client.key", "--client-cert", "no certificate", "no certificate"},
    };
    for (String[] c : cases) {
      List<String> options = c[1].isEmpty() ? trusting(c[0]) : as(c[0], c[1]);
      ChildJvm.Outcome o = tool(options, "replay", "--url", url, "x");
      assertEquals(2, o.exit, o.toString());
      assertTrue(o.err.startsWith(c[2] + " "), o.err);
      assertTrue(o.err.contains(c[3]), o.err);
      o = tool(options, "doctor", "--url", url);
      assertEquals(1, o.exit, o.toString());
      assertTrue(o.out.contains("PROBLEM: ") && o.out.contains(c[4]), o.out);
    }
    for (String command : new String[] {"doctor", "send", "replay"}) {
      for (String alone : new String[] {"--client-cert", "--client-key"}) {
        String[] words = {command, "--url", url, alone, "x", "y"};
        String[] fewer = command.equals("doctor") ? Arrays.copyOf(words, 5) : words;
        ChildJvm.Outcome o = ToolTest.tool(fewer);
        assertEquals(2, o.exit, o.toString());
        assertTrue(o.err.startsWith("--client-cert and --client-key go together"), o.err);
      }
    }
    assertFalse(Files.exists(Paths.get("x")));
  }
}
