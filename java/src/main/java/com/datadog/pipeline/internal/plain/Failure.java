package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;

/** Why something did not work, with what the retry rule and the account need. Not thread-safe. */
public final class Failure extends Exception {
  private static final long serialVersionUID = 1;

  /** What kind of error it is. */
  public final ErrorCode code;

  /** The agent's HTTP status; 0 if it did not answer. */
  public int status;

  /** How many requests were made. */
  public int attempts;

  /** Whether the same request may succeed later. */
  public boolean repeats;

  /** Whether the request was written whole and nothing says that it was refused. */
  public boolean possiblyArrived;

  /** Nothing was booked: what was to be sent is tried another way. */
  public boolean kept;

  /** A kept connection turned out dead; nothing was wrong but its age. */
  boolean stale;

  /** How long the agent asks us to stay away, in ms; -1 if it does not. */
  long retryAfterMillis = -1;

  /** The state hash that the agent's answer told, or null. */
  String agentState;

  /** A failure that cannot succeed when it is tried again, until somebody says otherwise. */
  public Failure(ErrorCode code, String message) {
    super(message, null, false, false);
    this.code = code;
  }

  private Failure(Failure of, String message) {
    this(of.code, message);
    status = of.status;
    attempts = of.attempts;
    repeats = of.repeats;
    possiblyArrived = of.possiblyArrived;
  }

  /** The same with more words. */
  public Failure note(String more) {
    return new Failure(this, getMessage() + more);
  }

  static Failure closed() {
    return new Failure(
        ErrorCode.CLOSED, "the exporter was closed before the payload was delivered");
  }
}
