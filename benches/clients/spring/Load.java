import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Requests at a fixed rate, whatever the answers do: each latency counts from when the request was
 * due. With several ports in turn, a slice of the time each, forth and back, so that what else the
 * machine does meets all of them.
 *
 * <p>usage: Load REQUESTS_A_SECOND SECONDS_EACH SLICE_SECONDS PORT...; prints a line for each port,
 * p50 and p99 in microseconds and errors, and then for each the median of its p99 over that of the
 * first port in the same round.
 */
public final class Load {
  private static final int CONNECTIONS = 8;

  private Load() {}

  public static void main(String[] arguments) throws Exception {
    double rate = Double.parseDouble(arguments[0]);
    double slice = Double.parseDouble(arguments[2]);
    int rounds = (int) Math.max(1, Math.round(Double.parseDouble(arguments[1]) / slice));
    int requests = (int) (rate * slice);
    int ports = arguments.length - 3;
    long[][][] latencies = new long[ports][rounds][];
    long[] errors = new long[ports];
    for (int round = 0; round < rounds; round++) {
      for (int k = 0; k < ports; k++) {
        int i = round % 2 == 0 ? k : ports - 1 - k;
        latencies[i][round] = new long[requests];
        errors[i] += slice(Integer.parseInt(arguments[3 + i]), rate, latencies[i][round]);
      }
    }
    for (int i = 0; i < ports; i++) {
      long[] all = Arrays.stream(latencies[i]).flatMapToLong(Arrays::stream).toArray();
      System.out.printf(
          Locale.ROOT, "%d %d %d%n", quantile(all, 0.5), quantile(all, 0.99), errors[i]);
    }
    for (int i = 0; i < ports; i++) {
      double[] ratios = new double[rounds];
      for (int round = 0; round < rounds; round++) {
        ratios[round] =
            (double) quantile(latencies[i][round], 0.99) / quantile(latencies[0][round], 0.99);
      }
      Arrays.sort(ratios);
      System.out.printf(Locale.ROOT, "%.3f%n", ratios[rounds / 2]);
    }
  }

  /** In microseconds. */
  private static long quantile(long[] latencies, double quantile) {
    long[] sorted = latencies.clone();
    Arrays.sort(sorted);
    return sorted[(int) (sorted.length * quantile)] / 1000;
  }

  /** Sends them all to one port; gives how many were not answered well. */
  private static long slice(int port, double rate, long[] latencies) throws InterruptedException {
    int requests = latencies.length;
    AtomicInteger next = new AtomicInteger();
    AtomicLong errors = new AtomicLong();
    CountDownLatch done = new CountDownLatch(CONNECTIONS);
    long start = System.nanoTime();
    for (int c = 0; c < CONNECTIONS; c++) {
      new Thread(
              () -> {
                try (Socket socket = new Socket("127.0.0.1", port);
                    InputStream in = new BufferedInputStream(socket.getInputStream())) {
                  socket.setTcpNoDelay(true);
                  for (int i = next.getAndIncrement(); i < requests; i = next.getAndIncrement()) {
                    long due = start + (long) (i / rate * 1e9);
                    long wait = due - System.nanoTime();
                    if (wait > 0) {
                      Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                    }
                    String request = "GET /orders/" + i % 500 + " HTTP/1.1\r\nHost: shop\r\n\r\n";
                    socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
                    errors.addAndGet(answer(in) == 200 ? 0 : 1);
                    latencies[i] = System.nanoTime() - due;
                  }
                } catch (IOException | InterruptedException e) {
                  errors.addAndGet(requests);
                }
                done.countDown();
              })
          .start();
    }
    done.await();
    return errors.get();
  }

  private static int answer(InputStream in) throws IOException {
    StringBuilder head = new StringBuilder();
    while (head.length() < 4 || !head.substring(head.length() - 4).equals("\r\n\r\n")) {
      int b = in.read();
      if (b < 0) {
        throw new IOException("the connection ended");
      }
      head.append((char) b);
    }
    String lower = head.toString().toLowerCase(Locale.ROOT);
    int at = lower.indexOf("content-length:");
    if (at >= 0) {
      int size = Integer.parseInt(lower.substring(at + 15, lower.indexOf('\r', at)).trim());
      in.skipNBytes(size);
    } else {
      // In chunks.
      while (true) {
        StringBuilder size = new StringBuilder();
        for (int b = in.read(); b != '\n'; b = in.read()) {
          size.append((char) b);
        }
        int chunk = Integer.parseInt(size.toString().trim(), 16);
        in.skipNBytes(chunk + 2);
        if (chunk == 0) {
          break;
        }
      }
    }
    return Integer.parseInt(lower.split(" ", 3)[1]);
  }
}
