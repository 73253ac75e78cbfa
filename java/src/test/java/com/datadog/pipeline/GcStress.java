package com.datadog.pipeline;

import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A program for {@code make sanitize}: every call from several threads while the collector is busy,
 * in a heap that is nearly too small. Arguments: seconds. Ends with 0 if nothing but the errors
 * that are meant came up, and every account is closed.
 */
final class GcStress {
  private static final Set<ErrorCode> MEANT =
      EnumSet.of(
          ErrorCode.CLOSED,
          ErrorCode.QUEUE_FULL,
          ErrorCode.EVICTED,
          ErrorCode.MALFORMED_PAYLOAD,
          ErrorCode.TRUNCATED_PAYLOAD,
          ErrorCode.OUT_OF_MEMORY,
          ErrorCode.TIMED_OUT,
          ErrorCode.CONNECTION_RESET,
          ErrorCode.AGENT_DOWN);
  private static final Map<String, AtomicLong> DONE = new ConcurrentSkipListMap<>();
  private static final List<String> WRONG = Collections.synchronizedList(new ArrayList<>());
  private static volatile boolean stop;
  private static volatile byte[] garbage;

  private GcStress() {}

  private interface Call {
    void run() throws Exception;
  }

  private static void count(String what) {
    DONE.computeIfAbsent(what, name -> new AtomicLong()).incrementAndGet();
  }

  private static void judge(String name, Throwable failure) {
    Throwable why = failure;
    while (why instanceof CompletionException && why.getCause() != null) {
      why = why.getCause();
    }
    if (why instanceof OutOfMemoryError) {
      return;
    }
    boolean meant =
        why instanceof TraceExporterException
            && MEANT.contains(((TraceExporterException) why).code());
    if (!meant && !(why instanceof InterruptedException) && WRONG.size() < 20) {
      WRONG.add(name + ": " + why + " " + Arrays.toString(why.getStackTrace()));
    }
  }

  private static Thread again(String name, Call call) {
    Thread thread =
        new Thread(
            () -> {
              while (!stop) {
                try {
                  call.run();
                  count(name);
                } catch (Throwable e) {
                  judge(name, e);
                }
              }
            },
            name);
    thread.start();
    return thread;
  }

  /** Takes everything and keeps nothing. */
  private static void serve(Socket socket) {
    String rates = "{\"rate_by_service\":{\"service:,env:\":1}}";
    String head200 = "HTTP/1.1 200 OK\r\nContent-Length: " + rates.length() + "\r\n\r\n";
    byte[] answer = (head200 + rates).getBytes(StandardCharsets.ISO_8859_1);
    try (Socket s = socket) {
      InputStream in = s.getInputStream();
      OutputStream out = s.getOutputStream();
      byte[] buffer = new byte[1 << 14];
      StringBuilder head = new StringBuilder();
      for (int c = in.read(); c >= 0; c = in.read()) {
        head.append((char) c);
        if (head.length() < 4 || head.indexOf("\r\n\r\n", head.length() - 4) < 0) {
          continue;
        }
        String name = "content-length:";
        int at = head.toString().toLowerCase(Locale.ROOT).indexOf(name);
        int left = 0;
        if (at >= 0) {
          int end = head.indexOf("\r\n", at);
          left = Integer.parseInt(head.substring(at + name.length(), end).trim());
        }
        while (left > 0) {
          int n = in.read(buffer, 0, Math.min(left, buffer.length));
          if (n < 0) {
            return;
          }
          left -= n;
        }
        head.setLength(0);
        out.write(answer);
      }
    } catch (Exception | OutOfMemoryError e) {
      // The client sends again.
      return;
    }
  }

  private static List<byte[]> payloads() throws Exception {
    List<byte[]> all = new ArrayList<>();
    Path root = Paths.get(System.getProperty("fixtures", "tests/fixtures"), "traces");
    List<Path> files;
    try (Stream<Path> walk = Files.walk(root)) {
      files =
          walk.filter(p -> p.toString().endsWith(".msgpack")).sorted().collect(Collectors.toList());
    }
    for (Path file : files) {
      if (Files.size(file) < 40_000 && all.size() < 40) {
        all.add(Files.readAllBytes(file));
      }
    }
    all.add(new byte[] {(byte) 0x90});
    all.add(new byte[] {(byte) 0x91, (byte) 0x91, (byte) 0x81});
    return all;
  }

  private static void send(TraceExporter exporter, byte[] p, long turn) {
    switch ((int) (turn % 4)) {
      case 0:
        exporter.send(p);
        break;
      case 1:
        exporter.send(direct(p, 0));
        break;
      case 2:
        int cut = (int) (turn % (p.length + 1));
        exporter.send(new ByteBuffer[] {ByteBuffer.wrap(p, 0, cut), direct(p, cut)});
        break;
      default:
        byte[] wider = new byte[p.length + 20];
        System.arraycopy(p, 0, wider, 7, p.length);
        exporter.send(wider, 7, p.length).rates();
    }
  }

  private static ByteBuffer direct(byte[] p, int from) {
    ByteBuffer buffer = ByteBuffer.allocateDirect(p.length - from);
    buffer.put(p, from, p.length - from);
    buffer.flip();
    return buffer;
  }

  /** Runs it. */
  public static void main(String[] args) throws Exception {
    ServerSocket listener = new ServerSocket(0, 500, InetAddress.getByName("127.0.0.1"));
    Thread acceptor =
        new Thread(
            () -> {
              while (true) {
                try {
                  Socket socket = listener.accept();
                  Thread connection = new Thread(() -> serve(socket), "agent");
                  connection.setDaemon(true);
                  connection.start();
                } catch (Exception | OutOfMemoryError e) {
                  if (listener.isClosed()) {
                    return;
                  }
                }
              }
            },
            "agent");
    acceptor.setDaemon(true);
    acceptor.start();
    String url = "http://127.0.0.1:" + listener.getLocalPort();
    List<byte[]> payloads = payloads();
    Path spool = Files.createTempDirectory("gc-stress");
    Files.delete(spool);
    TraceExporter plain = TraceExporter.builder().url(url).jmx(true).maxIdleConnections(8).build();
    TraceExporter full =
        TraceExporter.builder()
            .url(url)
            .service("s")
            .env("e")
            .normalize(true)
            .obfuscate(true)
            .outputFormat(OutputFormat.V1)
            .senders(2)
            .queueBytes(1 << 20)
            .spool(spool, 4 << 20)
            .build();
    AtomicLong turns = new AtomicLong();
    Semaphore futures = new Semaphore(64);
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      threads.add(
          again(
              "send",
              () -> {
                long turn = turns.incrementAndGet();
                byte[] p = payloads.get((int) (turn % payloads.size()));
                send(turn % 2 == 0 ? plain : full, p, turn / 2);
              }));
    }
    threads.add(
        again(
            "offer",
            () -> full.offer(payloads.get((int) (turns.incrementAndGet() % payloads.size())))));
    threads.add(
        again(
            "sendAsync",
            () -> {
              futures.acquire();
              boolean waits = false;
              try {
                byte[] p = payloads.get((int) (turns.incrementAndGet() % payloads.size()));
                CompletableFuture<AgentResponse> future = full.sendAsync(p);
                waits = true;
                future.whenComplete(
                    (response, failure) -> {
                      futures.release();
                      if (failure != null) {
                        judge("sendAsync", failure);
                      }
                    });
              } finally {
                if (!waits) {
                  futures.release();
                }
              }
            }));
    threads.add(
        again(
            "forgotten or closed",
            () -> {
              TraceExporter e = TraceExporter.builder().url(url).build();
              e.offer(payloads.get(0));
              if (turns.incrementAndGet() % 2 == 0) {
                e.close(Duration.ofMillis(50));
              }
              Thread.sleep(20);
            }));
    threads.add(
        again(
            "questions",
            () -> {
              plain.metrics().toString();
              plain.explain();
              full.state();
              full.agentInfo();
              full.flush(Duration.ofMillis(100));
            }));
    threads.add(
        again(
            "tools",
            () -> {
              byte[] p = payloads.get((int) (turns.incrementAndGet() % payloads.size()));
              if (p.length > 3) {
                Payloads.show(p);
                Payloads.convert(p, Payloads.Conversion.to(OutputFormat.V1));
              }
            }));
    threads.add(
        again(
            "garbage",
            () -> {
              garbage = new byte[1 + (int) (turns.incrementAndGet() * 7919 % 300_000)];
              if (garbage.length % 64 == 0) {
                System.gc();
              }
            }));
    Thread.sleep(Long.parseLong(args[0]) * 1000);
    stop = true;
    for (Thread thread : threads) {
      thread.interrupt();
      thread.join(20_000);
      if (thread.isAlive()) {
        WRONG.add(thread.getName() + " hangs: " + Arrays.toString(thread.getStackTrace()));
      }
    }
    for (TraceExporter exporter : Arrays.asList(plain, full)) {
      Metrics m = exporter.close(Duration.ofSeconds(5)).metrics();
      Metrics.Counts out =
          m.sent().plus(m.droppedTotal()).plus(m.filtered()).plus(m.sampledOut()).plus(m.queued());
      if (!m.received().equals(out)) {
        WRONG.add("an account is open: " + m);
      }
    }
    listener.close();
    System.out.println(DONE + (WRONG.isEmpty() ? "; nothing wrong" : ""));
    WRONG.forEach(System.out::println);
    System.exit(WRONG.isEmpty() ? 0 : 1);
  }
}
