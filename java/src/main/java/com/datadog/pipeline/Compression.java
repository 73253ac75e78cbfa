package com.datadog.pipeline;

/** How bodies are compressed. */
public enum Compression {
  /** Not at all. */
  NONE,
  /** gzip, level 1. */
  GZIP,
  /** Zstandard, level 1. */
  ZSTD
}
