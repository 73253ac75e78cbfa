package com.datadog.pipeline;

// Made by `scripts/face_numbers.py` from src/face/numbers.txt. Change the list, not this file.

/** Where each number stands in the arrays that the native side gives. */
final class Numbers {
  private Numbers() {}

  static final int ACCOUNT_PAYLOADS = 0;
  static final int ACCOUNT_RECEIVED = 1;
  static final int ACCOUNT_SENT = 4;
  static final int ACCOUNT_FILTERED = 7;
  static final int ACCOUNT_SAMPLED_OUT = 10;
  static final int ACCOUNT_QUEUED = 13;
  static final int ACCOUNT_POSSIBLY_DUPLICATED = 16;
  static final int ACCOUNT_REPAIRED = 17;
  static final int ACCOUNT_REQUESTS = 18;
  static final int ACCOUNT_BODY_BYTES = 19;
  static final int ACCOUNT_LOST_IN_CONVERSION = 20;
  static final int ACCOUNT_NATIVE_BYTES = 21;
  static final int ACCOUNT_POSSIBLY_ARRIVED = 22;
  static final int ACCOUNT_UNREAD_PAYLOADS = 23;
  static final int ACCOUNT_UNREAD_TRACES = 24;
  static final int ACCOUNT_UNREAD_BYTES = 25;
  static final int ACCOUNT_SPOOLED = 26;
  static final int ACCOUNT_QUEUE_PAYLOADS = 29;
  static final int ACCOUNT_QUEUE_BYTES = 30;
  static final int ACCOUNT_QUEUE_OLDEST_MILLIS = 31;
  static final int ACCOUNT_QUEUE_REFUSED = 32;
  static final int ACCOUNT_QUEUE_EVICTED = 33;
  static final int ACCOUNT_SENDERS = 34;
  static final int ACCOUNT_WIRE_BYTES = 35;
  static final int ACCOUNT_QUEUE_PACE_MILLIS = 36;
  static final int ACCOUNT_DROPPED = 37;

  static final int FLUSH_COMPLETE = 0;
  static final int FLUSH_SENT = 1;
  static final int FLUSH_PENDING = 4;
  static final int FLUSH_LEFT_OUT = 7;
  static final int FLUSH_DROPPED = 10;

  static final int LEFT_OUT_FILTERED = 0;
  static final int LEFT_OUT_SAMPLED_OUT = 3;
  static final int LEFT_OUT_MALFORMED = 6;
  static final int LEFT_OUT_INVALID = 9;
  static final int LEFT_OUT_REPAIRED = 12;

  /** The changes of normalization, in the order of their numbers. */
  static final String[] CHANGES = {
    "duplicate_span_id",
    "service_empty",
    "service_truncate",
    "service_invalid",
    "peer_service_truncate",
    "peer_service_invalid",
    "base_service_truncate",
    "base_service_invalid",
    "span_name_empty",
    "span_name_truncate",
    "span_name_invalid",
    "resource_empty",
    "type_truncate",
    "invalid_start_date",
    "invalid_duration",
    "invalid_http_status_code",
  };
}
