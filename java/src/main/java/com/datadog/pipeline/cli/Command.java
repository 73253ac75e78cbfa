package com.datadog.pipeline.cli;

/** The commands: their options and what is said of them. */
enum Command {
  DOCTOR(
      "--send --json --verbose",
      "--url " + Target.TLS,
      "[--url URL] [--ca FILE] [--client-cert FILE --client-key FILE] [--send] [--json]"
          + " [--verbose]",
      "does it work here? what is missing, and which knob helps",
      "--ca, --client-cert, --client-key  PEM files, for https",
      "--send       sends a trace of one span, too",
      "--json       one JSON object",
      "--verbose    what was found, a line a fact"),
  SEND(
      "--compute-stats --now --obfuscate-stats --dry-run",
      Target.OPTIONS
          + " --capture --format --repeat --threads --budget-ms --max-bytes --on-malformed",
      "[--to agent|otlp-proto|otlp-json|intake|log] [--url URL] [--ca FILE] [--client-cert FILE"
          + " --client-key FILE] [--site SITE] [--api-key KEY] [--compression none|gzip|zstd]"
          + " [--format v0.4|v0.5|v1|auto] [--on-malformed repair|drop|fail] [--repeat N]"
          + " [--threads N] [--budget-ms N] [--max-bytes N] [--compute-stats [--now]"
          + " [--obfuscate-stats]] [--dry-run] [--capture DIRECTORY] FILE...",
      "sends payload files (msgpack v0.4)",
      "--to         agent (default); OTLP: a URL without a path gets /v1/traces; intake:"
          + " Datadog's,",
      "             by --site (datadoghq.com) and --api-key (else DD_API_KEY), obfuscated; log:",
      "             lines to standard output, or at the end of the file that --url names",
      "--ca, --client-cert, --client-key  PEM files, for https",
      "--budget-ms  how long one payload may take, retries included; default 2000",
      "--max-bytes  the largest request",
      "--compute-stats  sends stats, and drops what sampling rejected",
      "--now        counts old spans in the current bucket",
      "--obfuscate-stats  obfuscates resources of stats, if the agent agrees",
      "--dry-run    does everything but send; the agent is asked what it offers all the same",
      "--capture    keeps requests and answers there, keys masked, 256 MiB at most: see replay"),
  REPLAY(
      "",
      "--url --api-key --header --only --budget-ms " + Target.TLS,
      "[--url URL] [--api-key KEY] [--header \"NAME: VALUE\"]... [--ca FILE] [--client-cert FILE"
          + " --client-key FILE] [--only accepted|refused|repeated|failed|dry] [--budget-ms N]"
          + " FILE|DIRECTORY...",
      "sends captured requests again, byte for byte",
      "--api-key    takes the place of a masked key; default DD_API_KEY",
      "--header     takes the place of a header, masked ones too, or is one more",
      "--only       those that had this fate; by default all but repeated ones",
      "--budget-ms  how long one request may take; default 10000",
      "--ca, --client-cert, --client-key  PEM files, for https",
      "Requests without a body and log lines are left out."),
  STATS(
      "--json --now --obfuscate-stats",
      "--on-malformed",
      "[--json] [--now] [--obfuscate-stats] [--on-malformed repair|drop|fail] FILE...",
      "a table of services and resources: hits, errors, p50, p95, p99",
      "--now        counts old spans in the current bucket"),
  SHOW(
      "--json",
      "--on-malformed",
      "[--json] [--on-malformed repair|drop|fail] FILE...",
      "the spans of payload files, and of captured requests what was asked and answered",
      "--json       one JSON object a span and line"),
  CONVERT(
      "--top-level --drop-p0",
      "--to --from --filter --on-malformed -o",
      "--to v0.4|v0.5|v1|otlp-proto|otlp-json|intake|log [--from auto|v0.4|v0.5|v1] [--top-level]"
          + " [--drop-p0] [--filter RULE]... [--on-malformed repair|drop|fail] FILE -o OUT",
      "a payload in another format",
      "RULE: require:KEY[:VALUE], reject:KEY[:VALUE], require~:KEY[:REGEX], reject~:KEY[:REGEX],",
      "      ignore:REGEX (resources)"),
  OBFUSCATE(
      "",
      "--type --dbms --mode --preset",
      "--type sql|sql_exec_plan|redis|redis_resource|memcached|mongo|es|opensearch|http|card|ip"
          + " [--dbms NAME] [--mode obfuscate_only|obfuscate_and_normalize|normalize_only]"
          + " [--preset agent|all] [FILE]",
      "one text as it would leave; without FILE from standard input",
      "--dbms, --mode  for SQL",
      "--preset     all hides everything that can be hidden; default agent"),
  VERSION("", "", "", "the version"),
  HELP("", "", "", "what there is");

  private static final String PROGRAM = "java -jar data-pipeline.jar ";

  final String flags;
  final String valued;
  private final String arguments;
  private final String purpose;
  private final String[] more;

  Command(String flags, String valued, String arguments, String purpose, String... more) {
    this.flags = flags;
    this.valued = valued;
    this.arguments = arguments;
    this.purpose = purpose;
    this.more = more;
  }

  /** How it is called. */
  String word() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /** The command of this word, or null. */
  static Command of(String word) {
    for (Command command : values()) {
      if (command.word().equals(word) || ("--" + command.word()).equals(word)) {
        return command;
      }
    }
    return word.equals("-h") ? HELP : null;
  }

  /** The usage of this command alone. */
  String usage() {
    StringBuilder s = new StringBuilder();
    s.append("usage: ").append(PROGRAM).append(call()).append("\n").append(purpose);
    for (String line : more) {
      s.append("\n  ").append(line);
    }
    if (valued.contains("--on-malformed")) {
      s.append("\n  --on-malformed  what becomes of what an agent would refuse: repair (default)");
      s.append(
          "\n               mends values and leaves out traces that cannot be read, drop leaves");
      s.append("\n               out their traces, fail refuses the file");
    }
    if (arguments.contains("FILE")) {
      s.append("\n  FILE         - is standard input");
      s.append(valued.contains("-o") && this == CONVERT ? "; OUT: - is standard output" : "");
    }
    if (valued.contains("--url")) {
      s.append(
          "\n  URL          http://host:port, unix:///path, windows:\\\\.\\pipe\\name; default:");
      s.append("\n               DD_TRACE_AGENT_URL, else http://127.0.0.1:8126");
    }
    return s.toString();
  }

  private String call() {
    return (word() + " " + arguments).trim();
  }

  /** What there is. */
  static String overview() {
    StringBuilder s = new StringBuilder("usage: ").append(PROGRAM).append("COMMAND");
    for (Command command : values()) {
      s.append("\n  ").append(command.call()).append("\n      ").append(command.purpose);
    }
    return s.append("\n`").append(PROGRAM).append("COMMAND --help` says more of one.").toString();
  }

  /** Where a wrong call is sent. */
  static String hint(Command command) {
    return "; `"
        + PROGRAM
        + (command == null ? "" : command.word() + " --")
        + "help` shows what there is";
  }
}
