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
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
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
    };
    for (Object[] c : cases) {
      ChildJvm.Outcome o = probe(Jars.JAR.toPath(), (String[]) c[1]);
      assertTrue(o.out.contains("source=" + c[0] + "\n"), o.toString());
    }
  }

  @Test
  void aMissingLibraryListsEveryTryAndTheKnobs() throws Exception {
    refused(
        probe(bare),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "resource META-INF/data-pipeline/",
        "this JAR has no library for",
        "java.library.path: none of its directories has",
        PATH + "FILE",
        DIRECTORY + "DIR",
        TEMP + "DIR");
  }

  /** Whoever names a library wants that one. */
  @Test
  void aPropertyThatNamesNothingIsAnError() throws Exception {
    Path none = folder.resolve("none");
    refused(
        probe(Jars.JAR.toPath(), PATH + none.resolve("x.so"), DIRECTORY + library.getParent()),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "file " + none.resolve("x.so"),
        "there is no file");
    refused(
        probe(Jars.JAR.toPath(), DIRECTORY + none),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "directory " + none + ": no such directory");
    refused(
        probe(Jars.JAR.toPath(), TEMP + none),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "no such directory",
        none.toString());
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
        "it is for linux-",
        "another processor");
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
    refused(
        probe(bare, PATH + cut),
        ErrorCode.LIBRARY_UNAVAILABLE,
        "file " + cut,
        "it is no native library");
  }

  /** Mapped, its missing pages would end the JVM. */
  @Test
  void aLibraryThatIsCutOffIsNotMapped() throws Exception {
    byte[] whole = Files.readAllBytes(library);
    for (int length : new int[] {40, 200, 5_000, whole.length / 2, whole.length - 1}) {
      Path cut = folder.resolve("cut-" + length + ".so");
      Files.write(cut, Arrays.copyOf(whole, length));
      refused(probe(bare, PATH + cut), ErrorCode.LIBRARY_UNAVAILABLE, "it is cut off");
    }
  }

  @Test
  void aLibraryOfAnotherVersionIsRefusedWithBothVersions() throws Exception {
    Path next =
        Jars.copy(
            folder.resolve("next.jar"),
            (name, bytes) ->
                name.contains("/TraceExporter") || name.endsWith("/Library.class")
                    ? Jars.rewriteTexts(bytes, s -> s.replace("0.1.0", "0.9.9"))
                    : bytes);
    refused(
        probe(next),
        ErrorCode.VERSION_MISMATCH,
        "resource META-INF",
        "the library is of version 0.1.0, the JAR is 0.9.9");
    refused(
        probe(next, PATH + library),
        ErrorCode.VERSION_MISMATCH,
        "file " + library,
        "it is of version 0.1.0, the JAR is 0.9.9");
  }

  @Test
  void twoVersionsOnOneClassPathFindEachItsOwn() throws Exception {
    byte[] mark = "data_pipeline_version:0.1.0".getBytes(StandardCharsets.US_ASCII);
    byte[] other = Jars.library();
    int at = indexOf(other, mark);
    assertTrue(at > 0, "the mark");
    other[at + mark.length - 1] = '9';
    CRC32 sum = new CRC32();
    sum.update(other);
    Path vendor =
        Jars.copy(
            folder.resolve("vendor.jar"),
            name -> name.replace("com/datadog/pipeline", "vendor/shaded/dp"),
            (name, bytes) -> {
              if (name.endsWith("module-info.class")) {
                return null;
              }
              if (name.endsWith("native.properties")) {
                String facts = "version=0.1.9\ncrc32=" + Long.toHexString(sum.getValue()) + "\n";
                return facts.getBytes(StandardCharsets.US_ASCII);
              }
              if (Jars.isLibrary(name)) {
                return other;
              }
              return name.endsWith(".class") ? Jars.rewriteTexts(bytes, Relocate::text) : bytes;
            });
    for (String path : new String[] {vendor + ":" + Jars.JAR, Jars.JAR + ":" + vendor}) {
      ChildJvm.Outcome o =
          new ChildJvm()
              .run(
                  "-cp",
                  path.replace(':', File.pathSeparatorChar) + File.pathSeparator + CLASSES,
                  Relocate.class.getName());
      assertEquals(0, o.exit, o.toString());
      assertTrue(o.out.contains("com.datadog.pipeline 0.1.0 null"), o.toString());
      assertTrue(o.out.contains("vendor.shaded.dp 0.1.9 null"), o.toString());
    }
    // The properties keep their names.
    Path none = folder.resolve("none.so");
    ChildJvm.Outcome o =
        new ChildJvm()
            .run(
                PATH + none,
                "-cp",
                Jars.JAR + File.pathSeparator + vendor + File.pathSeparator + CLASSES,
                Relocate.class.getName());
    assertTrue(o.out.matches("(?s).*vendor.shaded.dp 0.1.9 .*there is no file.*"), o.toString());
  }

  /** A program that asks two copies of ours how they are. */
  public static final class Relocate {
    private Relocate() {}

    static String text(String s) {
      String name = s.equals("0.1.0") ? "0.1.9" : s;
      return name.replace("com/datadog/pipeline", "vendor/shaded/dp")
          .replace("com.datadog.pipeline", "vendor.shaded.dp");
    }

    /** Prints a line for each. */
    public static void main(String[] args) throws Exception {
      for (String home : new String[] {"com.datadog.pipeline", "vendor.shaded.dp"}) {
        Class<?> type = Class.forName(home + ".TraceExporter");
        Object version = type.getMethod("version").invoke(null);
        Object cause = type.getMethod("unavailabilityCause").invoke(null);
        System.out.println(home + " " + version + " " + cause);
      }
    }
  }

  private static int indexOf(byte[] in, byte[] what) {
    for (int i = 0; i + what.length <= in.length; i++) {
      int k = 0;
      while (k < what.length && in[i + k] == what[k]) {
        k++;
      }
      if (k == what.length) {
        return i;
      }
    }
    return -1;
  }

  @Test
  void aLibraryThatIsNotOursIsRefused() throws Exception {
    Path foreign = folder.resolve("foreign.so");
    try (Stream<Path> files = Files.walk(Paths.get(System.getProperty("java.home")))) {
      Path zip = files.filter(f -> f.endsWith(System.mapLibraryName("zip"))).findFirst().get();
      Files.copy(zip, foreign);
    }
    refused(
        probe(bare, PATH + foreign), ErrorCode.LIBRARY_UNAVAILABLE, "it is not ours", "foreign.so");
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
    String[] program = {
      TEMP + noexec,
      "-Duser.home=" + noexec,
      "-Djava.io.tmpdir=" + noexec,
      "-Duser.dir=" + noexec,
      "-cp",
      Jars.JAR.getAbsolutePath() + File.pathSeparator + CLASSES,
      Probe.class.getName()
    };
    ChildJvm.Outcome outcome =
        new ChildJvm()
            .environment("XDG_RUNTIME_DIR", "")
            .through(mount)
            .through(noexec.toString())
            .run(program);
    refused(
        outcome,
        ErrorCode.LIBRARY_UNAVAILABLE,
        "allows no execution (noexec)",
        noexec.toString(),
        TEMP.substring(0, TEMP.length() - 1));
    // The next place is tried, and the try is not forgotten.
    program[2] = "-Djava.io.tmpdir=" + folder;
    outcome = new ChildJvm().through(mount).through(noexec.toString()).run(program);
    assertTrue(outcome.out.contains("available=true"), outcome.toString());
    assertTrue(outcome.out.contains("allows no execution (noexec)"), outcome.toString());
  }

  @Test
  void aDirectoryThatCannotBeWrittenToSaysWhyAndTheNextIsTried() throws Exception {
    Path proc = Paths.get("/proc/1");
    assumeTrue(Files.isDirectory(proc), "there is no directory that nobody can write to");
    ChildJvm.Outcome o = probe(Jars.JAR.toPath(), TEMP + proc);
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("by way of " + proc + ": "), o.toString());
  }

  @Test
  void leftOversAreSweptAndKeptCopiesStay() throws Exception {
    Path temp = Files.createDirectories(folder.resolve("sweep"));
    Path old = Files.createDirectories(temp.resolve("data-pipeline-1a2b"));
    Files.write(old.resolve(library.getFileName()), new byte[10]);
    Path young = Files.createDirectories(temp.resolve("data-pipeline-1a2c"));
    Path foreign = Files.createDirectories(temp.resolve("something-else"));
    FileTime yesterday = FileTime.fromMillis(System.currentTimeMillis() - 86_400_000);
    Files.setLastModifiedTime(old, yesterday);
    Files.setLastModifiedTime(foreign, yesterday);
    ChildJvm.Outcome o = probe(Jars.JAR.toPath(), TEMP + temp);
    assertTrue(o.out.contains("available=true"), o.toString());
    assertFalse(Files.exists(old));
    assertTrue(Files.exists(young) && Files.exists(foreign));
    o = probe(Jars.JAR.toPath(), TEMP + temp, "-D" + NativeLibrary.KEEP_PROPERTY + "=true");
    assertTrue(o.out.contains("kept=1"), o.toString());
    try (Stream<Path> left = Files.list(temp)) {
      assertEquals(2, left.count(), "a kept copy goes with its JVM");
    }
  }

  @Test
  void javaLibraryPathIsTheLastPlace() throws Exception {
    String path = "-Djava.library.path=" + folder.resolve("no") + ":" + library.getParent();
    ChildJvm.Outcome o = probe(bare, path.replace(':', File.pathSeparatorChar));
    assertTrue(o.out.contains("source=" + library + "\n"), o.toString());
  }

  @Test
  void aRuntimeOfTheBaseModuleAloneIsEnough() throws Exception {
    assumeTrue(ChildJvm.feature() >= 9, "Java 8 has no modules");
    ChildJvm.Outcome o = probe(Jars.JAR.toPath(), "--limit-modules", "java.base");
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("build=TraceExporter{"), o.toString());
  }

  @Test
  void underASecurityManagerOurOwnRightsCount() throws Exception {
    assumeTrue(ChildJvm.feature() < 18, "this JVM has none");
    Path policy = folder.resolve("policy");
    String grant =
        "grant codeBase \""
            + Jars.JAR.getAbsoluteFile().toURI()
            + "\" { permission java.security.AllPermission; };"
            + "grant { permission java.util.PropertyPermission \"*\", \"read\"; };";
    Files.write(policy, grant.getBytes(StandardCharsets.UTF_8));
    ChildJvm.Outcome o =
        probe(Jars.JAR.toPath(), "-Djava.security.manager", "-Djava.security.policy==" + policy);
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("build=TraceExporter{"), o.toString());
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
  void theBootClassPathWorks() throws Exception {
    ChildJvm.Outcome o =
        new ChildJvm().run("-Xbootclasspath/a:" + Jars.JAR, "-cp", CLASSES, Probe.class.getName());
    assertTrue(o.out.contains("available=true"), o.toString());
    assertTrue(o.out.contains("build=TraceExporter{"), o.toString());
    assertFalse(o.err.contains("Exception"), o.toString());
  }

  /** Then the classes see no resources at all. */
  @Test
  void anAgentThatAppendsTheJarToTheBootClassPathHandsItOver() throws Exception {
    Path agent = folder.resolve("agent.jar");
    Manifest manifest = new Manifest();
    manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
    manifest.getMainAttributes().putValue("Premain-Class", BootAgent.class.getName());
    write(agent, manifest);
    for (String how : new String[] {"hand over", "say nothing", "manifest"}) {
      if (how.equals("manifest")) {
        // The third way: the agent's manifest names the JAR.
        manifest.getMainAttributes().putValue("Boot-Class-Path", Jars.JAR.getAbsolutePath());
        write(agent, manifest);
      }
      String option = "-javaagent:" + agent + "=" + how + "," + Jars.JAR.getAbsolutePath();
      ChildJvm.Outcome o =
          new ChildJvm().run(option, "-cp", agent.toString(), BootAgent.class.getName());
      assertEquals(0, o.exit, o.toString());
      assertTrue(o.out.contains("loader null"), o.toString());
      if (!how.equals("say nothing")) {
        assertTrue(o.out.contains("available true cause null"), o.toString());
      } else {
        assertTrue(o.out.contains("available false"), o.toString());
        assertTrue(o.out.contains("hand it over by TraceExporter.libraryFrom"), o.toString());
        assertFalse(o.out.contains("has no library"), o.toString());
      }
    }
  }

  private static void write(Path agent, Manifest manifest) throws IOException {
    String name = BootAgent.class.getName().replace('.', '/') + ".class";
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(agent), manifest)) {
      out.putNextEntry(new ZipEntry(name));
      out.write(Files.readAllBytes(Paths.get(CLASSES, name)));
      out.closeEntry();
    }
  }

  @Test
  void aJarADirectoryAndAFileCanBeHandedOver() throws Exception {
    Path[] all = {Jars.JAR.toPath(), library.getParent(), library, folder.resolve("none")};
    for (Path from : all) {
      ChildJvm.Outcome o =
          new ChildJvm()
              .run(
                  "-cp",
                  bare + File.pathSeparator + CLASSES,
                  Probe.class.getName(),
                  from.toAbsolutePath().toString());
      assertEquals(0, o.exit, o.toString());
      boolean there = from != all[3];
      assertTrue(o.out.contains("available=" + there), o.toString());
      assertTrue(there || o.out.contains("handed over: " + from + ": no such file"), o.toString());
    }
  }
}
