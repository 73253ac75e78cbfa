package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.datadog.pipeline.cli.Main;
import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.testkit.Answer;
import com.datadog.pipeline.testkit.FakeAgent;
import com.datadog.pipeline.testkit.Request;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ToolTest {
  private static final File TRACES = new File(System.getProperty("fixtures"), "traces");
  private static final String JAVA_1 = new File(TRACES, "java/001.msgpack").getPath();
  private static final String GO_1 = new File(TRACES, "go/001.msgpack").getPath();

  @TempDir Path folder;
  private FakeAgent agent;

  @BeforeEach
  void start() throws IOException {
    agent = FakeAgent.start();
  }

  @AfterEach
  void stop() throws IOException {
    agent.close();
  }

  static ChildJvm.Outcome tool(String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code = Main.run(args, print(out), print(err));
    return new ChildJvm.Outcome(code, text(out), text(err));
  }

  private static PrintStream print(ByteArrayOutputStream to) {
    try {
      return new PrintStream(to, true, "UTF-8");
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static String text(ByteArrayOutputStream bytes) {
    return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
  }

  private String file(String name, byte[] content) throws IOException {
    return Files.write(folder.resolve(name), content).toString();
  }

  @Test
  void badArgumentsGetOneSentenceAndTheUsageAndExitTwo() {
    String[][] cases = {
      {"no command was named"},
      {"there is no command fly", "fly"},
      {"there is no option --fast", "send", "--fast", "x"},
      {"there is no option -x", "send", "-x", "x"},
      {"no file was named", "send"},
      {"no file was named", "show", "--json"},
      {"--url needs a value", "doctor", "--url"},
      {"doctor takes no files", "doctor", "x"},
      {"--repeat is many; it must be a number", "send", "--repeat", "many", "x"},
      {"--repeat is 0; it must be 1 to 1000000000", "send", "--repeat=0", "x"},
      {"--threads is 257; it must be 1 to 256", "send", "--threads", "257", "x"},
      {"--budget-ms is 0; it must be 1 to 600000", "send", "--budget-ms", "0", "x"},
      {"--format is v0.3; it must be v0.4, v0.5, v1 or auto", "send", "--format", "v0.3", "x"},
      {
        "--on-malformed is keep; it must be repair, drop or fail",
        "send",
        "--on-malformed=keep",
        "x"
      },
      {
        "--on-malformed is FAIL; it must be repair, drop or fail",
        "show",
        "--on-malformed=FAIL",
        "x"
      },
      {"version takes no files", "version", "x"},
      {"obfuscate needs --type", "obfuscate", "x"},
      {"url is \"ftp://x\"; the scheme is missing or unknown", "send", "--url", "ftp://x", "x"},
      {"url is \"ftp://x\"; the scheme is missing or unknown", "doctor", "--url", "ftp://x"},
    };
    for (String[] c : cases) {
      ChildJvm.Outcome o = tool(Arrays.copyOfRange(c, 1, c.length));
      assertEquals(2, o.exit, Arrays.toString(c) + o);
      assertTrue(o.err.startsWith(c[0]), o.toString());
      String help = c.length > 1 && !c[1].equals("fly") ? c[1] + " --help" : "help";
      assertTrue(
          o.err.trim().endsWith("data-pipeline.jar " + help + "` shows what there is"),
          o.toString());
      assertEquals(1, o.err.split("\\R").length, o.err);
      assertEquals("", o.out);
    }
  }

  @Test
  void helpAndVersionAreNoErrors() {
    assertTrue(tool("help").out.startsWith("usage:"));
    assertEquals(0, tool("--help").exit);
    assertEquals("0.1.0" + System.lineSeparator(), tool("version").out);
  }

  @Test
  void sendPrintsALineAFileAndTheAccount() throws IOException {
    ChildJvm.Outcome o = tool("send", "--url", agent.url(), JAVA_1, GO_1);
    assertEquals(0, o.exit, o.toString());
    String[] lines = o.out.split("\\R");
    assertTrue(
        lines[0].matches(
            ".*java.001\\.msgpack: \\d+ traces?, \\d+ spans?, \\d+ bytes, status 200, [0-9.]+ ms"),
        o.out);
    assertTrue(lines[1].contains("001.msgpack: "), o.out);
    assertTrue(o.out.contains("received "), o.out);
    List<Request> arrived = agent.traceRequests();
    assertArrayEquals(Files.readAllBytes(new File(JAVA_1).toPath()), arrived.get(0).body());
    assertArrayEquals(Files.readAllBytes(new File(GO_1).toPath()), arrived.get(1).body());
    assertEquals("", o.err);
  }

  @Test
  void aMissingFileOrABadPayloadIsNamedAndTheOthersStillGo() throws IOException {
    String none = folder.resolve("none.msgpack").toString();
    String bad = file("bad.msgpack", new byte[] {(byte) 0x91, (byte) 0x91, 5});
    ChildJvm.Outcome o = tool("send", "--url", agent.url(), none, bad, JAVA_1);
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.contains(none + ": there is no such file"), o.err);
    assertTrue(o.err.contains(bad + ": MALFORMED_PAYLOAD: "), o.err);
    assertTrue(o.err.contains("trace 0, span 0"), o.err);
    assertEquals(1, agent.traceRequests().size());
    assertTrue(o.out.contains(JAVA_1 + ": "), o.out);
  }

  /** A trace that is well, and one whose error is a float: refused by agents, mended by REPAIR. */
  private static byte[] floatError() {
    String ids = "\u00a7span_id\u0008\u00a8trace_id\u0007";
    String text = "\u0092\u0091\u0082" + ids + "\u0091\u0083" + ids + "\u00a5error\u00cb?\u00f0";
    return (text + "\0\0\0\0\0\0").getBytes(StandardCharsets.ISO_8859_1);
  }

  @Test
  void sendShowAndStatsRepairAsTheLibraryDoesUnlessToldOtherwise() throws IOException {
    String odd = file("odd.msgpack", floatError());
    String repaired = odd + ": 1 value repaired; first fault: trace 1, span 0, error";
    String[][] commands = {
      {"send", "--url", agent.url()}, {"show"}, {"show", "--json"}, {"stats"}, {"stats", "--now"}
    };
    for (String[] command : commands) {
      ChildJvm.Outcome o = tool(with(command, odd, JAVA_1));
      assertEquals(0, o.exit, Arrays.toString(command) + o);
      assertTrue(o.err.startsWith(repaired), Arrays.toString(command) + o);
      o = tool(with(command, "--on-malformed=drop", odd, JAVA_1));
      assertEquals(1, o.exit, Arrays.toString(command) + o);
      assertTrue(o.err.startsWith(odd + ": 1 trace malformed; first fault: "), o.err);
      o = tool(with(command, "--on-malformed=fail", odd, JAVA_1));
      assertEquals(1, o.exit, Arrays.toString(command) + o);
      assertTrue(o.err.startsWith(odd + ": MALFORMED_PAYLOAD: "), o.err);
      assertFalse(o.out.isEmpty(), "the good file was not looked at");
    }
  }

  private static String[] with(String[] command, String... more) {
    String[] all = Arrays.copyOf(command, command.length + more.length);
    System.arraycopy(more, 0, all, command.length, more.length);
    return all;
  }

  @Test
  void anAgentThatIsAwayIsNoticedWithinTwoSeconds() throws IOException {
    agent.close();
    long start = System.nanoTime();
    ChildJvm.Outcome o = tool("send", "--url", agent.url(), JAVA_1, GO_1, GO_1);
    long millis = (System.nanoTime() - start) / 1_000_000;
    assertEquals(1, o.exit, o.toString());
    assertTrue(millis < 2000 + Patience.patient(1000), millis + " ms");
    String[] lines = o.err.split("\\R");
    assertEquals(2, lines.length, o.err);
    assertTrue(lines[0].startsWith(JAVA_1 + ": CONNECTION_REFUSED: "), o.err);
    assertEquals("the agent is away; 2 files not sent", lines[1]);

    start = System.nanoTime();
    tool("send", "--url", agent.url(), "--budget-ms", "100", JAVA_1);
    millis = (System.nanoTime() - start) / 1_000_000;
    assertTrue(millis < Patience.patient(1500), millis + " ms");
  }

  @Test
  void oneOfAThingIsSaidInTheSingular() {
    String counts = tool("send", "--url", agent.url(), JAVA_1).out;
    assertTrue(counts.contains(": 1 trace, 1 span, "), counts);
    counts = tool("show", JAVA_1).out;
    assertTrue(counts.contains("(1 span)"), counts);
    counts = tool("send", "--url", agent.url(), "--repeat", "2", JAVA_1).out;
    assertTrue(counts.startsWith("2 sends of 1 file on 1 thread in "), counts);
  }

  @Test
  void aDashIsStandardInputForEveryCommandThatReads() throws IOException {
    byte[] payload = Files.readAllBytes(new File(JAVA_1).toPath());
    String[][] commands = {{"send", "--url", agent.url()}, {"show"}, {"stats"}};
    for (String[] command : commands) {
      ChildJvm.Outcome o = fed(payload, with(command, "-"));
      assertEquals(0, o.exit, Arrays.toString(command) + o);
      assertEquals("", o.err);
      o = fed(payload, with(command, "-", "-"));
      assertEquals("standard input: it was named twice, and can be read once", o.err.trim());
    }
    byte[] text = "SELECT 1".getBytes(StandardCharsets.UTF_8);
    String file = file("text", text);
    assertEquals("SELECT ?", fed(text, "obfuscate", "--type", "sql", "-").out.trim());
    assertEquals("SELECT ?", fed(text, "obfuscate", "--type", "sql").out.trim());
    assertEquals("SELECT ?", tool("obfuscate", "--type", "sql", file).out.trim());
  }

  private static ChildJvm.Outcome fed(byte[] input, String... args) {
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream(input));
    try {
      return tool(args);
    } finally {
      System.setIn(before);
    }
  }

  @Test
  void everyCommandHasAUsageOfItsOwn() {
    for (String command :
        new String[] {
          "doctor", "send", "replay", "stats", "show", "convert", "obfuscate", "version", "help"
        }) {
      for (String[] args :
          new String[][] {{command, "--help"}, {command, "x", "--help"}, {"help", command}}) {
        ChildJvm.Outcome o = tool(args);
        assertEquals(0, o.exit, o.toString());
        assertTrue(o.out.startsWith("usage: java -jar data-pipeline.jar " + command), o.out);
        assertEquals(2, o.out.split("data-pipeline\\.jar ", -1).length, o.out);
        assertEquals("", o.err);
      }
      assertTrue(tool("--help").out.contains("\n  " + command), command);
    }
  }

  @Test
  void whateverIsWrongWithAFileIsOneLine() throws IOException {
    String directory = folder.toString();
    String nowhere = folder.resolve("no/such/file").toString();
    String[][] cases = {
      {directory + ": it is a directory", "show", directory},
      {directory + ": it is a directory", "send", "--url", agent.url(), directory},
      {directory + ": it is a directory", "stats", directory},
      {directory + ": it is a directory", "obfuscate", "--type=sql", directory},
      {directory + ": it is a directory", "convert", "--to=v1", directory, "-o", nowhere},
      {directory + ": it is a directory", "convert", "--to=v1", GO_1, "-o", directory},
      {nowhere + ": there is no directory ", "convert", "--to=v1", GO_1, "-o", nowhere},
      {nowhere + ": there is no such file", "show", nowhere},
      {nowhere + ": there is no such file", "obfuscate", "--type=sql", nowhere},
    };
    for (String[] c : cases) {
      ChildJvm.Outcome o = tool(Arrays.copyOfRange(c, 1, c.length));
      assertEquals(1, o.exit, Arrays.toString(c) + o);
      assertTrue(o.err.startsWith(c[0]), Arrays.toString(c) + o);
      assertEquals(1, o.err.split("\\R").length, o.err);
    }
  }

  @Test
  void aFileTooLargeForTheHeapIsOneLineAndTheNextFollows() throws Exception {
    Path large = folder.resolve("large.msgpack");
    try (java.io.RandomAccessFile file = new java.io.RandomAccessFile(large.toFile(), "rw")) {
      file.setLength(200 << 20);
    }
    ChildJvm.Outcome o =
        new ChildJvm().run("-Xmx32m", "-jar", Jars.JAR.getPath(), "show", large.toString(), JAVA_1);
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.contains(large + ": the Java heap is too small for this"), o.toString());
    assertFalse(o.err.contains("\tat "), o.toString());
    assertTrue(o.out.startsWith("trace "), o.toString());
  }

  @Test
  void aRefusedPayloadIsExitOneAndStandsInTheAccount() {
    agent.answer(r -> Answer.json(400, "no"));
    ChildJvm.Outcome o = tool("send", "--url", agent.url(), JAVA_1);
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.contains(JAVA_1 + ": HTTP_STATUS: "), o.err);
    assertTrue(o.out.contains("REFUSED"), o.out);
  }

  @Test
  void loadSharesTheRoundsAmongTheThreads() {
    ChildJvm.Outcome o =
        tool("send", "--url", agent.url(), "--repeat", "5", "--threads=3", JAVA_1, GO_1);
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.startsWith("10 sends of 2 files on 3 threads in "), o.out);
    assertEquals(10, agent.traceRequests().size());
  }

  @Test
  void formatsGoToTheirEndpoints() {
    String[][] cases = {
      {"v0.4", "/v0.4/traces"},
      {"v0.5", "/v0.5/traces"},
      {"v1", "/v1.0/traces"},
      {"auto", "/v1.0/traces"}
    };
    for (String[] c : cases) {
      ChildJvm.Outcome o = tool("send", "--url", agent.url(), "--format", c[0], JAVA_1);
      assertEquals(0, o.exit, o.toString());
      List<Request> arrived = agent.traceRequests();
      assertEquals(c[1], arrived.get(arrived.size() - 1).path());
    }
  }

  @Test
  void aChoiceThatCannotBeMadeIsSaid() {
    agent.info(r -> Answer.json(500, "not now"));
    ChildJvm.Outcome o = tool("send", "--url", agent.url(), "--format", "auto", JAVA_1);
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.err.startsWith("going on without the agent's /info, as v0.4: "), o.err);
    assertEquals("/v0.4/traces", agent.traceRequests().get(0).path());
  }

  @Test
  void theAccountHasReasonsAndTheLimitOfTheCaller() {
    String big = new File(TRACES, "java/006.msgpack").getPath();
    ChildJvm.Outcome o =
        tool("send", "--url", agent.url(), "--max-bytes", "1024", "--budget-ms", "900", big);
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.out.matches("(?s).*  PAYLOAD_TOO_LARGE +[1-9]\\d* traces, .*"), o.out);
    assertTrue(o.err.contains("maxRequestBytes"), o.err);
  }

  @Test
  void doctorPrintsWhatExplainsTheExporter() {
    ChildJvm.Outcome o = tool("doctor", "--verbose", "--url", agent.url());
    assertTrue(o.out.contains("explain.configuration.url"), o.out);
    assertTrue(o.out.contains(agent.url() + " (set)"), o.out);
    assertTrue(o.out.contains("explain.format.why"), o.out);
  }

  @Test
  void showPrintsATree() throws IOException {
    ChildJvm.Outcome o = tool("show", JAVA_1);
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.matches("(?s)trace \\d+ \\(\\d+ spans?\\)\\R.* m?u?s.*"), o.out);
    assertEquals("", o.err);
  }

  @Test
  void showJsonIsOneObjectASpan() {
    ChildJvm.Outcome o = tool("show", "--json", new File(TRACES, "java/006.msgpack").getPath());
    assertEquals(0, o.exit, o.toString());
    String[] lines = o.out.split("\n");
    assertTrue(lines.length > 1, o.out);
    for (String line : lines) {
      Map<?, ?> span = (Map<?, ?>) Json.parse(line);
      for (String key :
          new String[] {
            "trace", "service", "name", "resource", "trace_id", "span_id", "duration"
          }) {
        assertTrue(span.containsKey(key), key + " in " + line);
      }
    }
  }

  @Test
  void showNamesWhatItCannotReadAndShowsTheRest() throws IOException {
    String bad = file("bad.msgpack", new byte[] {(byte) 0x91, (byte) 0x91, 5});
    String none = folder.resolve("none").toString();
    ChildJvm.Outcome o = tool("show", bad, none, JAVA_1);
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.contains(bad + ": MALFORMED_PAYLOAD"), o.err);
    assertTrue(o.err.contains(none + ": there is no such file"), o.err);
    assertTrue(o.out.startsWith("trace "), o.out);
  }

  @Test
  void doctorSaysThatTracesWouldArrive() {
    ChildJvm.Outcome o = tool("doctor", "--url", agent.url(), "--send", "--verbose");
    assertEquals(0, o.exit, o.toString());
    for (String word :
        new String[] {"library.sha256", "library.source", "libc", "jvm_flags", "send.status"}) {
      assertTrue(o.out.contains(word), word + " in " + o.out);
    }
    assertTrue(o.out.startsWith("traces would arrive"), o.out);
    assertEquals(1, agent.traceRequests().size());
    assertEquals("1", agent.traceRequests().get(0).header("X-Datadog-Trace-Count"));
  }

  @Test
  void doctorSaysWhatIsWrongAndWhichKnobHelps() throws IOException {
    agent.close();
    ChildJvm.Outcome o = tool("doctor", "--url", agent.url());
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.out.contains("PROBLEM: "), o.out);
    assertTrue(o.out.contains("`url`"), o.out);
    assertTrue(o.out.startsWith("traces would not arrive"), o.out);
    o = tool("doctor", "--url", "unix://" + folder.resolve("no.sock"), "--json");
    Map<?, ?> facts = (Map<?, ?>) Json.parse(o.out.trim());
    assertEquals(false, facts.get("ok"));
    assertEquals(1, o.exit);
    String problems = facts.get("problems").toString();
    assertTrue(problems.contains("SOCKET_MISSING") && problems.contains("no.sock"), problems);
  }

  @Test
  void doctorJsonHasTheFactsByName() {
    ChildJvm.Outcome o = tool("doctor", "--url", agent.url(), "--json", "--send");
    assertEquals(0, o.exit, o.toString());
    Map<?, ?> facts = (Map<?, ?>) Json.parse(o.out.trim());
    assertEquals(true, facts.get("ok"));
    assertEquals("0.1.0", facts.get("version"));
    assertEquals(agent.url(), facts.get("url"));
    if (System.getProperty("os.name").equals("Linux")) {
      String libc = facts.get("libc").toString();
      assertTrue(libc.matches("glibc \\d+\\.\\d+|musl"), libc);
      assertEquals("glibc 2.17 or musl", facts.get("libc_needed"));
    }
    assertEquals("7.70.0", ((Map<?, ?>) facts.get("agent_info")).get("version"));
    assertEquals(200L, ((Map<?, ?>) facts.get("send")).get("status"));
    for (String key : new String[] {"version", "platform", "source", "sha256", "load_micros"}) {
      assertTrue(((Map<?, ?>) facts.get("library")).containsKey(key), key);
    }
  }

  @Test
  void doctorWorksWithTheBaseModuleAlone() throws Exception {
    assumeTrue(ChildJvm.feature() >= 9, "Java 8 has no modules");
    ChildJvm.Outcome o =
        new ChildJvm()
            .run(
                "--limit-modules",
                "java.base",
                "-jar",
                Jars.JAR.getPath(),
                "doctor",
                "--verbose",
                "--url",
                agent.url());
    assertEquals(0, o.exit, o.toString());
    assertTrue(o.out.contains("this runtime has no java.management"), o.toString());
  }

  @Test
  void anAgentWithoutInfoTakesTracesAllTheSame() {
    agent.info(r -> Answer.json(404, "not here"));
    ChildJvm.Outcome o = tool("doctor", "--url", agent.url(), "--send");
    assertEquals(0, o.exit, o.toString());
  }

  @Test
  void theJarRunsByItselfReadsTheEnvironmentAndPrintsNothingElse() throws Exception {
    ChildJvm.Outcome o =
        new ChildJvm()
            .environment("DD_TRACE_AGENT_URL", agent.url())
            .run("-Xcheck:jni", "-jar", Jars.JAR.getPath(), "send", JAVA_1);
    assertEquals(0, o.exit, o.toString());
    assertEquals(1, agent.traceRequests().size());
    if (ChildJvm.feature() > 8) {
      // Java 8 warns of its own natives.
      assertEquals("", o.err);
    }
    assertFalse(o.out.contains("WARNING: JNI") && o.out.contains("data_pipeline"), o.out);
    o = new ChildJvm().run("-jar", Jars.JAR.getPath());
    assertEquals(2, o.exit, o.toString());
  }
}
