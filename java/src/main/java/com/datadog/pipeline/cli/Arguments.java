package com.datadog.pipeline.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The options and files of a command. Not thread-safe. */
final class Arguments {
  /** What is wrong with the arguments, in one sentence. */
  static final class Bad extends Exception {
    private static final long serialVersionUID = 1L;

    Bad(String message) {
      super(message);
    }
  }

  private final Map<String, List<String>> options = new HashMap<>();
  private final List<String> files = new ArrayList<>();

  /**
   * Reads arguments: {@code flags} stand alone, {@code valued} options take the next argument or
   * {@code =VALUE}.
   */
  Arguments(String[] args, int from, String flags, String valued) throws Bad {
    List<String> alone = Arrays.asList(flags.split(" "));
    List<String> withValue = Arrays.asList(valued.split(" "));
    for (int i = from; i < args.length; i++) {
      String arg = args[i];
      if (!arg.startsWith("--")) {
        if (arg.equals("-o") && withValue.contains("-o") && i + 1 < args.length) {
          add("-o", args[++i]);
        } else if (arg.startsWith("-") && arg.length() > 1) {
          throw new Bad("there is no option " + arg);
        } else {
          files.add(arg);
        }
        continue;
      }
      int equals = arg.indexOf('=');
      String name = equals < 0 ? arg : arg.substring(0, equals);
      if (alone.contains(name) && equals < 0) {
        add(name, "");
      } else if (withValue.contains(name)) {
        if (equals < 0 && i + 1 >= args.length) {
          throw new Bad(name + " needs a value");
        }
        add(name, equals < 0 ? args[++i] : arg.substring(equals + 1));
      } else {
        throw new Bad("there is no option " + arg);
      }
    }
  }

  private void add(String name, String value) {
    options.computeIfAbsent(name, k -> new ArrayList<>()).add(value);
  }

  boolean has(String name) {
    return options.containsKey(name);
  }

  /** The last value of an option, or null. */
  String get(String name) {
    List<String> values = options.get(name);
    return values == null ? null : values.get(values.size() - 1);
  }

  /** Every value of an option. */
  List<String> all(String name) {
    return options.getOrDefault(name, new ArrayList<>());
  }

  int number(String name, int otherwise, int least, int most) throws Bad {
    String text = get(name);
    if (text == null) {
      return otherwise;
    }
    try {
      int n = Integer.parseInt(text);
      if (n >= least && n <= most) {
        return n;
      }
    } catch (NumberFormatException e) {
      throw new Bad(name + " is " + text + "; it must be a number");
    }
    throw new Bad(name + " is " + text + "; it must be " + least + " to " + most);
  }

  List<String> files() {
    return files;
  }

  void noFiles(String command) throws Bad {
    if (!files.isEmpty()) {
      throw new Bad(command + " takes no files");
    }
  }

  List<String> someFiles() throws Bad {
    if (files.isEmpty()) {
      throw new Bad("no file was named");
    }
    return files;
  }

  /** {@code --url}, else the environment's, else the default. */
  String url() {
    String url = get("--url");
    if (url == null) {
      url = System.getenv("DD_TRACE_AGENT_URL");
    }
    return url == null || url.isEmpty() ? "http://127.0.0.1:8126" : url;
  }
}
