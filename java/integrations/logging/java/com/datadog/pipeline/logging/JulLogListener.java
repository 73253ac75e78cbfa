package com.datadog.pipeline.logging;

import com.datadog.pipeline.LogLine;
import com.datadog.pipeline.LogListener;
import com.datadog.pipeline.TraceExporter;
import java.util.logging.Level;
import java.util.logging.LogRecord;
import java.util.logging.Logger;

/**
 * Writes an exporter's lines to {@code java.util.logging}, as infos and warnings, with the time at
 * which they were true: {@code builder.logListener(new JulLogListener())}. Thread-safe.
 */
public final class JulLogListener implements LogListener {
  // A logger that nobody holds is collected, with the level that was set.
  private final Logger logger;

  /** Writes to the logger that is named after {@link TraceExporter}. */
  public JulLogListener() {
    this(Logger.getLogger(TraceExporter.class.getName()));
  }

  /**
   * Writes to this logger.
   *
   * @throws IllegalArgumentException if it is null
   */
  public JulLogListener(Logger logger) {
    if (logger == null) {
      throw new IllegalArgumentException("logger must not be null");
    }
    this.logger = logger;
  }

  @Override
  public void log(LogLine line) {
    boolean warning = line.severity() == LogLine.Severity.WARNING;
    Level level = warning ? Level.WARNING : Level.INFO;
    if (!logger.isLoggable(level)) {
      return;
    }
    LogRecord record = new LogRecord(level, line.text());
    record.setLoggerName(logger.getName());
    record.setMillis(line.time().toEpochMilli());
    // Else the record looks for its caller on the stack, and finds this class.
    record.setSourceClassName(TraceExporter.class.getName());
    record.setSourceMethodName(null);
    logger.log(record);
  }
}
