package com.datadog.pipeline.internal.plain;

import com.datadog.pipeline.ErrorCode;
import com.datadog.pipeline.internal.AgentUrl;
import com.datadog.pipeline.internal.Json;
import java.io.EOFException;
import java.io.File;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NoRouteToHostException;
import java.net.SocketAddress;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * HTTP toward one agent: one request and its answer, repeated within a budget where that can help.
 * No lock is held while a request runs; concurrent requests open connections of their own.
 * Thread-safe.
 */
public final class Client {
  /** How long steps may take, and what is kept between requests. Immutable. */
  public static final class Limits {
    final long connectMillis;
    final long sendMillis;
    final int idleConnections;
    final long idleMillis;

    /** As the settings connectTimeout, sendTimeout, maxIdleConnections and maxIdleAge say. */
    public Limits(long connectMillis, long sendMillis, int idleConnections, long idleMillis) {
      this.connectMillis = connectMillis;
      this.sendMillis = sendMillis;
      this.idleConnections = idleConnections;
      this.idleMillis = idleMillis;
    }
  }

  /** A budget of time, and the setting that says it. */
  public static final class Budget {
    final long end;
    final long millis;
    final String knob;

    /** Whether what it is for has waited for its turn, and may be held to a pace. */
    public final boolean waits;

    /** {@code end} by {@code System.nanoTime()}. */
    public Budget(long end, long millis, String knob, boolean waits) {
      this.end = end;
      this.millis = millis;
      this.knob = knob;
      this.waits = waits;
    }
  }

  private final Gate gate = new Gate();
  private final Limits limits;
  private final String address;

  /** The path of a Unix socket, or null. */
  private final String socket;

  private final String host;
  private final int port;
  private final String prefix;
  private final Deque<Connection> idle = new ArrayDeque<>();
  private final Memory memory = new Memory();
  private final Outlet outlet;

  /** For an address that {@code AgentUrl} finds no fault with; not one of a named pipe. */
  public Client(String url, Limits limits, Outlet outlet) {
    this.limits = limits;
    this.outlet = outlet;
    this.address = AgentUrl.shown(url);
    if (url.startsWith("unix://")) {
      socket = url.substring("unix://".length());
      host = "localhost";
      port = 80;
      prefix = "";
      return;
    }
    socket = null;
    String rest = url.substring("http://".length());
    int slash = rest.indexOf('/');
    String authority = slash < 0 ? rest : rest.substring(0, slash);
    String path = slash < 0 ? "" : rest.substring(slash);
    while (path.endsWith("/")) {
      path = path.substring(0, path.length() - 1);
    }
    prefix = path;
    int colon = authority.lastIndexOf(':');
    boolean named = colon > authority.lastIndexOf(']');
    host = named ? authority.substring(0, colon) : authority;
    port = named ? Integer.parseInt(authority.substring(colon + 1)) : 80;
  }

  /** The agent's address, as messages show it. */
  public String address() {
    return address;
  }

  /** What its answers have taught. */
  public Memory memory() {
    return memory;
  }

  /** Ends everything: requests, waits and idle connections; later calls fail at once. */
  public void close() {
    gate.close();
    dropIdle();
  }

  /** Holds sends until they are let go again, and closes idle connections. */
  public void hold(boolean held) {
    gate.hold(held);
    if (held) {
      gate.cut();
      dropIdle();
    }
  }

  /** Waits a moment, less if the client is closed; false then. */
  public boolean pause(long millis) {
    gate.pause(millis);
    return !gate.isClosed();
  }

  private void dropIdle() {
    for (Connection c = takeIdle(); c != null; c = takeIdle()) {
      drop(c);
    }
  }

  private Connection takeIdle() {
    synchronized (idle) {
      return idle.pollLast();
    }
  }

  private void drop(Connection connection) {
    gate.leave(connection);
    connection.close();
  }

  /** A request with a body in parts, repeated within the budget where that can help. */
  public Reply send(String path, String headers, ByteBuffer[] body, Budget budget) throws Failure {
    int size = 0;
    for (ByteBuffer part : body) {
      size += part.remaining();
    }
    Retry schedule = new Retry();
    int attempts = 0;
    int stale = 0;
    boolean possiblyArrived = false;
    Failure before = null;
    while (true) {
      if (!gate.pass(budget.end)) {
        Failure held =
            new Failure(ErrorCode.TIMED_OUT, "the exporter is suspended (`" + budget.knob + "`)");
        held.repeats = true;
        throw held;
      }
      Failure failure;
      long had = Gate.millisUntil(budget.end);
      try {
        String head = head("PUT", path, headers + memory.rates(), size);
        Answer answer = exchange(head, body, budget);
        attempts++;
        failure = Refusals.of(address, "PUT " + path, answer);
        if (failure == null) {
          return memory.reply(answer, attempts, possiblyArrived);
        }
        memory.note(answer);
      } catch (Failure e) {
        failure = e;
        possiblyArrived |= e.possiblyArrived;
        // Each kept connection can be stale once; what fails on a new one is no matter of age.
        if (e.stale && stale <= limits.idleConnections) {
          stale++;
          continue;
        }
        if (before != null && e.code == ErrorCode.TIMED_OUT && had < Retry.LEAST_MILLIS) {
          // The time was over before it began: what failed before says more.
          throw giveUp(before, budget);
        }
        attempts++;
        failure.repeats |= e.status == 0 && Retry.repeatsKind(e.code);
      }
      if (gate.isClosed()) {
        failure = Failure.closed();
      }
      failure.attempts = attempts;
      failure.possiblyArrived = possiblyArrived;
      long left = Gate.millisUntil(budget.end);
      long wait = failure.repeats ? schedule.next(left, failure.retryAfterMillis) : -1;
      if (wait < 0) {
        throw giveUp(failure, budget);
      }
      before = failure;
      gate.pause(wait);
    }
  }

  private static Failure giveUp(Failure failure, Budget budget) {
    boolean named = failure.getMessage().contains(budget.knob);
    if (!failure.repeats || failure.attempts <= 1 && named) {
      return failure;
    }
    String times = failure.attempts <= 1 ? "once" : failure.attempts + " times";
    return failure.note(
        "; tried " + times + " within " + budget.millis + " ms (`" + budget.knob + "`)");
  }

  /** What the agent says of itself. Not thread-safe. */
  public static final class Info {
    public final byte[] body;
    public final String tagsHash;

    Info(byte[] body, String tagsHash) {
      this.body = body;
      this.tagsHash = tagsHash;
    }
  }

  /** Reads {@code /info} once; a failure with status 404 if the agent has none. */
  public Info info(String headers, long limitMillis) throws Failure {
    Answer answer = get("/info", headers, limitMillis);
    Failure refusal = Refusals.of(address, "GET /info", answer);
    if (refusal != null) {
      throw refusal;
    }
    boolean object = false;
    try {
      String text = new String(answer.body(), StandardCharsets.UTF_8);
      object = Json.parse(text) instanceof Map;
    } catch (IllegalArgumentException e) {
      object = false;
    }
    if (!object) {
      String why = address + " gave no answer that can be used: /info is no JSON object";
      throw new Failure(ErrorCode.INVALID_RESPONSE, why);
    }
    return new Info(answer.body(), answer.header("datadog-container-tags-hash"));
  }

  private Answer get(String path, String headers, long limitMillis) throws Failure {
    Budget budget =
        new Budget(System.nanoTime() + limitMillis * 1_000_000, limitMillis, "sendTimeout", false);
    for (int stale = 0; ; stale++) {
      try {
        return exchange(head("GET", path, headers, -1), new ByteBuffer[0], budget);
      } catch (Failure e) {
        if (gate.isClosed()) {
          throw Failure.closed();
        }
        if (!e.stale || stale > limits.idleConnections) {
          throw e;
        }
      }
    }
  }

  private String head(String method, String path, String headers, int length) {
    String at = port == 80 ? host : host + ":" + port;
    String head = method + " " + prefix + path + " HTTP/1.1\r\nhost: " + at + "\r\n" + headers;
    return (length < 0 ? head : head + "content-length: " + length + "\r\n") + "\r\n";
  }

  private Answer exchange(String head, ByteBuffer[] body, Budget budget) throws Failure {
    long byTimeout = System.nanoTime() + limits.sendMillis * 1_000_000;
    boolean timeout = byTimeout - budget.end < 0;
    long end = timeout ? byTimeout : budget.end;
    String within =
        timeout
            ? " within " + limits.sendMillis + " ms (`sendTimeout`)"
            : " within " + budget.millis + " ms (`" + budget.knob + "`)";
    Connection connection = connection(end, within);
    ByteBuffer[] parts = new ByteBuffer[body.length + 1];
    parts[0] = ByteBuffer.wrap(head.getBytes(StandardCharsets.UTF_8));
    long size = 0;
    for (int i = 0; i < body.length; i++) {
      parts[i + 1] = body[i].duplicate();
      size += body[i].remaining();
    }
    if (size > 0) {
      outlet.passes(size, budget.waits);
    }
    Answer answer = new Answer(connection, end);
    boolean sent = false;
    boolean again = false;
    try {
      try {
        sent = connection.write(parts, end);
      } catch (SocketTimeoutException e) {
        throw new Failure(ErrorCode.TIMED_OUT, address + " took nothing more" + within);
      } catch (IOException e) {
        // The agent may have answered already (413) and closed: let the read find out.
        sent = false;
      }
      answer.read();
      again = sent && answer.isReusable();
      return answer;
    } catch (IOException e) {
      throw broken(e, answer, connection, sent, within);
    } catch (Failure e) {
      if (e.code == ErrorCode.INVALID_RESPONSE) {
        String what = address + " gave no answer that can be used: " + e.getMessage();
        throw told(new Failure(e.code, what), answer, sent);
      }
      throw e;
    } finally {
      if (again) {
        putBack(connection);
      } else {
        drop(connection);
      }
    }
  }

  /** What is known of a request whose answer could not be read. */
  private static Failure told(Failure failure, Answer answer, boolean sent) {
    failure.status = answer.status;
    boolean taken = answer.status == 0 || answer.status >= 200 && answer.status < 300;
    failure.possiblyArrived = sent && taken;
    failure.repeats = Retry.repeatsStatus(answer.status);
    return failure;
  }

  private Failure broken(
      IOException e, Answer answer, Connection connection, boolean sent, String within) {
    if (gate.isClosed()) {
      Failure closed = Failure.closed();
      closed.possiblyArrived = sent;
      return closed;
    }
    if (e instanceof SocketTimeoutException) {
      String what = answer.began() ? " did not finish its answer" : " did not answer";
      return told(new Failure(ErrorCode.TIMED_OUT, address + what + within), answer, sent);
    }
    if (answer.began()) {
      String what = address + " broke its answer off: the connection ended in the middle of it";
      Failure failure = told(new Failure(ErrorCode.INVALID_RESPONSE, what), answer, sent);
      failure.repeats |= answer.status == 0;
      return failure;
    }
    String how = e instanceof EOFException ? " closed" : " reset";
    String what = address + how + " the connection before it had answered";
    Failure failure = told(new Failure(ErrorCode.CONNECTION_RESET, what), answer, sent);
    failure.stale = connection.kept;
    return failure;
  }

  private void putBack(Connection connection) {
    connection.kept = true;
    connection.idleSince = System.nanoTime();
    Connection surplus = connection;
    synchronized (idle) {
      if (limits.idleConnections > 0 && !gate.isClosed()) {
        idle.addLast(connection);
        surplus = idle.size() > limits.idleConnections ? idle.pollFirst() : null;
      }
    }
    if (surplus != null) {
      drop(surplus);
    }
  }

  private Connection connection(long end, String within) throws Failure {
    for (Connection c = takeIdle(); c != null; c = takeIdle()) {
      boolean young = System.nanoTime() - c.idleSince < limits.idleMillis * 1_000_000;
      if (young && c.isSilent()) {
        return c;
      }
      drop(c);
    }
    if (gate.isClosed()) {
      throw Failure.closed();
    }
    long byConnect = System.nanoTime() + limits.connectMillis * 1_000_000;
    boolean shorter = byConnect - end < 0;
    String limit = shorter ? " within " + limits.connectMillis + " ms (`connectTimeout`)" : within;
    long until = shorter ? byConnect : end;
    return socket == null ? openTcp(until, limit) : openUnix(until, limit);
  }

  private Connection openTcp(long end, String within) throws Failure {
    IOException last = new ConnectException();
    for (InetAddress one : lookup(end, within)) {
      try {
        return Connection.open(new InetSocketAddress(one, port), false, gate, end);
      } catch (IOException e) {
        last = e;
      }
    }
    throw connecting(last, within);
  }

  private Failure connecting(IOException e, String within) {
    if (gate.isClosed()) {
      return Failure.closed();
    }
    if (e instanceof SocketTimeoutException) {
      return new Failure(ErrorCode.TIMED_OUT, "no connection to " + address + within);
    }
    String text = String.valueOf(e.getMessage());
    if (e instanceof NoRouteToHostException || text.contains("unreachable")) {
      String what = address + " cannot be reached from here: check the network and `url`";
      return new Failure(ErrorCode.UNREACHABLE, what);
    }
    if (e instanceof ConnectException) {
      return new Failure(
          ErrorCode.CONNECTION_REFUSED,
          "nobody listens at "
              + address
              + ": is the agent running, and is its port the one in `url`?");
    }
    return new Failure(ErrorCode.IO, "connecting to " + address + " failed: " + text);
  }

  private InetAddress[] lookup(long end, String within) throws Failure {
    boolean literal = host.startsWith("[") || host.matches("[0-9.]+");
    try {
      if (literal) {
        return InetAddress.getAllByName(host);
      }
      // The system's resolver has no time limit.
      FutureTask<InetAddress[]> task = new FutureTask<>(() -> InetAddress.getAllByName(host));
      Thread thread = new Thread(null, task, "dp-lookup", 256 * 1024);
      thread.setDaemon(true);
      thread.setContextClassLoader(null);
      thread.start();
      while (true) {
        try {
          return task.get(Math.max(1, Gate.millisUntil(end)), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
          Interrupts.keep();
        }
      }
    } catch (TimeoutException e) {
      throw new Failure(ErrorCode.TIMED_OUT, "no address of " + host + within);
    } catch (ExecutionException | UnknownHostException e) {
      throw new Failure(
          ErrorCode.NAME_NOT_RESOLVED,
          "the host name \"" + host + "\" has no address: check `url` and the name service");
    }
  }

  private Connection openUnix(long end, String within) throws Failure {
    File file = new File(socket);
    if (!file.exists()) {
      throw new Failure(
          ErrorCode.SOCKET_MISSING,
          "the socket "
              + socket
              + " does not exist: is the agent running, and is its path mounted here? (`url`)");
    }
    SocketAddress to;
    try {
      to = UnixSockets.address(socket);
    } catch (RuntimeException e) {
      throw new Failure(ErrorCode.INVALID_URL, "the path of the socket " + socket + ": " + e);
    }
    try {
      return Connection.open(to, true, gate, end);
    } catch (SocketTimeoutException e) {
      throw new Failure(ErrorCode.TIMED_OUT, "no connection to the socket " + socket + within);
    } catch (IOException e) {
      String text = String.valueOf(e.getMessage());
      if (gate.isClosed()) {
        throw Failure.closed();
      }
      if (text.contains("ermission denied")) {
        throw new Failure(
            ErrorCode.SOCKET_DENIED,
            "this process may not open the socket " + socket + ": it needs write permission on it");
      }
      if (text.contains("wrong type") || file.isFile() || file.isDirectory()) {
        throw new Failure(
            ErrorCode.SOCKET_WRONG_TYPE,
            socket + " is not a Unix stream socket: `url` must name the agent's own socket");
      }
      if (text.contains("refused")) {
        throw new Failure(ErrorCode.CONNECTION_REFUSED, "nobody listens at the socket " + socket);
      }
      throw new Failure(ErrorCode.IO, "connecting to the socket " + socket + " failed: " + text);
    }
  }
}
