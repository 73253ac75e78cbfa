package com.datadog.pipeline.cli;

import com.datadog.pipeline.AgentInfo;
import com.datadog.pipeline.AgentResponse;
import com.datadog.pipeline.Builder;
import com.datadog.pipeline.DropReason;
import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.Metrics;
import com.datadog.pipeline.OutputFormat;
import com.datadog.pipeline.Stats;
import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.TraceExporterException;
import com.datadog.pipeline.internal.Words;
import java.io.PrintStream;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * {@code send}: payload files to an agent or another peer, untouched unless asked. Not thread-safe;
 * its rounds may run on threads.
 */
final class Send {
  /** Less than a service has: somebody waits for the answer. */
  private static final int BUDGET_MILLIS = 2000;

  /** How many bytes a capture may have. */
  private static final long CAPTURED = 256 << 20;

  private static final Duration BUCKET = Duration.ofSeconds(10);

  /** Errors after which the next file will not arrive either. */
  private static final Set<ErrorCode> AWAY =
      EnumSet.of(
          ErrorCode.CONNECTION_REFUSED,
          ErrorCode.NAME_NOT_RESOLVED,
          ErrorCode.UNREACHABLE,
          ErrorCode.SOCKET_MISSING,
          ErrorCode.SOCKET_DENIED,
          ErrorCode.SOCKET_WRONG_TYPE,
          ErrorCode.AGENT_DOWN);

  private final Arguments args;
  private final PrintStream out;
  private final PrintStream err;
  private final Input input;
  private final List<String> names = new ArrayList<>();
  private final List<byte[]> payloads = new ArrayList<>();
  private final AtomicInteger failures = new AtomicInteger();

  Send(Arguments args, PrintStream out, PrintStream err) throws Arguments.Bad {
    this.args = args;
    this.input = new Input(args, err);
    this.out = out;
    this.err = err;
  }

  int run() throws Arguments.Bad {
    int rounds = args.number("--repeat", 1, 1, 1_000_000_000);
    int threads = args.number("--threads", 1, 1, 256);
    int budget = args.number("--budget-ms", BUDGET_MILLIS, 1, 600_000);
    int most = args.number("--max-bytes", 0, 1024, Integer.MAX_VALUE);
    List<String> files = args.someFiles();
    Builder builder;
    try {
      builder =
          TraceExporter.builder()
              .language("java")
              .tracerVersion(TraceExporter.version())
              .onMalformed(Input.policy(args))
              .maxIdleConnections(Math.min(threads, 64))
              .sendBudget(Duration.ofMillis(budget));
      Target.apply(args, builder);
      if (Target.isAgent(args)) {
        builder.outputFormat(format(args.get("--format")));
      } else if (args.has("--format")) {
        throw new Arguments.Bad("--format says what an agent gets; --to says it here");
      }
      if (most > 0) {
        builder.maxRequestBytes(most);
      }
      builder.dryRun(args.has("--dry-run"));
      if (args.has("--capture")) {
        builder.capture(Paths.get(args.get("--capture")), CAPTURED);
      }
      if (args.has("--compute-stats")) {
        builder
            .computeStats(BUCKET)
            .statsReplay(!args.has("--now"))
            .obfuscateStats(args.has("--obfuscate-stats"));
      } else if (args.has("--now") || args.has("--obfuscate-stats")) {
        throw new Arguments.Bad("--now and --obfuscate-stats say how --compute-stats counts");
      }
    } catch (IllegalArgumentException e) {
      // A path that cannot be one is such an exception, too.
      throw new Arguments.Bad(e.getMessage());
    }
    try (TraceExporter exporter = builder.build()) {
      input.each(files, this::keep);
      failures.addAndGet(input.failures());
      if ("auto".equals(args.get("--format"))) {
        await(exporter);
      }
      if (args.has("--compute-stats") && Target.isAgent(args)) {
        // What the agent takes is known when this returns, so the first payload is counted too.
        AgentInfo agent = exporter.fetchAgentInfo(Duration.ofMillis(Math.min(budget, 3000)));
        if (args.has("--obfuscate-stats") && agent.obfuscationVersion() != 1) {
          err.println(
              "the agent's obfuscation_version is "
                  + agent.obfuscationVersion()
                  + ", not 1: it obfuscates the resources of stats itself");
        }
      }
      if (rounds == 1 && threads == 1) {
        inTurn(exporter);
      } else {
        load(exporter, rounds, threads);
      }
      Metrics metrics = exporter.metrics();
      if (args.has("--compute-stats")) {
        stats(exporter, budget);
        metrics = exporter.metrics();
      }
      account(metrics);
      Metrics.Counts dry = metrics.dropped().get(DropReason.DRY_RUN);
      long accepted = metrics.sent().traces() + metrics.sampledOut().traces() + dry.traces();
      boolean whole =
          accepted == metrics.received().traces() && metrics.droppedTotal().spans() == dry.spans();
      return failures.get() == 0 && whole ? 0 : 1;
    } catch (TraceExporterException e) {
      err.println(e.getMessage());
      if (e.getCause() != null) {
        err.println(e.getCause().getMessage());
      }
      return 1;
    }
  }

  /** Sends the stats of what was sent; they are part of what was asked for. */
  private void stats(TraceExporter exporter, int budget) {
    boolean complete = exporter.flushStats(Duration.ofMillis(budget));
    Stats stats = exporter.stats();
    out.printf(
        Locale.ROOT,
        "stats: counted %s, sent %d, lost %d%n",
        Words.count(stats.counted(), "span"),
        stats.sent(),
        stats.lost() + stats.waiting());
    if (!complete) {
      failed("not all stats arrived");
    } else if (stats.counted() == 0 && went(exporter.metrics()) > 0) {
      failed("nothing was counted: the agent does not take stats, or no span counts");
    }
  }

  /** Traces that arrived, or would have. */
  private static long went(Metrics m) {
    return m.sent().traces() + m.dropped().get(DropReason.DRY_RUN).traces();
  }

  private static OutputFormat format(String name) throws Arguments.Bad {
    if (name == null || name.equals("v0.4")) {
      return OutputFormat.V04;
    }
    switch (name) {
      case "v0.5":
        return OutputFormat.V05;
      case "auto":
        return OutputFormat.AUTO;
      case "v1":
      case "v1.0":
        return OutputFormat.V1;
      default:
        throw new Arguments.Bad("--format is " + name + "; it must be v0.4, v0.5, v1 or auto");
    }
  }

  /** The choice of a format needs what the agent offers; after two seconds it is made without. */
  private void await(TraceExporter exporter) {
    try {
      exporter.awaitAgent(Duration.ofSeconds(2));
    } catch (TraceExporterException e) {
      err.println("going on without the agent's /info, as v0.4: " + e.getMessage());
    }
  }

  /** What became of every trace. */
  private void account(Metrics m) {
    line("received", m.received());
    line("sent", m.sent());
    line("filtered", m.filtered());
    line("sampled out", m.sampledOut());
    line("queued", m.queued());
    line("dropped", m.droppedTotal());
    for (Map.Entry<DropReason, Metrics.Counts> e : m.dropped().entrySet()) {
      if (e.getValue().traces() + e.getValue().spans() + e.getValue().bytes() > 0) {
        line("  " + e.getKey(), e.getValue());
      }
    }
    if (m.possiblyDuplicated() + m.possiblyArrived() > 0) {
      out.println(
          m.possiblyDuplicated()
              + " payloads were possibly sent twice, "
              + m.possiblyArrived()
              + " dropped ones have possibly arrived");
    }
  }

  private void line(String what, Metrics.Counts counts) {
    out.printf(Locale.ROOT, "%-20s %s%n", what, counts);
  }

  private void keep(String name, byte[] payload) {
    names.add(name);
    payloads.add(payload);
  }

  private void failed(String message) {
    failures.incrementAndGet();
    err.println(message);
  }

  /** Every file once, a line each, until the agent turns out to be away. */
  private void inTurn(TraceExporter exporter) {
    for (int i = 0; i < payloads.size(); i++) {
      long start = System.nanoTime();
      try {
        AgentResponse r = exporter.send(payloads.get(i));
        print(names.get(i), payloads.get(i).length, r, (System.nanoTime() - start) / 1e6);
        if (r.malformed().traces() > 0 || r.malformed().bytes() > 0 || r.repaired() > 0) {
          input.fault(names.get(i), payloads.get(i));
        }
      } catch (TraceExporterException e) {
        failed(names.get(i) + ": " + e.getMessage());
        int left = payloads.size() - i - 1;
        if (AWAY.contains(e.code()) && left > 0) {
          failed("the agent is away; " + Words.count(left, "file") + " not sent");
          return;
        }
      }
    }
  }

  private void print(String name, int bytes, AgentResponse r, double millis) {
    out.printf(
        Locale.ROOT,
        "%s: %s, %s, %s, %s, %.1f ms%n",
        name,
        Words.count(r.traces(), "trace"),
        Words.count(r.spans(), "span"),
        Words.count(bytes, "byte"),
        args.has("--dry-run") ? "not sent" : "status " + r.status(),
        millis);
  }

  /** One send of many. */
  private void one(TraceExporter exporter, int i) {
    try {
      exporter.send(payloads.get(i));
    } catch (TraceExporterException e) {
      if (failures.incrementAndGet() <= 20) {
        err.println(names.get(i) + ": " + e.getMessage());
      }
    }
  }

  /** The threads share the rounds; a round is every file once. */
  private void load(TraceExporter exporter, int rounds, int threads) {
    AtomicLong next = new AtomicLong();
    long sends = (long) rounds * payloads.size();
    List<Thread> workers = new ArrayList<>();
    long start = System.nanoTime();
    for (int t = 0; t < threads; t++) {
      Thread worker =
          new Thread(
              () -> {
                for (long n = next.getAndIncrement(); n < sends; n = next.getAndIncrement()) {
                  one(exporter, (int) (n % payloads.size()));
                }
              },
              "send-" + t);
      workers.add(worker);
      worker.start();
    }
    boolean terminal = System.console() != null;
    for (Thread worker : workers) {
      join(worker, terminal, next, sends);
    }
    if (terminal) {
      // The line of progress makes way.
      err.print("\r\u001b[K");
    }
    double seconds = (System.nanoTime() - start) / 1e9;
    out.printf(
        Locale.ROOT,
        "%s of %s on %s in %.2f s: %.0f a second%n",
        Words.count(sends, "send"),
        Words.count(payloads.size(), "file"),
        Words.count(threads, "thread"),
        seconds,
        sends / seconds);
  }

  private void join(Thread worker, boolean terminal, AtomicLong next, long sends) {
    try {
      while (worker.isAlive()) {
        worker.join(500);
        if (terminal && worker.isAlive()) {
          err.print("\r" + Math.min(next.get(), sends) + " of " + sends + " ");
          err.flush();
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
