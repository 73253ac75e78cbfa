import com.sun.net.httpserver.HttpServer;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.concurrent.Executors;

/**
 * A small application for the tracer: a server that calls itself. usage: App REQUESTS PAUSE_MS
 * START_MS END_MS
 */
public final class App {
  private App() {}

  public static void main(String[] arguments) throws Exception {
    int requests = Integer.parseInt(arguments[0]);
    long pause = Long.parseLong(arguments[1]);
    long start = Long.parseLong(arguments[2]);
    long end = Long.parseLong(arguments[3]);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.createContext(
        "/",
        exchange -> {
          byte[] body = "hello".getBytes("UTF-8");
          exchange.sendResponseHeaders(200, body.length);
          exchange.getResponseBody().write(body);
          exchange.close();
        });
    server.start();
    // The tracer instruments the client when it is ready, which takes a while.
    Thread.sleep(start);
    int answered = 0;
    for (int i = 0; i < requests; i++) {
      URL url = new URL("http://127.0.0.1:" + server.getAddress().getPort() + "/request/" + i);
      HttpURLConnection connection = (HttpURLConnection) url.openConnection();
      try (InputStream in = connection.getInputStream()) {
        while (in.read() >= 0) {}
      }
      answered += connection.getResponseCode() == 200 ? 1 : 0;
      Thread.sleep(pause);
    }
    Thread.sleep(end);
    System.out.println("answered " + answered);
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().equals("dd-trace-processor")) {
        System.out.println("sender thread alive " + thread.isAlive());
      }
    }
    System.exit(answered == requests ? 0 : 1);
  }
}
