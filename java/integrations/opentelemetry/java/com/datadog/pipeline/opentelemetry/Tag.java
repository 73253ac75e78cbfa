package com.datadog.pipeline.opentelemetry;

/** A name or another text that comes again and again: its number in the payload, and who has it. */
final class Tag {
  final String text;

  /** The payload for which {@link #number} holds. */
  private long payload;

  private int number;

  /** The span whose meta has this name already. */
  long inMeta;

  /** The span whose metrics have this name already. */
  long inMetrics;

  /** The resource that has this name. */
  long inResource;

  Tag(String text) {
    this.text = text;
  }

  int number(StringTable table, long current) {
    if (payload != current) {
      number = table.of(text);
      payload = current;
    }
    return number;
  }
}
