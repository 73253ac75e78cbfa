package com.datadog.pipeline;

/**
 * Says what went wrong, where, and which setting helps. Immutable and thread-safe.
 *
 * <p>The traces of a send that throws are dropped and counted; sending them again is a new send.
 */
public final class TraceExporterException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final ErrorCode code;
  private final int httpStatus;
  private final int attempts;

  TraceExporterException(ErrorCode code, int httpStatus, int attempts, String message) {
    super(code.name() + ": " + message);
    this.code = code;
    this.httpStatus = httpStatus;
    this.attempts = attempts;
  }

  TraceExporterException(ErrorCode code, String message, Throwable cause) {
    super(code.name() + ": " + message, cause);
    this.code = code;
    this.httpStatus = 0;
    this.attempts = 0;
  }

  /** The same once more, thrown anew: the stack is the caller's. */
  TraceExporterException(TraceExporterException again) {
    super(again.getMessage(), again);
    this.code = again.code;
    this.httpStatus = again.httpStatus;
    this.attempts = again.attempts;
  }

  /** What kind of error this is. */
  public ErrorCode code() {
    return code;
  }

  /** The agent's HTTP status, or 0 if it did not answer. */
  public int httpStatus() {
    return httpStatus;
  }

  /** How many requests were made before giving up. */
  public int attempts() {
    return attempts;
  }
}
