package com.datadog.pipeline.logging;

import com.datadog.pipeline.LogLine;
import com.datadog.pipeline.LogListener;
import com.datadog.pipeline.TraceExporter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes an exporter's lines to SLF4J, as infos and warnings: {@code builder.logListener(new
 * Slf4jLogListener())}. Thread-safe.
 */
public final class Slf4jLogListener implements LogListener {
  private final Logger logger;

  /** Writes to the logger that is named after {@link TraceExporter}. */
  public Slf4jLogListener() {
    this(LoggerFactory.getLogger(TraceExporter.class));
  }

  /**
   * Writes to this logger.
   *
   * @throws IllegalArgumentException if it is null
   */
  public Slf4jLogListener(Logger logger) {
    if (logger == null) {
      throw new IllegalArgumentException("logger must not be null");
    }
    this.logger = logger;
  }

  @Override
  public void log(LogLine line) {
    if (line.severity() == LogLine.Severity.WARNING) {
      logger.warn(line.text());
    } else {
      logger.info(line.text());
    }
  }
}
