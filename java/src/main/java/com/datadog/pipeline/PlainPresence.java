package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.internal.plain.Failure;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Whether the agent is there, by the rules of {@code src/delivery/presence.rs}: once a send has
 * spent its budget in vain, later ones fail at once. Nobody probes in the background: when a look
 * is due, one send tries. Collects the lines for the listener. Thread-safe.
 */
final class PlainPresence {
  private static final long FIRST_PAUSE_MILLIS = 250;
  private static final long LONGEST_PAUSE_MILLIS = 10_000;

  /** A budget counts as spent when less than this is left. */
  private static final long REST_MILLIS = 25;

  private static final int MAX_LINES = 100;

  private final Deque<LogLine> lines = new ArrayDeque<>();
  private final String address;
  private AgentState.Condition condition = AgentState.Condition.READY;
  private Instant lastSuccess;
  private Instant lastErrorAt;
  private Failure lastError;
  private long downSince;
  private long lookAt;
  private int pauses;
  private boolean trying;
  private boolean trouble;

  PlainPresence(String address) {
    this.address = address;
  }

  /** Whether a send may go; throws {@code AGENT_DOWN} if not. Gives whether it is a trial. */
  synchronized boolean admit() throws Failure {
    if (condition != AgentState.Condition.DOWN) {
      return false;
    }
    long now = System.nanoTime();
    if (!trying && now - lookAt >= 0) {
      trying = true;
      return true;
    }
    throw new Failure(
        ErrorCode.AGENT_DOWN,
        address
            + " has been away for "
            + (now - downSince) / 1_000_000
            + " ms, so this send was not tried (a send waits for an agent up to `sendBudget`"
            + " first); last error: "
            + lastError.getMessage());
  }

  /** A trial is over, however it went. */
  synchronized void tried() {
    trying = false;
  }

  synchronized void succeeded() {
    lastSuccess = Instant.now();
    condition = AgentState.Condition.READY;
    pauses = 0;
    if (trouble) {
      trouble = false;
      tell(LogLine.Severity.INFO, address + " takes traces again");
    }
  }

  /** A send, or a request for {@code /info}, failed after so many ms of its budget. */
  synchronized void failed(Failure error, long tookMillis, long budgetMillis) {
    if (error.code == ErrorCode.CLOSED || error.code == ErrorCode.AGENT_DOWN) {
      return;
    }
    lastError = error;
    lastErrorAt = Instant.now();
    long now = System.nanoTime();
    if (error.repeats && tookMillis + REST_MILLIS >= budgetMillis) {
      if (condition != AgentState.Condition.DOWN) {
        downSince = now - tookMillis * 1_000_000;
      }
      condition = AgentState.Condition.DOWN;
      if (now - lookAt >= 0) {
        long ceiling = Math.min(FIRST_PAUSE_MILLIS << Math.min(pauses, 16), LONGEST_PAUSE_MILLIS);
        pauses++;
        long pause = ceiling / 2 + ThreadLocalRandom.current().nextLong(ceiling / 2);
        lookAt = now + pause * 1_000_000;
      }
    } else if (condition != AgentState.Condition.DOWN || !error.repeats) {
      condition = AgentState.Condition.DEGRADED;
    }
  }

  /** Traces are gone. */
  synchronized void lost(DropReason reason, long traces, String why) {
    if (!trouble) {
      trouble = true;
      tell(LogLine.Severity.WARNING, traces + " traces were dropped (" + reason + "): " + why);
    }
  }

  synchronized void tell(LogLine.Severity severity, String text) {
    if (lines.size() < MAX_LINES) {
      lines.add(new LogLine(Instant.now(), severity, text.replace('\n', ' ')));
    }
  }

  /** The next line for the listener, or null. */
  synchronized LogLine line() {
    return lines.poll();
  }

  /** As {@link AgentState#read} wants it. */
  synchronized Map<String, Object> state() {
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("condition", condition.name());
    state.put("last_success", lastSuccess == null ? null : lastSuccess.toEpochMilli());
    state.put("last_error", null);
    if (lastError != null) {
      Map<String, Object> error = new LinkedHashMap<>();
      error.put("at", lastErrorAt.toEpochMilli());
      error.put("code", lastError.code.number());
      error.put("status", lastError.status == 0 ? null : lastError.status);
      error.put("message", lastError.getMessage());
      state.put("last_error", error);
    }
    return state;
  }

  static String json(Map<String, Object> value) {
    StringBuilder json = new StringBuilder();
    Json.write(json, value);
    return json.toString();
  }
}
