package com.datadog.pipeline;

import com.datadog.pipeline.internal.Json;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** How the agent was doing when it was last spoken to. Immutable and thread-safe. */
public final class AgentState {
  /** The state in one word. Immutable and thread-safe. */
  public enum Condition {
    /** The last thing asked of the agent worked, or nothing was asked yet. */
    READY,
    /** The last thing asked of the agent failed; sends are tried. */
    DEGRADED,
    /** The agent counts as gone; sends fail at once until it is found again. */
    DOWN
  }

  private final Condition condition;
  private final @Nullable Instant lastSuccess;
  private final @Nullable Instant lastErrorTime;
  private final @Nullable TraceExporterException lastError;

  private AgentState(
      Condition condition, Instant lastSuccess, Instant at, TraceExporterException error) {
    this.condition = condition;
    this.lastSuccess = lastSuccess;
    this.lastErrorTime = at;
    this.lastError = error;
  }

  /** Reads what the native side writes. */
  static AgentState read(String json) {
    Map<?, ?> state = (Map<?, ?>) Json.parse(json);
    Map<?, ?> error = (Map<?, ?>) state.get("last_error");
    return new AgentState(
        Condition.valueOf((String) state.get("condition")),
        instant(state.get("last_success")),
        error == null ? null : instant(error.get("at")),
        error == null
            ? null
            : new TraceExporterException(
                ErrorCode.of(((Number) error.get("code")).intValue()),
                error.get("status") == null ? 0 : ((Number) error.get("status")).intValue(),
                0,
                (String) error.get("message")));
  }

  private static @Nullable Instant instant(@Nullable Object millis) {
    return millis == null ? null : Instant.ofEpochMilli(((Number) millis).longValue());
  }

  /** The state in one word. */
  public Condition condition() {
    return condition;
  }

  /** When the agent last accepted something; null if it never has. */
  public @Nullable Instant lastSuccess() {
    return lastSuccess;
  }

  /** What failed last; null if nothing has. Its stack trace is that of the question. */
  public @Nullable TraceExporterException lastError() {
    return lastError;
  }

  /** When that was; null if nothing has failed. */
  public @Nullable Instant lastErrorTime() {
    return lastErrorTime;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    if (!(o instanceof AgentState)) {
      return false;
    }
    AgentState other = (AgentState) o;
    return condition == other.condition
        && Objects.equals(lastSuccess, other.lastSuccess)
        && Objects.equals(lastErrorTime, other.lastErrorTime)
        && Objects.equals(message(), other.message());
  }

  @Override
  public int hashCode() {
    return Objects.hash(condition, lastSuccess, lastErrorTime, message());
  }

  private @Nullable String message() {
    return lastError == null ? null : lastError.getMessage();
  }

  @Override
  public String toString() {
    String error = lastError == null ? "none" : lastErrorTime + " " + lastError.getMessage();
    return condition + ", last success " + lastSuccess + ", last error " + error;
  }
}
