package com.datadog.pipeline.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Paths;

/** Payloads from files and standard input. */
final class Input {
  private Input() {}

  /** The content of a file; {@code -} is standard input. */
  static byte[] of(String file) throws IOException {
    return file.equals("-") ? all(System.in) : Files.readAllBytes(Paths.get(file));
  }

  /** Everything up to the end. */
  static byte[] all(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      bytes.write(buffer, 0, n);
    }
    return bytes.toByteArray();
  }
}
