package com.datadog.pipeline;

/** Upper bounds of measured times: what a quiet machine needs, times TEST_SLOWNESS (4). */
final class Patience {
  private Patience() {}

  static long patient(long millis) {
    String factor = System.getenv("TEST_SLOWNESS");
    return millis * (factor == null ? 4 : Math.max(1, Integer.parseInt(factor)));
  }
}
