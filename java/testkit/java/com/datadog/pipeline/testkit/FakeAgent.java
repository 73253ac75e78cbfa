package com.datadog.pipeline.testkit;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;

/**
 * An agent for tests, on the loopback address or a Unix socket: it keeps every request, shows the
 * traces as objects and answers as told. Thread-safe.
 *
 * <p>With JUnit 5 it is an extension, too: {@code @RegisterExtension static final FakeAgent agent =
 * FakeAgent.start();} forgets what arrived before each test and is closed after the last one.
 * Without JUnit nothing of it is needed.
 */
public class FakeAgent implements AutoCloseable {
  private static final String INFO =
      "{\"version\":\"7.70.0\",\"endpoints\":[\"/v0.4/traces\",\"/v0.5/traces\",\"/v1.0/traces\","
          + "\"/v0.6/stats\"],\"client_drop_p0s\":true,\"span_events\":true,"
          + "\"config\":{\"max_request_bytes\":26214400}}";

  private final Builder start;
  private final List<Request> requests = new ArrayList<>();

  /** Guarded by {@link #requests}, too. */
  private final Deque<Answer> next = new ArrayDeque<>();

  private volatile Answers answers;
  private volatile Answers info;
  private volatile long limitBytes = Long.MAX_VALUE;
  private volatile long delayMillis;
  private Server server;

  /** How an agent starts. Not thread-safe. */
  public static final class Builder {
    private int port;
    private Path socket;
    private Answers info = request -> Answer.json(200, INFO);
    private Answers answers = request -> Answer.RATES;
    private boolean onlyV03;

    private Builder() {}

    /** Listens on this TCP port instead of a free one. */
    public Builder port(int port) {
      this.port = port;
      return this;
    }

    /** Listens on a Unix socket at this path, on Java 16 and newer; what is there is deleted. */
    public Builder unixSocket(Path path) {
      this.socket = path;
      return this;
    }

    /** What {@code /info} answers, as JSON. */
    public Builder info(String json) {
      this.info = request -> Answer.json(200, json);
      return this;
    }

    /** An agent that knows no {@code /info}: it answers 404. */
    public Builder withoutInfo() {
      this.info = request -> Answer.json(404, "not found");
      return this;
    }

    /**
     * An agent of the oldest kind: it has {@code /v0.3/traces} and nothing else, and answers 404 to
     * all that is not for that endpoint, {@code /info} too.
     */
    public Builder onlyV03() {
      this.onlyV03 = true;
      return withoutInfo();
    }

    /** The answers to everything but {@code /info} and empty payloads that probe an endpoint. */
    public Builder answers(Answers answers) {
      this.answers = answers;
      return this;
    }

    /**
     * Starts it.
     *
     * @throws UncheckedIOException if it cannot listen there
     * @throws UnsupportedOperationException for a Unix socket on a Java that has none
     */
    public FakeAgent start() {
      FakeAgent agent;
      try {
        agent = JUnitAgent.make(this);
      } catch (LinkageError e) {
        // No JUnit is there, and none is needed.
        agent = new FakeAgent(this);
      }
      agent.resume();
      return agent;
    }

    private String place() {
      return socket == null ? "port " + port : socket.toString();
    }

    private Listener listener() throws IOException {
      return socket == null ? Listener.tcp(port) : UnixListener.listen(socket);
    }
  }

  FakeAgent(Builder start) {
    this.start = start;
    this.answers = start.answers;
    this.info = start.info;
  }

  /** How an agent starts. */
  public static Builder builder() {
    return new Builder();
  }

  /** Starts an agent on a free port. */
  public static FakeAgent start() {
    return new Builder().start();
  }

  /** Starts an agent on this port. */
  public static FakeAgent start(int port) {
    return new Builder().port(port).start();
  }

  /** Starts an agent on a Unix socket at this path, on Java 16 and newer. */
  public static FakeAgent start(Path socket) {
    return new Builder().unixSocket(socket).start();
  }

  /** Where it listens, as {@code TraceExporter.builder().url} takes it. */
  public synchronized String url() {
    return server.url();
  }

  /** The TCP port, 0 for a Unix socket. */
  public synchronized int port() {
    return server.port();
  }

  /** How many connections are open. */
  public synchronized int connections() {
    return server.connections();
  }

  /** Everything that was asked so far, in its order. */
  public List<Request> requests() {
    synchronized (requests) {
      return new ArrayList<>(requests);
    }
  }

  /** The requests so far that carried traces. */
  public List<Request> traceRequests() {
    List<Request> found = requests();
    found.removeIf(request -> !request.isTraces());
    return found;
  }

  /** The traces so far, of every format. */
  public List<Trace> traces() {
    List<Trace> found = new ArrayList<>();
    for (Request request : traceRequests()) {
      found.addAll(request.traces());
    }
    return found;
  }

  /** The spans so far, of every format. */
  public List<Span> spans() {
    List<Span> found = new ArrayList<>();
    for (Trace trace : traces()) {
      found.addAll(trace.spans());
    }
    return found;
  }

  /** The groups of stats so far. */
  public List<StatsGroup> stats() {
    List<StatsGroup> found = new ArrayList<>();
    for (Request request : requests()) {
      if (request.isStats()) {
        found.addAll(request.stats().groups());
      }
    }
    return found;
  }

  /** Says what is expected of the traces. */
  public TracesAssert assertTraces() {
    return new TracesAssert(this::traces);
  }

  /** Says what is expected of the stats. */
  public StatsAssert assertStats() {
    return new StatsAssert(this::stats);
  }

  /**
   * Waits until so many requests with traces have come.
   *
   * @throws AssertionError if they have not within the limit
   */
  public List<Request> awaitTraceRequests(int count, Duration limit) {
    Supplier<List<Request>> found = this::traceRequests;
    return Wait.until(found, list -> list.size() >= count, limit, count + " requests with traces");
  }

  /** Forgets the requests so far. */
  public void clear() {
    synchronized (requests) {
      requests.clear();
    }
  }

  /** Sets the answers to everything but {@code /info}. */
  public void answer(Answers answers) {
    this.answers = answers;
  }

  /** Answers the next so many requests, {@code /info} apart, with this; then as before. */
  public void answerNext(int count, Answer answer) {
    synchronized (requests) {
      for (int i = 0; i < count; i++) {
        next.add(answer);
      }
    }
  }

  /** Answers everything but {@code /info} with this status. */
  public void failWith(int status) {
    answer(request -> Answer.status(status));
  }

  /** Resets the connection instead of an answer to everything but {@code /info}. */
  public void resetConnections() {
    answer(request -> Answer.reset());
  }

  /**
   * Waits so long before every answer.
   *
   * @throws IllegalArgumentException if it is negative
   */
  public void delay(Duration delay) {
    if (delay.isNegative()) {
      throw new IllegalArgumentException("the delay is " + delay + "; it must not be negative");
    }
    this.delayMillis = delay.toMillis();
  }

  /** Answers 413 to bodies of more bytes. */
  public void limit(long bytes) {
    this.limitBytes = bytes;
  }

  /** Sets the answers to {@code /info}. */
  public void info(Answers answers) {
    this.info = answers;
  }

  /** Sets what {@code /info} answers, as JSON. */
  public void info(String json) {
    this.info = request -> Answer.json(200, json);
  }

  /** No fault any more: it answers as it did when it started. */
  public void heal() {
    answers = start.answers;
    info = start.info;
    limitBytes = Long.MAX_VALUE;
    delayMillis = 0;
    synchronized (requests) {
      next.clear();
    }
  }

  /** Stops listening and cuts all connections. Nobody listens any more when it returns. */
  public synchronized void stop() {
    try {
      server.stop();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Listens again where it did, if it was stopped. */
  public synchronized void resume() {
    if (server == null || server.isStopped()) {
      // A free port was chosen once; after that it is this one.
      start.port(server == null ? start.port : server.port());
      try {
        server = new Server(start.listener(), this::answered);
      } catch (IOException e) {
        throw new UncheckedIOException(
            "cannot listen at " + start.place() + ": " + e.getMessage(), e);
      }
    }
  }

  /** Stops and listens again at once; what has arrived is kept. */
  public synchronized void restart() {
    stop();
    resume();
  }

  synchronized boolean isStopped() {
    return server.isStopped();
  }

  /** As {@link #stop}. */
  @Override
  public void close() {
    stop();
  }

  private Answer answered(Request request) {
    Answers fixed = fixed(request);
    Answer planned = null;
    synchronized (requests) {
      requests.add(request);
      // Taken as it comes: one that waits must not take the answer that is meant for a later one.
      if (fixed == null) {
        planned = next.poll();
      }
    }
    Answers others = fixed == null ? answers : fixed;
    Answer answer = planned == null ? others.to(request) : planned;
    pause();
    return answer;
  }

  /** What is answered whatever was planned; null if that decides. */
  private Answers fixed(Request request) {
    if (request.isFor("/info")) {
      return info;
    }
    if (start.onlyV03 && !request.isFor("/v0.3/traces")) {
      return all -> Answer.json(404, "404 page not found");
    }
    if (request.isProbe()) {
      return all -> Answer.RATES;
    }
    long limit = limitBytes;
    if (request.body().length > limit) {
      return all -> Answer.json(413, "the limit is " + limit + " bytes");
    }
    return null;
  }

  private void pause() {
    try {
      Thread.sleep(delayMillis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
