package com.datadog.pipeline;

import com.datadog.pipeline.internal.NativeLibrary;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * The native library, loaded when it is first needed, so that {@link TraceExporter#libraryFrom} can
 * be called before. Never throws while it is loaded.
 */
final class Library {
  static final NativeLibrary FOUND = NativeLibrary.load(TraceExporter.VERSION);

  /** Why there is none that can be used; null if there is one. */
  static final TraceExporterException UNAVAILABLE = check();

  private Library() {}

  /** For every native that needs no exporter. */
  static void need() {
    if (UNAVAILABLE != null) {
      throw new TraceExporterException(UNAVAILABLE);
    }
  }

  private static TraceExporterException check() {
    Throwable failure = FOUND.failure();
    try {
      String version = TraceExporter.nativeVersion();
      if (failure != null) {
        FOUND.providedByHost();
      }
      if (TraceExporter.VERSION.equals(version)) {
        return null;
      }
      String message =
          "the JAR is "
              + TraceExporter.VERSION
              + ", the library from "
              + FOUND.source()
              + " is "
              + version;
      return new TraceExporterException(ErrorCode.VERSION_MISMATCH, message, null);
    } catch (LinkageError e) {
      if (failure == null) {
        String message =
            "the library from " + FOUND.source() + " is not ours or of another version";
        return new TraceExporterException(ErrorCode.VERSION_MISMATCH, message, e);
      }
    }
    ErrorCode code =
        FOUND.hasOtherVersion() ? ErrorCode.VERSION_MISMATCH : ErrorCode.LIBRARY_UNAVAILABLE;
    return new TraceExporterException(code, failure.getMessage(), failure);
  }

  static Map<String, String> info() {
    Map<String, String> info = new LinkedHashMap<>();
    info.put("version", TraceExporter.VERSION);
    info.put("platform", FOUND.platform().toString());
    info.put("source", FOUND.source());
    info.put("sha256", FOUND.sha256());
    info.put("load_micros", Long.toString(FOUND.loadMicros()));
    info.put("tries", String.join("; ", FOUND.tries()));
    return Collections.unmodifiableMap(info);
  }
}
