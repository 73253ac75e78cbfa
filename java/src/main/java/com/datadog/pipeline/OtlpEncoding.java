package com.datadog.pipeline;

/** How OTLP requests are written. */
public enum OtlpEncoding {
  /** {@code application/x-protobuf}. */
  PROTOBUF,
  /** {@code application/json}. */
  JSON
}
