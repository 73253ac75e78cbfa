package com.datadog.pipeline.internal.plain;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * What the agent's answers have taught, by the rules of the native side ({@code
 * src/destination/agent/response.rs}): rates stay known when an answer has none. Thread-safe.
 */
public final class Memory {
  /** A longer value is not remembered: it would have to go into every request. */
  private static final int MAX_VALUE = 256;

  private byte[] rates;

  /** No agent has this version, but without one it would not tell us its own. */
  private String version = "0";

  private String tagsHash;
  private String state;

  Memory() {}

  /** The header that tells the version of the rates we know. */
  synchronized String rates() {
    return "datadog-rates-payload-version: " + version + "\r\n";
  }

  /** The agent's state as its last answer told it, or null. */
  public synchronized String state() {
    return state;
  }

  private static String value(Answer answer, String header, String known) {
    String value = answer.header(header);
    return value == null || value.length() > MAX_VALUE ? known : value;
  }

  synchronized void note(Answer answer) {
    state = value(answer, "datadog-agent-state", state);
  }

  synchronized Reply reply(Answer answer, int attempts, boolean possiblyDuplicated) {
    note(answer);
    tagsHash = value(answer, "datadog-container-tags-hash", tagsHash);
    // Nobody asked for an encoding: what has one cannot be read.
    byte[] body = answer.header("content-encoding") == null ? answer.body() : new byte[0];
    String text = new String(body, StandardCharsets.UTF_8);
    boolean carries = text.contains("\"rate_by_service\"");
    boolean news = carries && !Arrays.equals(body, rates);
    if (news) {
      rates = body;
    }
    if (carries) {
      version = value(answer, "datadog-rates-payload-version", version);
    }
    return new Reply(
        answer.status, body, rates, news, tagsHash, state, attempts, possiblyDuplicated);
  }
}
