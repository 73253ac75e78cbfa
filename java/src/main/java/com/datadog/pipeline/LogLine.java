package com.datadog.pipeline;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** One line for a {@link LogListener}. Immutable and thread-safe. */
public final class LogLine {
  /** How serious a line is. Immutable and thread-safe. */
  public enum Severity {
    /** Good news: a trouble is over. */
    INFO,
    /** Something is lost or was changed. */
    WARNING
  }

  private final Instant time;
  private final Severity severity;
  private final String text;

  LogLine(Instant time, Severity severity, String text) {
    this.time = time;
    this.severity = severity;
    this.text = text;
  }

  /** Reads what the native side writes: milliseconds, severity and text with tabs between. */
  static LogLine read(String line) {
    String[] parts = line.split("\t", 3);
    boolean good = parts[1].equals(Severity.INFO.name());
    return new LogLine(
        Instant.ofEpochMilli(Long.parseLong(parts[0])),
        good ? Severity.INFO : Severity.WARNING,
        parts[2]);
  }

  /** When it happened. */
  public Instant time() {
    return time;
  }

  /** How serious it is. */
  public Severity severity() {
    return severity;
  }

  /** What happened, on one line; names the setting that helps. */
  public String text() {
    return text;
  }

  @Override
  public boolean equals(@Nullable Object o) {
    return o instanceof LogLine
        && ((LogLine) o).time.equals(time)
        && ((LogLine) o).severity == severity
        && ((LogLine) o).text.equals(text);
  }

  @Override
  public int hashCode() {
    return (time.hashCode() * 31 + severity.hashCode()) * 31 + text.hashCode();
  }

  @Override
  public String toString() {
    return time + " " + severity + " " + text;
  }
}
