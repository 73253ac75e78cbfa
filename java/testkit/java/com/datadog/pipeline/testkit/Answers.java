package com.datadog.pipeline.testkit;

/** Decides an answer. */
public interface Answers {
  /** The answer to a request; null closes the connection without one. */
  Answer to(Request request);
}
