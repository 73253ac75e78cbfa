package com.datadog.pipeline;

import com.datadog.pipeline.internal.plain.Client;
import com.datadog.pipeline.internal.plain.Failure;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * What the agent's {@code /info} says: read at start, every 300 s while something is sent, and when
 * the agent's state changes, on a daemon thread that ends with the request. Thread-safe.
 */
final class PlainDiscovery implements Runnable {
  private static final long EVERY_NANOS = 300_000_000_000L;

  private final Client client;
  private final PlainPresence presence;
  private final String headers;
  private final long limitMillis;
  private final boolean on;
  private volatile AgentInfo info;

  /** An agent answered that has none. */
  private volatile boolean absent;

  private boolean running;
  private volatile long asked;

  PlainDiscovery(Client client, PlainPresence presence, PlainSettings settings) {
    this.client = client;
    this.presence = presence;
    this.headers = settings.commonHeaders();
    this.limitMillis = settings.sendTimeoutMillis();
    this.on = settings.discovery();
  }

  /** What is known, or null. */
  AgentInfo info() {
    return info;
  }

  /** The largest request that the agent takes, as far as it says; else 25 MiB. */
  long maxRequestBytes() {
    AgentInfo known = info;
    long said = known == null ? 0 : known.maxRequestBytes();
    return said > 0 ? said : 25 << 20;
  }

  /** A request was answered, and told this state (or null). */
  void heard(String state) {
    AgentInfo known = info;
    long age = System.nanoTime() - asked;
    boolean other = known != null && state != null && !state.equals(known.stateHash());
    boolean unknown = known == null && !absent && age > 1_000_000_000L;
    if (other || unknown || age > EVERY_NANOS) {
      start();
    }
  }

  /** Asks in the background, unless somebody does. */
  void start() {
    synchronized (this) {
      if (!on || running) {
        return;
      }
      running = true;
      asked = System.nanoTime();
    }
    try {
      Completions.daemon(this, "dp-tasks").start();
    } catch (OutOfMemoryError e) {
      // The next answer asks again.
      ended();
    }
  }

  private synchronized void ended() {
    running = false;
  }

  @Override
  public void run() {
    try {
      fetch(limitMillis);
    } catch (Failure e) {
      if (e.status == 0) {
        presence.failed(e, 0, Long.MAX_VALUE);
      }
    } finally {
      ended();
    }
  }

  /** Asks now. */
  AgentInfo fetch(long millis) throws Failure {
    try {
      Client.Info answer = client.info(headers, Math.max(1, Math.min(millis, limitMillis)));
      String hash = answer.tagsHash == null ? "" : answer.tagsHash;
      String text = hash + "\n" + sha256(answer.body) + "\n";
      byte[] head = text.getBytes(StandardCharsets.UTF_8);
      byte[] all = new byte[head.length + answer.body.length];
      System.arraycopy(head, 0, all, 0, head.length);
      System.arraycopy(answer.body, 0, all, head.length, answer.body.length);
      AgentInfo said = new AgentInfo(all);
      info = said;
      absent = false;
      return said;
    } catch (Failure e) {
      absent |= e.status == 404;
      throw e;
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      StringBuilder hex = new StringBuilder(64);
      for (byte b : MessageDigest.getInstance("SHA-256").digest(bytes)) {
        hex.append(Character.forDigit((b >> 4) & 15, 16)).append(Character.forDigit(b & 15, 16));
      }
      return hex.toString();
    } catch (NoSuchAlgorithmException e) {
      // Every JVM must have it.
      return "";
    }
  }
}
