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
 * due. usage: Load PORT REQUESTS_A_SECOND SECONDS; prints p50 and p99 in microseconds, and errors
 */
public final class Load {
  private static final int CONNECTIONS = 8;

  private Load() {}

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    double rate = Double.parseDouble(arguments[1]);
    int requests = (int) (rate * Double.parseDouble(arguments[2]));
    long[] latencies = new long[requests];
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
    Arrays.sort(latencies);
    System.out.printf(
        Locale.ROOT,
        "%d %d %d%n",
        latencies[requests / 2] / 1000,
        latencies[(int) (requests * 0.99)] / 1000,
        errors.get());
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
