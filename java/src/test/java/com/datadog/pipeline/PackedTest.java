package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarInputStream;
import org.junit.jupiter.api.Test;

/** The JAR as a file: the build packs its entries anew, so every kind of reader has to like it. */
class PackedTest {
  @Test
  void aReaderThatGoesThroughItSeesWhatOneThatLooksUpSees() throws IOException {
    Map<String, byte[]> known = Jars.entries();
    List<String> names = new ArrayList<>();
    Set<Long> times = new HashSet<>();
    try (JarInputStream in = new JarInputStream(Files.newInputStream(Jars.JAR.toPath()))) {
      // Found only where it stands first.
      assertNotNull(in.getManifest());
      assertEquals(
          "com.datadog.pipeline.cli.Main",
          in.getManifest().getMainAttributes().getValue("Main-Class"));
      for (JarEntry entry = in.getNextJarEntry(); entry != null; entry = in.getNextJarEntry()) {
        if (!entry.isDirectory()) {
          assertArrayEquals(known.get(entry.getName()), read(in), entry.getName());
          names.add(entry.getName());
          times.add(entry.getTime());
        }
      }
    }
    // The manifest was read before.
    names.add(JarFile.MANIFEST_NAME);
    assertEquals(known.size(), names.size());
    assertEquals(known.keySet(), new HashSet<>(names));
    // The same bytes whenever it is built.
    assertEquals(1, times.size());
  }

  @Test
  void nothingInItIsLargerThanItsContents() throws IOException {
    try (JarFile jar = new JarFile(Jars.JAR)) {
      assertTrue(jar.size() > 100);
      jar.stream().forEach(e -> assertTrue(e.getCompressedSize() <= e.getSize() + 5, e.getName()));
    }
  }

  private static byte[] read(InputStream in) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    byte[] buffer = new byte[1 << 16];
    for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
      bytes.write(buffer, 0, n);
    }
    return bytes.toByteArray();
  }
}
