package com.datadog.pipeline.internal.plain;

/** What the agent answered to traces that it took. Immutable but for what is named so. */
public final class Reply {
  public final int status;
  public final byte[] body;

  /** The last body that had rates, or null. */
  public final byte[] rates;

  public final boolean ratesChanged;
  public final String containerTagsHash;
  public final String agentState;
  public final int attempts;
  public final boolean possiblyDuplicated;

  Reply(
      int status,
      byte[] body,
      byte[] rates,
      boolean ratesChanged,
      String hash,
      String agentState,
      int attempts,
      boolean possiblyDuplicated) {
    this.status = status;
    this.body = body;
    this.rates = rates;
    this.ratesChanged = ratesChanged;
    this.containerTagsHash = hash;
    this.agentState = agentState;
    this.attempts = attempts;
    this.possiblyDuplicated = possiblyDuplicated;
  }
}
