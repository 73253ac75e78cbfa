package com.datadog.pipeline;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Assumptions;

/** Answers 200 and an empty JSON object to everything, under TLS. Thread-safe. */
final class TlsServer implements Closeable {
  private static final char[] PASSWORD = "changeit".toCharArray();
  private static Path made;

  private final SSLServerSocket server;
  private final AtomicInteger requests = new AtomicInteger();

  private TlsServer(SSLServerSocket server) {
    this.server = server;
    Thread thread = new Thread(this::serve, "tls-server");
    thread.setDaemon(true);
    thread.start();
  }

  /** Certificates of every kind; {@code tests/fixtures/tls/make.sh} says which. */
  static synchronized Path certificates() throws IOException, InterruptedException {
    if (made == null) {
      Path folder = Files.createTempDirectory("dp-tls");
      String script = Paths.get(System.getProperty("fixtures"), "tls", "make.sh").toString();
      ProcessBuilder make = new ProcessBuilder("sh", script, folder.toString());
      if (make.redirectErrorStream(true).inheritIO().start().waitFor() != 0) {
        throw new IOException(script + " failed");
      }
      made = folder;
    }
    Assumptions.assumeTrue(Files.exists(made.resolve("trust.p12")), "no keytool");
    return made;
  }

  /** A file of the certificates. */
  static String file(String name) throws IOException, InterruptedException {
    return certificates().resolve(name).toString();
  }

  /** A server with this certificate; {@code asks}: it wants one of the client as well. */
  static TlsServer open(String certificate, boolean asks)
      throws IOException, InterruptedException, GeneralSecurityException {
    KeyStore keys = KeyStore.getInstance("PKCS12");
    keys.load(null, null);
    String pem = new String(Files.readAllBytes(Paths.get(file(certificate + ".key"))));
    byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----.*-----", ""));
    keys.setKeyEntry(
        "own",
        KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der)),
        PASSWORD,
        new Certificate[] {read(certificate)});
    KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    own.init(keys, PASSWORD);
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("ca", read("ca"));
    TrustManagerFactory trust =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(own.getKeyManagers(), trust.getTrustManagers(), null);
    SSLServerSocket server =
        (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0);
    server.setNeedClientAuth(asks);
    return new TlsServer(server);
  }

  private static Certificate read(String name)
      throws IOException, InterruptedException, GeneralSecurityException {
    try (InputStream in = Files.newInputStream(Paths.get(file(name + ".pem")))) {
      return CertificateFactory.getInstance("X.509").generateCertificate(in);
    }
  }

  int port() {
    return server.getLocalPort();
  }

  String url() {
    return "https://localhost:" + port();
  }

  /** How many requests were answered. */
  int requests() {
    return requests.get();
  }

  private void serve() {
    while (!server.isClosed()) {
      try (SSLSocket socket = (SSLSocket) server.accept()) {
        answer(socket);
      } catch (IOException e) {
        // A client that does not trust us hangs up.
      }
    }
  }

  private void answer(SSLSocket socket) throws IOException {
    BufferedReader in =
        new BufferedReader(
            new InputStreamReader(socket.getInputStream(), StandardCharsets.ISO_8859_1));
    String first = in.readLine();
    int length = 0;
    for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
      if (line.toLowerCase(Locale.ROOT).startsWith("content-length:")) {
        length = Integer.parseInt(line.substring(15).trim());
      }
    }
    for (int i = 0; i < length; i++) {
      in.read();
    }
    if (first != null) {
      requests.incrementAndGet();
      String answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
      socket.getOutputStream().write(answer.getBytes(StandardCharsets.US_ASCII));
    }
  }

  @Override
  public void close() throws IOException {
    server.close();
  }
}
