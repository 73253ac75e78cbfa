package com.datadog.pipeline.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertPathBuilderException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/** Whom {@code replay} trusts under https, and as whom it comes. Immutable and thread-safe. */
final class Tls {
  private static final char[] NO_PASSWORD = {};
  private static final Pattern KEY =
      Pattern.compile(
          "-----BEGIN ([A-Z ]*)PRIVATE KEY-----([^-]+)-----END [A-Z ]*PRIVATE KEY-----");

  private static final byte[] NULL = {5, 0};
  private static final byte[] VERSION_0 = {2, 1, 0};
  private static final byte[] RSA = {6, 9, 42, (byte) 134, 72, (byte) 134, (byte) 247, 13, 1, 1, 1};
  private static final byte[] EC = {6, 7, 42, (byte) 134, 72, (byte) 206, 61, 2, 1};

  private final SSLSocketFactory sockets;

  private Tls(SSLSocketFactory sockets) {
    this.sockets = sockets;
  }

  /** Reads the files of {@code --ca}, {@code --client-cert} and {@code --client-key}. */
  static Tls of(Arguments args) throws Arguments.Bad {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(identity(args), trust(args), null);
      return new Tls(context.getSocketFactory());
    } catch (GeneralSecurityException e) {
      throw new Arguments.Bad("TLS cannot be set up: " + Input.why(e));
    }
  }

  /** Whom the JVM trusts, and the authorities of the file. */
  private static TrustManager[] trust(Arguments args)
      throws Arguments.Bad, GeneralSecurityException {
    if (!args.has("--ca")) {
      return null;
    }
    KeyStore all = empty();
    int n = 0;
    for (TrustManager manager : managers(null)) {
      if (manager instanceof X509TrustManager) {
        for (X509Certificate one : ((X509TrustManager) manager).getAcceptedIssuers()) {
          all.setCertificateEntry("known-" + n++, one);
        }
      }
    }
    for (Certificate one : certificates(args, "--ca")) {
      all.setCertificateEntry("ca-" + n++, one);
    }
    return managers(all);
  }

  private static TrustManager[] managers(KeyStore of) throws GeneralSecurityException {
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init(of);
    return factory.getTrustManagers();
  }

  /** A certificate of our own and its key. */
  private static KeyManager[] identity(Arguments args)
      throws Arguments.Bad, GeneralSecurityException {
    if (!args.has("--client-cert")) {
      return null;
    }
    Certificate[] chain = certificates(args, "--client-cert").toArray(new Certificate[0]);
    PrivateKey key = key(args, chain[0]);
    KeyStore own = empty();
    own.setKeyEntry("own", key, NO_PASSWORD, chain);
    KeyManagerFactory factory =
        KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    factory.init(own, NO_PASSWORD);
    return factory.getKeyManagers();
  }

  private static KeyStore empty() throws GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    try {
      store.load(null, null);
    } catch (IOException e) {
      throw new GeneralSecurityException("an empty key store cannot be made", e);
    }
    return store;
  }

  private static Collection<? extends Certificate> certificates(Arguments args, String option)
      throws Arguments.Bad {
    byte[] bytes = file(args, option);
    try {
      Collection<? extends Certificate> found =
          CertificateFactory.getInstance("X.509")
              .generateCertificates(new ByteArrayInputStream(bytes));
      if (!found.isEmpty()) {
        return found;
      }
    } catch (CertificateException e) {
      // It is said below.
    }
    throw bad(args, option, "it holds no certificate in PEM or DER");
  }

  /** The key of a file in PEM, in each of the three forms that there are. */
  private static PrivateKey key(Arguments args, Certificate of) throws Arguments.Bad {
    String option = "--client-key";
    String text = new String(file(args, option), StandardCharsets.ISO_8859_1);
    if (text.contains("ENCRYPTED")) {
      String knob = "write it without (openssl pkey -in KEY -out PLAIN)";
      throw bad(args, option, "the key is locked by a password; " + knob);
    }
    Matcher found = KEY.matcher(text);
    if (!found.find()) {
      throw bad(args, option, "it holds no private key in PEM");
    }
    String algorithm = of.getPublicKey().getAlgorithm();
    try {
      byte[] der = Base64.getMimeDecoder().decode(found.group(2));
      byte[] pkcs8 = found.group(1).isEmpty() ? der : wrapped(der, found.group(1).trim());
      PrivateKey key =
          KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
      if (!belong(key, of.getPublicKey())) {
        throw bad(args, option, "the key does not belong to the certificate of --client-cert");
      }
      return key;
    } catch (GeneralSecurityException | RuntimeException e) {
      throw bad(args, option, "it is no key of the kind " + algorithm + " of the certificate");
    }
  }

  private static boolean belong(PrivateKey key, PublicKey to) throws GeneralSecurityException {
    String name = key.getAlgorithm().equals("EC") ? "ECDSA" : key.getAlgorithm();
    if (!name.equals("ECDSA") && !name.equals("RSA")) {
      return true;
    }
    Signature signature = Signature.getInstance("SHA256with" + name);
    signature.initSign(key);
    signature.update(RSA);
    byte[] signed = signature.sign();
    signature.initVerify(to);
    signature.update(RSA);
    return signature.verify(signed);
  }

  /** PKCS #8 around a key in the older form of its kind (PKCS #1, SEC 1). */
  private static byte[] wrapped(byte[] der, String kind) {
    byte[] algorithm = kind.equals("RSA") ? join(RSA, NULL) : join(EC, curve(der));
    return tagged(0x30, join(VERSION_0, tagged(0x30, algorithm), tagged(0x04, der)));
  }

  /** The name of the curve that a key in SEC 1 ends with, or before its public key: {@code [0]}. */
  private static byte[] curve(byte[] der) {
    // SEQUENCE, INTEGER 1, OCTET STRING, each with a length of one byte up to 127, else two.
    int at = der[1] < 0 ? 2 + (der[1] & 0x7f) : 2;
    at += 3;
    at += 2 + der[at + 1];
    if (der[at] != (byte) 0xa0) {
      throw new IllegalArgumentException("no curve");
    }
    return Arrays.copyOfRange(der, at + 2, at + 2 + der[at + 1]);
  }

  private static byte[] tagged(int tag, byte[] content) {
    // DER wants the shortest form of a length.
    int n = content.length;
    byte[] head = {(byte) tag, (byte) 0x82, (byte) (n >> 8), (byte) n};
    if (n < 128) {
      head = new byte[] {(byte) tag, (byte) n};
    } else if (n < 256) {
      head = new byte[] {(byte) tag, (byte) 0x81, (byte) n};
    }
    return join(head, content);
  }

  private static byte[] join(byte[]... parts) {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      all.write(part, 0, part.length);
    }
    return all.toByteArray();
  }

  private static byte[] file(Arguments args, String option) throws Arguments.Bad {
    try {
      return Input.of(args.get(option));
    } catch (IOException | RuntimeException e) {
      throw bad(args, option, Input.why(e));
    }
  }

  private static Arguments.Bad bad(Arguments args, String option, String why) {
    return new Arguments.Bad(option + " " + args.get(option) + ": " + why);
  }

  /** TLS on a socket that is connected; hands are shaken, and the host is the one asked for. */
  SSLSocket over(Socket socket, String host, int port) throws IOException {
    SSLSocket secure = (SSLSocket) sockets.createSocket(socket, host, port, true);
    SSLParameters parameters = secure.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    secure.setSSLParameters(parameters);
    secure.startHandshake();
    return secure;
  }

  /** What went wrong, and which option or what there helps. */
  static String why(SSLException e, String authority) {
    String certificate = "the certificate of " + authority;
    for (Throwable at = e; at != null; at = at.getCause()) {
      if (at instanceof CertificateExpiredException) {
        return certificate + " has expired: renew it there, or see the clock here";
      }
      if (at instanceof CertificateNotYetValidException) {
        return certificate + " is not valid yet: see the clock here, or the certificate there";
      }
      if (at instanceof CertPathBuilderException) {
        return "nobody who is trusted here has issued " + certificate + " (--ca)";
      }
    }
    String said = Input.why(e);
    String lower = said.toLowerCase(Locale.ROOT);
    if (lower.contains("no name matching") || lower.contains("subject alternative")) {
      return certificate + " is for another host (--url)";
    }
    if (lower.contains("alert")
        && (lower.contains("certificate") || lower.contains("unknown_ca"))) {
      String knob = "--client-cert, --client-key";
      return authority + " wants another certificate of ours: " + said + " (" + knob + ")";
    }
    if (lower.contains("plaintext connection") || lower.contains("unsupported or unrecognized")) {
      return "what " + authority + " says is not TLS: is it the port for https? (--url)";
    }
    return "TLS with " + authority + " failed: " + said + " (--url, --ca)";
  }
}
