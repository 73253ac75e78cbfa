package com.datadog.pipeline.cli;

import com.datadog.pipeline.Payloads;
import com.datadog.pipeline.internal.Json;
import com.datadog.pipeline.internal.Words;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** {@code show}: the spans of payload files, as a tree or as JSON. Not thread-safe. */
public final class Show {
  private final Arguments args;
  private final PrintStream out;
  private final PrintStream err;

  Show(Arguments args, PrintStream out, PrintStream err) {
    this.args = args;
    this.out = out;
    this.err = err;
  }

  int run() throws Arguments.Bad {
    Input input = new Input(args, err);
    input.each(args.someFiles(), (name, content) -> show(input, name, content));
    return input.failures() == 0 ? 0 : 1;
  }

  private void show(Input input, String name, byte[] content) {
    if (!Captured.isOne(content)) {
      print(Payloads.show(input.readable(name, content)));
      return;
    }
    Captured captured;
    try {
      captured = Captured.read(content);
    } catch (Captured.Bad e) {
      input.failed(name + ": " + e.getMessage());
      return;
    }
    if (!args.has("--json")) {
      out.println(captured.text());
    }
    if (captured.hasTraces()) {
      print(Payloads.show(input.readable(name, captured.body)));
    }
  }

  private void print(String lines) {
    if (args.has("--json")) {
      out.print(lines);
    } else {
      tree(lines, out);
    }
  }

  /** Prints JSON lines of spans as a tree: trace, then spans below their parents. */
  public static void tree(String jsonLines, PrintStream out) {
    Map<Object, List<Map<?, ?>>> traces = new LinkedHashMap<>();
    for (String line : jsonLines.split("\n")) {
      if (!line.isEmpty()) {
        Map<?, ?> span = (Map<?, ?>) Json.parse(line);
        traces.computeIfAbsent(span.get("trace"), k -> new ArrayList<>()).add(span);
      }
    }
    for (List<Map<?, ?>> spans : traces.values()) {
      out.println(
          "trace " + spans.get(0).get("trace_id") + " (" + Words.count(spans.size(), "span") + ")");
      Map<Object, List<Map<?, ?>>> children = new LinkedHashMap<>();
      Set<Object> ids = new LinkedHashSet<>();
      for (Map<?, ?> span : spans) {
        ids.add(span.get("span_id"));
      }
      List<Map<?, ?>> roots = new ArrayList<>();
      for (Map<?, ?> span : spans) {
        Object parent = span.get("parent_id");
        if (ids.contains(parent) && !parent.equals(span.get("span_id"))) {
          children.computeIfAbsent(parent, k -> new ArrayList<>()).add(span);
        } else {
          roots.add(span);
        }
      }
      Set<Map<?, ?>> shown = java.util.Collections.newSetFromMap(new java.util.IdentityHashMap<>());
      for (Map<?, ?> root : roots) {
        branch(root, children, shown, out);
      }
      // Spans that are their own ancestors hang on no root.
      for (Map<?, ?> span : spans) {
        branch(span, children, shown, out);
      }
    }
  }

  private static void branch(
      Map<?, ?> top, Map<Object, List<Map<?, ?>>> children, Set<Map<?, ?>> shown, PrintStream out) {
    // A list instead of recursion: traces may be deep.
    List<Object[]> todo = new ArrayList<>();
    todo.add(new Object[] {top, 1});
    while (!todo.isEmpty()) {
      Object[] next = todo.remove(todo.size() - 1);
      Map<?, ?> span = (Map<?, ?>) next[0];
      int depth = (Integer) next[1];
      if (!shown.add(span)) {
        continue;
      }
      StringBuilder line = new StringBuilder();
      for (int i = 0; i < Math.min(depth, 40); i++) {
        line.append("  ");
      }
      line.append(span.get("service")).append(' ').append(span.get("name"));
      line.append(" \"").append(cut(span.get("resource"))).append("\" ");
      line.append(duration(((Number) span.get("duration")).longValue()));
      if (((Number) span.get("error")).longValue() != 0) {
        line.append(" ERROR");
      }
      out.println(line);
      List<Map<?, ?>> below = children.get(span.get("span_id"));
      for (int i = below == null ? -1 : below.size() - 1; i >= 0; i--) {
        todo.add(new Object[] {below.get(i), depth + 1});
      }
    }
  }

  private static String cut(Object text) {
    String s = String.valueOf(text).replaceAll("\\p{Cntrl}", " ");
    return s.length() > 80 ? s.substring(0, 77) + "..." : s;
  }

  private static String duration(long nanos) {
    if (Math.abs(nanos) < 1_000_000) {
      return String.format(Locale.ROOT, "%.1f us", nanos / 1e3);
    }
    return String.format(Locale.ROOT, "%.1f ms", nanos / 1e6);
  }
}
