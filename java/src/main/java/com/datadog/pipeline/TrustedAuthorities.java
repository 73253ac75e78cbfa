package com.datadog.pipeline;

import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.Collection;
import java.util.Map;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

/**
 * Hands the authorities of the JVM's trust store ({@code javax.net.ssl.trustStore}, else the JDK's
 * own) to the native library, when the first exporter with an https address is built: reading them
 * takes a good part of a second, and who speaks plain HTTP never pays it. Thread-safe.
 */
final class TrustedAuthorities {
  private static boolean handedOver;

  private TrustedAuthorities() {}

  /** Hands them over, if these settings need them and nobody has done it before. */
  static void handOver(Map<String, Object> settings) {
    if (needed(settings)) {
      handOver(settings.containsKey("caFile"));
    }
  }

  private static synchronized void handOver(boolean othersAreTrusted) {
    if (handedOver) {
      return;
    }
    long start = System.nanoTime();
    byte[] list;
    try {
      list = read();
    } catch (GeneralSecurityException | RuntimeException e) {
      if (othersAreTrusted) {
        return;
      }
      String message =
          "caFile: https needs authorities to trust, and the trust store of this JVM cannot be"
              + " read: "
              + (e.getMessage() == null ? e.toString() : e.getMessage())
              + " (javax.net.ssl.trustStore)";
      throw new TraceExporterException(ErrorCode.INVALID_CONFIGURATION, message, e);
    }
    TraceExporter.nativeTrust(list, (System.nanoTime() - start) / 1000);
    handedOver = true;
  }

  /** Each as X.509 in DER behind its length, four bytes. */
  private static byte[] read() throws GeneralSecurityException {
    TrustManagerFactory factory =
        TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    factory.init((KeyStore) null);
    ByteArrayOutputStream out = new ByteArrayOutputStream(256 << 10);
    for (TrustManager manager : factory.getTrustManagers()) {
      if (manager instanceof X509TrustManager) {
        for (X509Certificate authority : ((X509TrustManager) manager).getAcceptedIssuers()) {
          byte[] der = authority.getEncoded();
          for (int shift = 24; shift >= 0; shift -= 8) {
            out.write(der.length >>> shift);
          }
          out.write(der, 0, der.length);
        }
      }
    }
    return out.toByteArray();
  }

  /** Whether an address somewhere in the settings is https; a site of Datadog is one. */
  private static boolean needed(Object value) {
    if (value instanceof String) {
      return ((String) value).regionMatches(true, 0, "https://", 0, 8);
    }
    if (value instanceof Map) {
      return ((Map<?, ?>) value).containsKey("site") || needed(((Map<?, ?>) value).values());
    }
    if (value instanceof Collection) {
      for (Object one : (Collection<?>) value) {
        if (needed(one)) {
          return true;
        }
      }
    }
    return false;
  }
}
