package com.datadog.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.datadog.pipeline.testkit.FakeAgent;
import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URI;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A full Java heap and a panic are the worst that can happen inside a native. */
class HeapFullTest {
  /** Enough of one payload that an answer and its numbers do not fit beside it by accident. */
  private static byte[] payload() {
    int traces = 300;
    byte[] out = new byte[3 + traces * (SendTest.ONE.length - 1)];
    out[0] = (byte) 0xdc;
    out[1] = (byte) (traces >> 8);
    out[2] = (byte) traces;
    for (int i = 0; i < traces; i++) {
      int at = 3 + i * (SendTest.ONE.length - 1);
      System.arraycopy(SendTest.ONE, 1, out, at, SendTest.ONE.length - 1);
    }
    return out;
  }

  @Test
  void everyCallEndsInAnAnswerOrTheErrorOfTheJvm() throws Exception {
    // A launcher may keep these classes in a loader of its own, beside java.class.path.
    URI classes = Host.class.getProtectionDomain().getCodeSource().getLocation().toURI();
    String path = Jars.JAR + File.pathSeparator + new File(classes);
    try (FakeAgent agent = FakeAgent.start()) {
      ChildJvm.Outcome o =
          new ChildJvm()
              .run(
                  "-XX:+UseSerialGC",
                  "-Xmx16m",
                  "-Xcheck:jni",
                  "-cp",
                  path,
                  Host.class.getName(),
                  agent.url());
      assertEquals(0, o.exit, o.toString());
      assertTrue(o.out.contains("the exporter works: 200 true"), o.toString());
      assertTrue(o.out.contains("OutOfMemoryError"), "the heap was never full: " + o);
    }
  }

  @Test
  void aPanicBecomesAnExceptionWithItsPlace() throws Exception {
    Method ask =
        TraceExporter.class.getDeclaredMethod("nativeAsk", long.class, int.class, long.class);
    ask.setAccessible(true);
    try (FakeAgent agent = FakeAgent.start();
        TraceExporter exporter = TraceExporter.builder().url(agent.url()).build()) {
      long handle = exporter.handle();
      for (int i = 0; i < 3; i++) {
        InvocationTargetException e =
            assertThrows(InvocationTargetException.class, () -> ask.invoke(null, handle, -1, 0L));
        TraceExporterException panic = (TraceExporterException) e.getCause();
        assertEquals(ErrorCode.PANIC, panic.code());
        assertTrue(panic.getMessage().contains("asked for by question -1"), panic.getMessage());
        assertTrue(panic.getMessage().contains("questions.rs:"), panic.getMessage());
        assertEquals(200, exporter.send(SendTest.ONE).status());
      }
    }
  }

  /** A program whose heap is full whenever it calls. */
  public static final class Host {
    private static final Object[] HOLD = new Object[4000];
    private static final int ROUNDS = 12;

    private Host() {}

    /** Fills the heap but for about {@code slack} bytes. */
    private static void fill(int slack) {
      int n = 0;
      int size = 256 * 1024;
      while (size >= 64 && n < HOLD.length) {
        try {
          HOLD[n] = new byte[size];
          n++;
        } catch (OutOfMemoryError e) {
          size /= 4;
        }
      }
      int back = 0;
      for (int k = n - 1; k >= 0 && back < slack; k--) {
        back += ((byte[]) HOLD[k]).length;
        HOLD[k] = null;
      }
    }

    private static void empty() {
      Arrays.fill(HOLD, null);
    }

    /** Calls everything there is, again and again; the argument is the agent's URL. */
    public static void main(String[] args) throws Exception {
      byte[] big = payload();
      byte[] bad = {(byte) 0x91, (byte) 0x91, (byte) 0x81};
      ByteBuffer direct = ByteBuffer.allocateDirect(big.length);
      direct.put(big).flip();
      ByteBuffer[] pieces = {
        ByteBuffer.wrap(big, 0, 100), ByteBuffer.wrap(big, 100, big.length - 100)
      };
      List<byte[]> all = Collections.singletonList(big);
      Payloads.Conversion v1 = Payloads.Conversion.to(OutputFormat.V1);
      Payloads.Obfuscation statement = Payloads.Obfuscation.of(Payloads.TextKind.SQL);
      byte[] sql = "select 1".getBytes("US-ASCII");
      TraceExporter e = TraceExporter.builder().url(args[0]).onMalformed(OnMalformed.FAIL).build();
      e.awaitAgent(Duration.ofSeconds(5));
      Map<String, Callable<Object>> calls = new TreeMap<>();
      calls.put("send", () -> e.send(big));
      calls.put("send direct", () -> e.send(direct));
      calls.put("send pieces", () -> e.send(pieces));
      calls.put("send bad", () -> e.send(bad));
      calls.put("offer", () -> e.offer(big));
      calls.put("metrics", e::metrics);
      calls.put("explain", e::explain);
      calls.put("state", e::state);
      calls.put("info", e::agentInfo);
      calls.put("stats", e::stats);
      calls.put("show", () -> Payloads.show(big));
      calls.put("convert", () -> Payloads.convert(big, v1));
      calls.put(
          "stats of", () -> Payloads.stats(all, Payloads.Counting.asAnExporter().obfuscated()));
      calls.put("obfuscate", () -> Payloads.obfuscate(sql, statement));
      calls.put("flush", () -> e.flush(Duration.ofMillis(200)));
      calls.put("build", () -> TraceExporter.builder().url(args[0]).build().close(Duration.ZERO));
      calls.put("async", () -> async(e, big));
      int wrong = 0;
      for (Map.Entry<String, Callable<Object>> call : calls.entrySet()) {
        Map<String, Integer> seen = new TreeMap<>();
        Random random = new Random(call.getKey().hashCode());
        for (int i = 0; i < ROUNDS; i++) {
          int slack = random.nextInt(4) == 0 ? 0 : random.nextInt(1 << (6 + random.nextInt(12)));
          Throwable thrown = null;
          Object result = null;
          // Twice with room: classes that cannot be loaded are no matter of ours.
          if (i >= 2) {
            fill(slack);
          }
          try {
            result = call.getValue().call();
          } catch (Throwable t) {
            thrown = t;
          }
          empty();
          String how = thrown == null ? "ok" : thrown.getClass().getSimpleName();
          boolean malformed =
              thrown instanceof TraceExporterException && call.getKey().equals("send bad");
          if (thrown == null
              ? result == null
              : !(thrown instanceof OutOfMemoryError || malformed)) {
            wrong++;
            how = "WRONG: " + (thrown == null ? "null" : thrown.toString());
          }
          seen.merge(how, 1, Integer::sum);
        }
        System.out.println(call.getKey() + " " + seen);
      }
      System.out.println(
          "the exporter works: "
              + e.send(big).status()
              + " "
              + e.flush(Duration.ofSeconds(5)).complete());
      e.close();
      System.exit(wrong == 0 ? 0 : 1);
    }

    private static Object async(TraceExporter e, byte[] payload) throws Exception {
      CompletableFuture<AgentResponse> future = e.sendAsync(payload);
      empty();
      try {
        return future.get(5, TimeUnit.SECONDS);
      } catch (ExecutionException x) {
        if (x.getCause() instanceof OutOfMemoryError) {
          throw (OutOfMemoryError) x.getCause();
        }
        throw x;
      }
    }
  }
}
