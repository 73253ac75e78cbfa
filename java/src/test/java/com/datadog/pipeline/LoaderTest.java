package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.internal.NativeLibrary;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each case in a JVM of its own: a library is looked for once. */
class LoaderTest {
  private static final String PATH = "-D" + NativeLibrary.PATH_PROPERTY + "=";
  private static final String DIRECTORY = "-D" + NativeLibrary.DIRECTORY_PROPERTY + "=";
  private static final String TEMP = "-D" + NativeLibrary.TEMP_PROPERTY + "=";
  private static final String CLASSES =
      new File(Probe.class.getProtectionDomain().getCodeSource().getLocation().getPath()).getPath();

  @TempDir static Path folder;
  private static Path bare;
  private static Path library;

  @BeforeAll
  static void prepare() throws IOException {
    bare = Jars.copy(folder.resolve("bare.jar"), (n, b) -> Jars.isLibrary(n) ? null : b);
    Path plain = Files.createDirectories(folder.resolve("plain"));
    library = plain.resolve(System.mapLibraryName("data_pipeline"));
    Files.write(library, Jars.library());
  }

  private static ChildJvm.Outcome probe(Path jar, String... options) throws Exception {
    List<String> arguments = new ArrayList<>();
    Collections.addAll(arguments, options);
    String path = jar + File.pathSeparator + CLASSES;
    Collections.addAll(arguments, "-cp", path, Probe.class.getName());
    ChildJvm.Outcome outcome = new ChildJvm().run(arguments.toArray(new String[0]));
    assertEquals(0, outcome.exit, outcome.toString());
    return outcome;
  }

  private static void refused(ChildJvm.Outcome outcome, ErrorCode code, String... words) {
    String all = outcome.toString();
    assertTrue(outcome.out.contains("available=false"), all);
    assertTrue(outcome.out.contains("cause=" + code), all);
    assertTrue(outcome.out.contains("build=" + code), all);
    for (String word : words) {
      assertTrue(outcome.out.contains(word), word + " in " + all);
    }
  }

  @Test
  void theJarBringsItsOwnLibraryAndLeavesNothingBehind() throws Exception {
    Path temp = Files.createDirectories(folder.resolve("temp"));
    ChildJvm.Outcome o = probe(Jars.JAR.toPath(), TEMP + temp);
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("source=JAR META-INF/data-pipeline/"), o.toString());
    assertTrue(o.out.matches("(?s).*sha256=[0-9a-f]{64}\\n.*"), o.toString());
    assertEquals("", o.err);
    try (Stream<Path> left = Files.list(temp)) {
      assertEquals(0, left.count());
    }
  }

  @Test
  void anExplicitFileWinsOverADirectoryAndThatOverTheJar() throws Exception {
    Path nested =
        Files.createDirectories(
            folder.resolve("nested").resolve(TraceExporter.libraryInfo().get("platform")));
    Path inside = Files.copy(library, nested.resolve(library.getFileName()));
    Object[][] cases = {
      {library, new String[] {PATH + library, DIRECTORY + nested.getParent()}},
      {inside, new String[] {DIRECTORY + nested.getParent()}},
      {library, new String[] {DIRECTORY + library.getParent()}},
      {library, new String[] {PATH + folder.resolve("none"), DIRECTORY + library.getParent()}},
    };
    for (Object[] c : cases) {
      ChildJvm.Outcome o = probe(Jars.JAR.toPath(), (String[]) c[1]);
      assertTrue(o.out.contains("source=" + c[0] + "\n"), o.toString());
    }
  }

  @Test
  void aMissingLibraryListsEveryTryAndTheKnobs() throws Exception {
    Path none = folder.resolve("none");
    refused(
        probe(bare, PATH + none.resolve("x.so"), DIRECTORY + none),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "file " + none.resolve("x.so"),
        "directory " + none,
        "resource META-INF/data-pipeline/",
        "this JAR has no library for",
        PATH + "FILE",
        DIRECTORY + "DIR",
        TEMP + "DIR");
  }

  @Test
  void aPlatformThatTheJarHasNothingForIsNamed() throws Exception {
    refused(
        probe(Jars.JAR.toPath(), "-Dos.arch=riscv64"),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "this JAR has no library for linux-riscv64");
  }

  @Test
  void aLibraryForAnotherProcessorIsSaidToBeOne() throws Exception {
    assumeTrue(library.toString().endsWith(".so"), "the head of an ELF file is patched");
    byte[] bytes = Files.readAllBytes(library);
    // e_machine: AArch64 where x86-64 was, and the other way round.
    bytes[18] = (byte) (bytes[18] == (byte) 0xb7 ? 0x3e : 0xb7);
    Path other = folder.resolve("other.so");
    Files.write(other, bytes);
    refused(
        probe(bare, PATH + other),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "file " + other,
        "for another processor or C library");
  }

  @Test
  void aDamagedLibraryIsNotLoaded() throws Exception {
    Path damaged =
        Jars.copy(
            folder.resolve("damaged.jar"),
            (name, bytes) -> {
              if (Jars.isLibrary(name)) {
                bytes[bytes.length - 1] ^= 1;
              }
              return bytes;
            });
    refused(probe(damaged), ErrorCode.LIBRARY_UNAVAILABLE, "it is damaged: CRC-32", "belongs");
    Path cut = folder.resolve("cut.so");
    Files.write(cut, "no library".getBytes(StandardCharsets.US_ASCII));
    refused(probe(bare, PATH + cut), ErrorCode.LIBRARY_UNAVAILABLE, "file " + cut);
  }

  @Test
  void aLibraryOfAnotherVersionIsRefusedWithBothVersions() throws Exception {
    Path next =
        Jars.copy(
            folder.resolve("next.jar"),
            (name, bytes) ->
                name.endsWith("/TraceExporter.class")
                    ? Jars.rewriteTexts(bytes, s -> s.replace("0.1.0", "0.9.9"))
                    : bytes);
    refused(
        probe(next),
        ErrorCode.VERSION_MISMATCH,
        "the JAR is 0.9.9, the library from JAR META-INF",
        "is 0.1.0");
  }

  @Test
  void aLibraryThatIsNotOursIsRefused() throws Exception {
    Path foreign = folder.resolve("foreign.so");
    try (Stream<Path> files = Files.walk(Paths.get(System.getProperty("java.home")))) {
      Path zip = files.filter(f -> f.endsWith(System.mapLibraryName("zip"))).findFirst().get();
      Files.copy(zip, foreign);
    }
    refused(probe(bare, PATH + foreign), ErrorCode.VERSION_MISMATCH, "is not ours", "foreign.so");
  }

  @Test
  void aPlaceThatIsNotThereIsNamed() throws Exception {
    Path none = folder.resolve("nowhere");
    refused(
        probe(Jars.JAR.toPath(), TEMP + none),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "resource META-INF/data-pipeline/",
        none.toString());
  }

  /** In a name space of its own, where a file system may be mounted with noexec. */
  @Test
  void aPlaceThatAllowsNoExecutionIsNamedWithTheKnob() throws Exception {
    String[] mount = {
      "unshare", "-rm", "sh", "-c", "mount -t tmpfs -o noexec none \"$0\" && exec \"$@\""
    };
    Path noexec = Files.createDirectories(folder.resolve("noexec"));
    assumeTrue(
        runs(mount[0], mount[1], mount[2], mount[3], mount[4], noexec.toString(), "true"),
        "nothing can be mounted here");
    ChildJvm.Outcome outcome =
        new ChildJvm()
            .through(mount)
            .through(noexec.toString())
            .run(
                TEMP + noexec,
                "-cp",
                Jars.JAR + File.pathSeparator + CLASSES,
                Probe.class.getName());
    refused(
        outcome,
        ErrorCode.LIBRARY_UNAVAILABLE,
        "allows no execution (noexec)",
        noexec.toString(),
        TEMP.substring(0, TEMP.length() - 1));
  }

  private static boolean runs(String... command) throws InterruptedException {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      return process.waitFor() == 0;
    } catch (IOException e) {
      return false;
    }
  }

  @Test
  void theBootClassPathOfAnAgentWorks() throws Exception {
    ChildJvm.Outcome o =
        new ChildJvm().run("-Xbootclasspath/a:" + Jars.JAR, "-cp", CLASSES, Probe.class.getName());
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("build=TraceExporter{"), o.toString());
    assertFalse(o.err.contains("Exception"), o.toString());
  }
}
