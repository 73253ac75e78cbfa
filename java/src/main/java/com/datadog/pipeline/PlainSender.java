package com.datadog.pipeline;

import com.datadog.pipeline.internal.plain.Client;
import com.datadog.pipeline.internal.plain.Failure;
import com.datadog.pipeline.internal.plain.Interrupts;
import com.datadog.pipeline.internal.plain.Outlet;
import com.datadog.pipeline.internal.plain.Reply;
import com.datadog.pipeline.internal.plain.Traces;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The way of one payload to the agent without the native library: as it is, or in parts if it is
 * too large. Books every fate. Thread-safe.
 */
final class PlainSender {
  /** After so many requests in a row that were too large, splitting is no help. */
  private static final int REFUSALS = 8;

  /** What a 413 has taught is forgotten after this: a proxy's need not last. */
  private static final long FORGET_NANOS = 300_000_000_000L;

  private static final String V04 = "/v0.4/traces";

  /** The only endpoint of the oldest agents. It takes the same bytes. */
  private static final String V03 = "/v0.3/traces";

  /** Whether a payload that failed so is kept for another way, and nothing is booked. */
  interface Keeper {
    boolean keeps(Failure failure);
  }

  private static final Keeper NOBODY = failure -> false;

  final PlainAccount account = new PlainAccount();
  final PlainPresence presence;
  final PlainDiscovery discovery;
  final Client client;
  final Outlet outlet;
  private final PlainSettings settings;
  private final String headers;
  private volatile AgentResponse last;
  private volatile long learned = Long.MAX_VALUE;
  private volatile long learnedAt;
  private volatile String path = V04;

  PlainSender(PlainSettings settings) {
    this.settings = settings;
    this.headers = settings.traceHeaders();
    this.outlet = new Outlet(settings.maxBytesPerSecond(), settings.dryRun());
    this.client = new Client(settings.url(), settings.limits(), outlet);
    this.presence = new PlainPresence(client.address());
    this.discovery = new PlainDiscovery(client, presence, settings);
  }

  /** One payload on its way. */
  static final class Load {
    final Traces traces;
    final byte[] bytes;
    final int offset;
    final int length;
    final Metrics.Counts counts;
    final SendOptions options;

    Load(byte[] bytes, int offset, int length, SendOptions options) throws Failure {
      this.traces = Traces.read(bytes, offset, length);
      this.bytes = bytes;
      this.offset = offset;
      this.length = length;
      int count = traces.count();
      this.counts = new Metrics.Counts(count, traces.spans(0, count), length);
      this.options = options;
    }

    /** Several in one: they count as what they were. */
    Load(byte[] bytes, Metrics.Counts counts, SendOptions options) throws Failure {
      this.traces = Traces.read(bytes, 0, bytes.length);
      this.bytes = bytes;
      this.offset = 0;
      this.length = bytes.length;
      this.counts = counts;
      this.options = options;
    }
  }

  /** What a payload counts as that nobody could read. */
  static Metrics.Counts unread(byte[] bytes, int offset, int length) {
    return new Metrics.Counts(Traces.declared(bytes, offset, length), 0, length);
  }

  static TraceExporterException exception(Failure e) {
    return new TraceExporterException(e.code, e.status, e.attempts, e.getMessage());
  }

  /** A payload that could not be read. */
  TraceExporterException unreadable(byte[] bytes, int offset, int length, Failure e) {
    Metrics.Counts counts = unread(bytes, offset, length);
    account.refuse(counts, DropReason.MALFORMED);
    presence.lost(DropReason.MALFORMED, counts.traces(), e.getMessage());
    return exception(e);
  }

  /** Sends on the caller's thread. The payload has not entered the account. */
  AgentResponse send(byte[] bytes, int offset, int length, SendOptions options) {
    long start = System.nanoTime();
    Load load;
    try {
      load = new Load(bytes, offset, length, options);
    } catch (Failure e) {
      throw unreadable(bytes, offset, length, e);
    }
    account.enter(load.counts);
    Interrupts.hold();
    boolean trial = false;
    try {
      trial = !outlet.isDry() && presence.admit();
      long millis = settings.sendBudgetMillis();
      Client.Budget budget =
          new Client.Budget(start + millis * 1_000_000, millis, "sendBudget", false);
      if (trial) {
        look();
      }
      return deliver(load, budget, start, NOBODY);
    } catch (Failure e) {
      if (e.code == ErrorCode.AGENT_DOWN) {
        account.dropped(load.counts, DropReason.AGENT_DOWN, false);
        presence.lost(DropReason.AGENT_DOWN, load.counts.traces(), e.getMessage());
      }
      throw exception(e);
    } finally {
      if (trial) {
        presence.tried();
      }
      Interrupts.restore();
    }
  }

  /** Whether the agent answers at all, before a send spends its budget on it. */
  private void look() throws Failure {
    try {
      discovery.fetch(1_000);
    } catch (Failure e) {
      if (e.status == 0 && e.repeats || e.code == ErrorCode.CONNECTION_REFUSED) {
        presence.failed(repeatable(e), Long.MAX_VALUE / 2, 0);
        presence.tried();
        presence.admit();
      }
    }
  }

  private static Failure repeatable(Failure e) {
    e.repeats = true;
    return e;
  }

  /** Delivers what has entered the account, and books what becomes of it. */
  AgentResponse deliver(Load load, Client.Budget budget, long start, Keeper keeper) throws Failure {
    int count = load.traces.count();
    if (count == 0 && load.options.droppedP0Traces == 0 && load.options.droppedP0Spans == 0) {
      account.sent(load.counts, 0, 0, false);
      return nobody(0, 0);
    }
    Deque<int[]> parts = pack(load);
    if (outlet.isDry()) {
      for (int[] part : parts) {
        outlet.passes(size(body(load, part)), budget.waits);
      }
      account.dropped(load.counts, DropReason.DRY_RUN, false);
      return nobody(load.counts.traces(), load.counts.spans());
    }
    Metrics.Counts rest = load.counts;
    Failure lost = null;
    Reply reply = null;
    int attempts = 0;
    int refusals = 0;
    long[] sent = new long[2];
    boolean first = true;
    boolean turned = false;
    while (!parts.isEmpty()) {
      int[] part = parts.poll();
      String at = path;
      int traces = part[1] - part[0];
      Metrics.Counts counts =
          parts.isEmpty()
              ? rest
              : new Metrics.Counts(
                  traces, load.traces.spans(part[0], part[1]), load.traces.size(part[0], part[1]));
      ByteBuffer[] body = body(load, part);
      int size = size(body);
      try {
        reply = client.send(at, headersOf(load, traces, first), body, budget);
        first = false;
        refusals = 0;
        attempts += reply.attempts;
        account.sent(counts, reply.attempts, size, reply.possiblyDuplicated);
        sent[0] += counts.traces();
        sent[1] += counts.spans();
        if (size > learned) {
          learned = size;
        }
        rest = minus(rest, counts);
      } catch (Failure e) {
        attempts += e.attempts;
        account.asked(e.attempts);
        if (isElsewhere(e, at)) {
          path = at.equals(V04) ? V03 : V04;
          if (!turned) {
            turned = true;
            parts.addFirst(part);
            continue;
          }
        }
        if (e.code == ErrorCode.PAYLOAD_TOO_LARGE && ++refusals < REFUSALS && traces > 1) {
          learned = Math.min(learned, size / 2);
          learnedAt = System.nanoTime();
          halve(load, part, parts);
          continue;
        }
        if (rest == load.counts && keeper.keeps(e)) {
          e.kept = true;
          throw e;
        }
        Failure named = e;
        if (e.code == ErrorCode.PAYLOAD_TOO_LARGE && traces > 0) {
          named = e.note("; it is " + size + " bytes: " + load.traces.describe(part[0]));
        }
        DropReason reason = reason(named);
        account.dropped(counts, reason, named.possiblyArrived);
        presence.lost(reason, counts.traces(), named.getMessage());
        rest = minus(rest, counts);
        lost = lost == null ? named : lost;
      }
    }
    if (lost != null) {
      lost.attempts = attempts;
      long took = (System.nanoTime() - start) / 1_000_000;
      if (lost.code != ErrorCode.PAYLOAD_TOO_LARGE) {
        presence.failed(lost, took, settings.sendBudgetMillis());
      }
      discovery.heard(client.memory().state());
      throw lost;
    }
    presence.succeeded();
    discovery.heard(reply.agentState);
    return respond(
        new AgentResponse(
            1,
            null,
            reply.status,
            reply.body,
            reply.rates,
            reply.containerTagsHash,
            reply.ratesChanged,
            sent[0],
            sent[1],
            attempts,
            null));
  }

  /** Whether a refusal is about the endpoint, and the agent does not say that it has it. */
  private boolean isElsewhere(Failure e, String at) {
    AgentInfo info = discovery.info();
    boolean listed = info != null && info.offers(at);
    return !listed && (e.status == 404 || e.status == 405 || e.status == 415);
  }

  private AgentResponse respond(AgentResponse response) {
    AgentResponse shared = response.after(last);
    last = shared;
    return shared;
  }

  /** What is answered where nobody was asked. */
  private AgentResponse nobody(long traces, long spans) {
    byte[] nothing = new byte[0];
    return respond(
        new AgentResponse(1, null, 0, nothing, null, null, false, traces, spans, 0, null));
  }

  private static Metrics.Counts minus(Metrics.Counts a, Metrics.Counts b) {
    return new Metrics.Counts(
        a.traces() - b.traces(), a.spans() - b.spans(), a.bytes() - b.bytes());
  }

  private static int size(ByteBuffer[] body) {
    int size = 0;
    for (ByteBuffer part : body) {
      size += part.remaining();
    }
    return size;
  }

  private String headersOf(Load load, int traces, boolean first) {
    StringBuilder lines = new StringBuilder(headers);
    lines.append("x-datadog-trace-count: ").append(traces).append("\r\n");
    if (first && load.options.droppedP0Traces > 0) {
      lines
          .append("datadog-client-dropped-p0-traces: ")
          .append(load.options.droppedP0Traces)
          .append("\r\n");
    }
    if (first && load.options.droppedP0Spans > 0) {
      lines
          .append("datadog-client-dropped-p0-spans: ")
          .append(load.options.droppedP0Spans)
          .append("\r\n");
    }
    if (load.options.clientComputedStats && !settings.clientComputedStats()) {
      lines.append(PlainSettings.COMPUTED_STATS);
    }
    return lines.toString();
  }

  /** The whole payload as it came, or a head and the traces of a part. */
  private static ByteBuffer[] body(Load load, int[] part) {
    if (part[1] - part[0] == load.traces.count()) {
      return new ByteBuffer[] {ByteBuffer.wrap(load.bytes, load.offset, load.length)};
    }
    int from = load.traces.offset(part[0]);
    int size = load.traces.size(part[0], part[1]);
    byte[] head = Traces.head(part[1] - part[0]);
    return new ByteBuffer[] {ByteBuffer.wrap(head), ByteBuffer.wrap(load.bytes, from, size)};
  }

  private long limit() {
    long asked = settings.maxRequestBytes();
    if (learned != Long.MAX_VALUE && System.nanoTime() - learnedAt > FORGET_NANOS) {
      learned = Long.MAX_VALUE;
    }
    return Math.min(learned, asked > 0 ? asked : discovery.maxRequestBytes());
  }

  /** Traces in their order, in parts of at most the limit; one that is larger is alone. */
  private Deque<int[]> pack(Load load) {
    Deque<int[]> parts = new ArrayDeque<>();
    int count = load.traces.count();
    long limit = limit();
    if (load.length <= limit || count < 2) {
      parts.add(new int[] {0, count});
      return parts;
    }
    int from = 0;
    for (int i = 1; i <= count; i++) {
      if (i == count || 5 + load.traces.size(from, i + 1) > limit) {
        parts.add(new int[] {from, i});
        from = i;
      }
    }
    return parts;
  }

  /** Two parts of about the same size in bytes. */
  private static void halve(Load load, int[] part, Deque<int[]> parts) {
    int half = load.traces.size(part[0], part[1]) / 2;
    int middle = part[0] + 1;
    while (middle < part[1] - 1 && load.traces.size(part[0], middle) < half) {
      middle++;
    }
    parts.addFirst(new int[] {middle, part[1]});
    parts.addFirst(new int[] {part[0], middle});
  }

  /** The reason that stands for an error, as {@code src/account/mod.rs} has it. */
  static DropReason reason(Failure e) {
    switch (e.code) {
      case MALFORMED_PAYLOAD:
      case TRUNCATED_PAYLOAD:
        return DropReason.MALFORMED;
      case PAYLOAD_TOO_LARGE:
        return DropReason.PAYLOAD_TOO_LARGE;
      case HTTP_STATUS:
        boolean busy = e.status == 408 || e.status == 429 || e.status >= 500;
        return busy ? DropReason.OVERLOADED : DropReason.REFUSED;
      case TIMED_OUT:
        return DropReason.TIMED_OUT;
      case AGENT_DOWN:
        return DropReason.AGENT_DOWN;
      case QUEUE_FULL:
        return DropReason.QUEUE_FULL;
      case EVICTED:
        return DropReason.EVICTED;
      case CLOSED:
        return DropReason.CLOSED;
      case OUT_OF_MEMORY:
        return DropReason.OUT_OF_MEMORY;
      default:
        return DropReason.UNREACHABLE;
    }
  }
}
