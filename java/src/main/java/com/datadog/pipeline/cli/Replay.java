package com.datadog.pipeline.cli;

import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Words;
import com.datadog.pipeline.internal.plain.UnixSockets;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/** {@code replay}: captured requests once more, byte for byte. Not thread-safe. */
final class Replay {
  private static final int LIMIT_MILLIS = 10_000;
  private static final String KEY = "dd-api-key";
  private static final List<String> FATES =
      Arrays.asList("accepted", "refused", "repeated", "failed", "dry");

  private final Arguments args;
  private final PrintStream out;
  private final Input input;

  /** What options say instead of captured headers, and beside them. */
  private final List<Captured.Header> own = new ArrayList<>();

  private final Set<String> missing = new HashSet<>();
  private final int[] requests = new int[4];
  private final long[] bytes = new long[4];
  private boolean away;
  private int unsent;

  /** Where a request is counted. */
  private static final int ACCEPTED = 0;

  private static final int REFUSED = 1;
  private static final int FAILED = 2;
  private static final int LEFT_OUT = 3;

  Replay(Arguments args, PrintStream out, PrintStream err) throws Arguments.Bad {
    this.args = args;
    this.out = out;
    this.input = new Input(args, err);
  }

  int run() throws Arguments.Bad {
    String only = args.get("--only");
    if (only != null && !FATES.contains(only)) {
      throw new Arguments.Bad(
          "--only is " + only + "; it must be one of " + String.join(", ", FATES));
    }
    for (String header : args.all("--header")) {
      own.add(header(header));
    }
    if (key() != null && !key().matches("[!-~]+")) {
      throw new Arguments.Bad(
          "the API key has characters that no key has: --api-key or DD_API_KEY");
    }
    int limit = args.number("--budget-ms", LIMIT_MILLIS, 1, 600_000);
    try (Post post = post(limit)) {
      input.each(files(), (name, content) -> one(post, only, name, content));
    }
    if (unsent > 0) {
      input.failed("nobody is there; " + Words.count(unsent, "request") + " not sent");
    }
    String[] words = {"accepted", "refused", "failed", "left out"};
    for (int i = 0; i < words.length; i++) {
      out.printf(
          Locale.ROOT,
          "%-9s %s, %s%n",
          words[i],
          Words.count(requests[i], "request"),
          Words.count(bytes[i], "byte"));
    }
    boolean all = requests[ACCEPTED] > 0 && requests[REFUSED] + requests[FAILED] == 0;
    if (requests[ACCEPTED] + requests[REFUSED] + requests[FAILED] == 0 && input.failures() == 0) {
      input.failed("there was nothing to send");
    }
    return all && input.failures() == 0 ? 0 : 1;
  }

  private static Captured.Header header(String text) throws Arguments.Bad {
    int colon = text.indexOf(':');
    String name = colon < 0 ? "" : text.substring(0, colon).trim();
    String value = text.substring(colon + 1).trim();
    if (!name.matches("[!#$%&'*+.^_`|~0-9A-Za-z-]+")) {
      // Without its text: that may be a key.
      throw new Arguments.Bad("--header must be \"NAME: VALUE\"");
    }
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c < ' ' && c != '\t' || c == 127 || c > 255) {
        throw new Arguments.Bad("--header " + name + " has characters that no header may have");
      }
    }
    if (name.equalsIgnoreCase("content-length") || name.equalsIgnoreCase("transfer-encoding")) {
      throw new Arguments.Bad("--header " + name + ": the body says how long it is");
    }
    return new Captured.Header(name, value);
  }

  private Post post(int limit) throws Arguments.Bad {
    String url = args.url();
    String fault = AgentUrl.fault(url);
    if (fault != null) {
      throw new Arguments.Bad("url is \"" + AgentUrl.shown(url) + "\"; " + fault);
    }
    if (url.startsWith("windows:")) {
      throw new Arguments.Bad("url: replay does not write to named pipes");
    }
    if (url.startsWith("unix://") && !UnixSockets.available()) {
      throw new Arguments.Bad("url: replay over a Unix socket needs Java 16 or later");
    }
    Target.pair(args);
    boolean secure = url.toLowerCase(Locale.ROOT).startsWith("https://");
    return new Post(url, secure ? Tls.of(args) : null, limit);
  }

  /** The files that are named, and those in directories that are, in the order of their names. */
  private List<String> files() throws Arguments.Bad {
    List<String> files = new ArrayList<>();
    for (String name : args.someFiles()) {
      List<String> inside = new ArrayList<>();
      try {
        Path path = Paths.get(name);
        if (name.equals("-") || !Files.isDirectory(path)) {
          files.add(name);
          continue;
        }
        try (DirectoryStream<Path> all = Files.newDirectoryStream(path, "*.capture")) {
          all.forEach(file -> inside.add(file.toString()));
        }
      } catch (IOException | InvalidPathException e) {
        input.failed(name + ": " + Input.why(e));
      }
      Collections.sort(inside);
      files.addAll(inside);
    }
    return files;
  }

  private void one(Post post, String only, String name, byte[] content) {
    Captured captured;
    try {
      captured = Captured.read(content);
    } catch (Captured.Bad e) {
      input.failed(name + ": " + e.getMessage());
      return;
    }
    boolean wanted =
        only == null ? !captured.fate().equals("repeated") : only.equals(captured.fate());
    if (!wanted || captured.method.equals("GET") || captured.method.equals("WRITE")) {
      count(LEFT_OUT, captured);
      return;
    }
    if (away) {
      unsent++;
      return;
    }
    long start = System.nanoTime();
    String what =
        captured.method
            + " "
            + target(post, captured)
            + ", "
            + Words.count(captured.body.length, "byte");
    try {
      Post.Answer answer = post.send(head(post, name, captured), captured.body);
      boolean accepted = answer.status >= 200 && answer.status < 300;
      count(accepted ? ACCEPTED : REFUSED, captured);
      String said = Captured.printable(answer.body, 200);
      out.printf(
          Locale.ROOT,
          "%s: %s, status %d, %.1f ms%s%n",
          name,
          what,
          answer.status,
          (System.nanoTime() - start) / 1e6,
          accepted || said.isEmpty() ? "" : ": " + said);
    } catch (IOException e) {
      away = e instanceof Post.Away;
      count(FAILED, captured);
      input.failed(name + ": " + what + ": " + Input.why(e));
    }
  }

  private void count(int where, Captured captured) {
    requests[where]++;
    bytes[where] += captured.body.length;
  }

  /** The path behind that of the address, unless the address has it already. */
  private static String target(Post post, Captured captured) {
    String path = captured.path;
    return post.prefix.endsWith(path)
        ? (post.prefix.isEmpty() ? "/" : post.prefix)
        : post.prefix + path;
  }

  /**
   * The captured head toward another peer, with what options say in the place of masked headers.
   */
  private byte[] head(Post post, String name, Captured captured) {
    StringBuilder head = new StringBuilder();
    head.append(captured.method).append(' ').append(target(post, captured)).append(" HTTP/1.1\r\n");
    Set<String> done = new HashSet<>();
    for (Captured.Header header : captured.headers) {
      String lower = header.name.toLowerCase(Locale.ROOT);
      List<Captured.Header> instead = given(lower);
      if (!instead.isEmpty()) {
        if (done.add(lower)) {
          instead.forEach(it -> append(head, it.name, it.value));
        }
      } else if (lower.equals("host")) {
        append(head, header.name, post.authority);
      } else if (!captured.masked.contains(lower)) {
        append(head, header.name, header.value);
      } else if (lower.equals(KEY) && key() != null) {
        append(head, header.name, key());
      } else if (missing.add(lower)) {
        String option = lower.equals(KEY) ? "--api-key" : "--header";
        input.note(name + ": " + header.name + " is masked and left out (" + option + ")");
      }
    }
    for (Captured.Header header : own) {
      if (!done.contains(header.name.toLowerCase(Locale.ROOT))) {
        append(head, header.name, header.value);
      }
    }
    return head.append("\r\n").toString().getBytes(StandardCharsets.ISO_8859_1);
  }

  private List<Captured.Header> given(String lower) {
    List<Captured.Header> found = new ArrayList<>();
    for (Captured.Header header : own) {
      if (header.name.equalsIgnoreCase(lower)) {
        found.add(header);
      }
    }
    return found;
  }

  private String key() {
    String key = args.has("--api-key") ? args.get("--api-key") : System.getenv("DD_API_KEY");
    return key == null || key.isEmpty() ? null : key;
  }

  private static void append(StringBuilder head, String name, String value) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
}
