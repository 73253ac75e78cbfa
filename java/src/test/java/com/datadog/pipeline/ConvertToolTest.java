package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The tool's {@code convert}, through the JAR. */
class ConvertToolTest {
  private static final File TRACES = new File(System.getProperty("fixtures"), "traces");
  private static final String GO_1 = new File(TRACES, "go/001.msgpack").getPath();

  @TempDir Path folder;

  /**
   * Three traces of one span, each with the tag {@code k}, a resource and a sampling priority:
   * {@code k:a GET 1}, {@code k:b POST 0}, {@code j:a GET 0}.
   */
  private static byte[] threeTraces() {
    String text = "\u0093" + trace('k', 'a', "GET", 1);
    text += trace('k', 'b', "POST", 0) + trace('j', 'a', "GET", 0);
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static String trace(char key, char value, String resource, int priority) {
    return "\u0091\u0087"
        + "\u00a8trace_id\u0007\u00a7span_id\u0008\u00a7service\u00a1s\u00a4name\u00a1n"
        + ("\u00a8resource" + (char) (0xa0 + resource.length()) + resource)
        + ("\u00a4meta\u0081\u00a1" + key + "\u00a1" + value)
        + ("\u00a7metrics\u0081\u00b5_sampling_priority_v1" + (char) priority);
  }

  private String file(String name, byte[] content) throws IOException {
    return Files.write(folder.resolve(name), content).toString();
  }

  private String target(String name) {
    return folder.resolve(name).toString();
  }

  private static String shown(String file) {
    return ToolTest.tool("show", "--json", file).out;
  }

  /** Converts, expects success, and gives the line that says so. */
  private static String convert(String... args) {
    List<String> all = new ArrayList<>(Collections.singletonList("convert"));
    all.addAll(Arrays.asList(args));
    ChildJvm.Outcome o = ToolTest.tool(all.toArray(new String[0]));
    assertEquals(0, o.exit, o.toString());
    assertEquals("", o.out);
    assertEquals(1, o.err.split("\\R").length, o.err);
    return o.err;
  }

  @Test
  void everyFormatBecomesEveryOtherAndBack() {
    String[] formats = {"v0.4", "v0.5", "v1"};
    String[] sources = {GO_1, target("0"), target("1")};
    convert("--to", "v0.5", GO_1, "-o", sources[1]);
    convert("--to", "v1", GO_1, "-o", sources[2]);
    String want = shown(GO_1);
    for (int from = 0; from < 3; from++) {
      for (int to = 0; to < 3; to++) {
        String file = target(from + "-" + to);
        String line = convert("--to", formats[to], sources[from], "-o", file);
        assertTrue(
            line.startsWith(sources[from] + ": to " + formats[to] + " from " + formats[from]),
            line);
        String named = target("named");
        convert("--from", formats[from], "--to=" + formats[to], sources[from], "-o", named);
        assertArrayEquals(read(file), read(named));
        String back = target("back");
        convert("--to", "v0.4", file, "-o", back);
        // v1 does not tell whether a number was an integer, and adds what it says of the chunk.
        int spans = want.split("\n").length;
        assertEquals(spans, shown(back).split("\n").length, file);
        if (from == 0 && to == 0) {
          assertArrayEquals(read(GO_1), read(file));
        }
      }
    }
    assertEquals(0x92, read(sources[1])[0] & 0xff);
    assertEquals(0x80, read(sources[2])[0] & 0xf0);
  }

  private static byte[] read(String file) {
    try {
      return Files.readAllBytes(new File(file).toPath());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void rulesDecideWhichTracesAreLeft() throws IOException {
    String in = file("three", threeTraces());
    String[][] cases = {
      {"a b a"},
      {"a b", "require:k"},
      {"b", "require:k:b"},
      {"a", "reject:k"},
      {"b a", "reject:k:a"},
      {"a b", "require~:k:^[ab]$"},
      {"b a", "reject~:k:^a"},
      {"b", "ignore:^GET$"},
      {"a", "ignore:^POST", "require:k"},
      {"", "require:k:a", "require:k:b"},
    };
    for (String[] c : cases) {
      List<String> args = new ArrayList<>(Arrays.asList("--to", "v0.4", in, "-o", target("out")));
      for (String rule : Arrays.copyOfRange(c, 1, c.length)) {
        args.addAll(Arrays.asList("--filter", rule));
      }
      String line = convert(args.toArray(new String[0]));
      StringBuilder left = new StringBuilder();
      for (String span : shown(target("out")).split("\n")) {
        if (!span.isEmpty()) {
          left.append(left.length() == 0 ? "" : " ").append(span.contains("\":\"a\"") ? "a" : "b");
        }
      }
      assertEquals(c[0], left.toString(), Arrays.toString(c) + line);
      int filtered = 3 - (left.length() + 1) / 2;
      assertEquals(
          filtered > 0,
          line.contains(", " + filtered + (filtered == 1 ? " trace filtered" : " traces filtered")),
          line);
    }
  }

  @Test
  void topLevelAndDroppingAreOptions() throws IOException {
    String in = file("three", threeTraces());
    convert("--to", "v0.4", in, "-o", target("plain"));
    assertArrayEquals(threeTraces(), read(target("plain")));
    String line = convert("--to", "v0.4", "--top-level", in, "-o", target("marked"));
    assertTrue(line.contains("made 3 traces, 3 spans"), line);
    assertEquals(4, shown(target("marked")).split("\"_top_level\":1").length);
    line = convert("--to", "v1", "--drop-p0", in, "-o", target("kept"));
    assertTrue(
        line.contains("3 traces, 3 spans, " + threeTraces().length + " bytes; made 1"), line);
    assertTrue(line.contains(", 2 traces sampled out"), line);
    assertEquals(1, shown(target("kept")).split("\n").length);
  }

  @Test
  void standardInputAndOutputAreDashes() throws Exception {
    InputStream before = System.in;
    try {
      System.setIn(new ByteArrayInputStream(threeTraces()));
      convert("--to", "v0.4", "-", "-o", target("copy"));
    } finally {
      System.setIn(before);
    }
    assertArrayEquals(threeTraces(), read(target("copy")));
    Process p =
        new ProcessBuilder(
                Arrays.asList(
                    new File(System.getProperty("java.home"), "bin/java").getPath(),
                    "-jar",
                    Jars.JAR.getPath(),
                    "convert",
                    "--to",
                    "v1",
                    GO_1,
                    "-o",
                    "-"))
            .redirectError(folder.resolve("err").toFile())
            .redirectOutput(folder.resolve("out").toFile())
            .start();
    assertEquals(0, p.waitFor());
    convert("--to", "v1", GO_1, "-o", target("file"));
    assertArrayEquals(read(target("file")), read(target("out")));
  }

  @Test
  void badInputIsNamedWithItsPlaceAndWhatIsGoodIsWritten() throws IOException {
    byte[] cut = Arrays.copyOf(threeTraces(), threeTraces().length - 5);
    ChildJvm.Outcome o =
        ToolTest.tool("convert", "--to", "v0.4", file("cut", cut), "-o", target("out"));
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.contains("made 2 traces, 2 spans"), o.err);
    assertTrue(o.err.contains(", 1 trace malformed; first fault: "), o.err);
    assertTrue(o.err.contains("trace 2"), o.err);
    assertEquals(1, o.err.split("\\R").length, o.err);
    assertEquals(2, shown(target("out")).split("\n").length);

    String text = file("text", "no payload".getBytes(StandardCharsets.UTF_8));
    o = ToolTest.tool("convert", "--to", "v1", text, "-o", target("none"));
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.startsWith(text + ": MALFORMED_PAYLOAD: "), o.err);
    assertFalse(new File(target("none")).exists());

    o = ToolTest.tool("convert", "--to", "v1", target("missing"), "-o", target("none"));
    assertEquals(1, o.exit, o.toString());
    assertTrue(o.err.startsWith(target("missing") + ": there is no such file"), o.err);
    o = ToolTest.tool("convert", "--to", "v1", GO_1, "-o", target("no/such/folder"));
    assertEquals(1, o.exit, o.toString());
  }

  @Test
  void badArgumentsAreExitTwo() {
    String[][] cases = {
      {"convert needs --to v0.4, v0.5, v1, otlp-proto", GO_1, "-o", "x"},
      {"convert needs --to v0.4, v0.5, v1, otlp-proto", "--to", "v0.3", GO_1, "-o", "x"},
      {"convert needs --to v0.4, v0.5, v1, otlp-proto", "--to", "auto", GO_1, "-o", "x"},
      {"--from is v2; it must be auto, v0.4, v0.5 or v1", "--from=v2", "--to=v1", GO_1, "-o", "x"},
      {"convert takes one FILE, and -o OUT", "--to", "v1", GO_1},
      {"convert takes one FILE, and -o OUT", "--to", "v1", GO_1, GO_1, "-o", "x"},
      {"no file was named", "--to", "v1", "-o", "x"},
      {"there is no option -o", "--to", "v1", GO_1, "-o"},
      {"there is no option --drop", "--drop", GO_1, "-o", "x"},
      {"the rule \"keep:a\" is none of ", "--to=v1", "--filter", "keep:a", GO_1, "-o", "x"},
      {"the rule \"require\" is none of ", "--to=v1", "--filter", "require", GO_1, "-o", "x"},
      {"INVALID_CONFIGURATION: ", "--to=v1", "--filter", "require~:a:(", GO_1, "-o", "x"},
      {"INVALID_CONFIGURATION: ", "--to=v1", "--filter", "ignore:(", GO_1, "-o", "x"},
    };
    for (String[] c : cases) {
      String[] args = c.clone();
      args[0] = "convert";
      ChildJvm.Outcome o = ToolTest.tool(args);
      assertEquals(2, o.exit, Arrays.toString(c) + o);
      assertTrue(o.err.startsWith(c[0]), Arrays.toString(c) + o);
      assertTrue(
          o.err.trim().endsWith("data-pipeline.jar convert --help` shows what there is"),
          o.toString());
      assertFalse(new File("x").exists());
    }
  }

  @Test
  void theSameIsThereForPrograms() throws IOException {
    Converted made =
        Payloads.convert(
            threeTraces(), Payloads.Conversion.to(OutputFormat.V05).rejectTag("j").dropP0());
    assertEquals("v0.4", made.from());
    assertEquals(1, made.traces());
    assertEquals(1, made.spans());
    assertEquals(1, made.filtered());
    assertEquals(1, made.sampledOut());
    assertEquals(0, made.malformed() + made.repaired() + made.lostInConversion());
    assertEquals(null, made.firstFault());
    assertEquals(0x92, made.body()[0] & 0xff);
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Payloads.Conversion.to(OutputFormat.AUTO));
    assertTrue(e.getMessage().contains("AUTO"), e.getMessage());
    assertEquals(
        made,
        Payloads.convert(
            threeTraces(), Payloads.Conversion.to(OutputFormat.V05).rejectTag("j").dropP0()));
  }
}
