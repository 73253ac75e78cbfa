import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URL;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import javax.management.MBeanServer;
import javax.management.ObjectName;

/**
 * A small application for the tracer: a server that calls itself and asks a database; every fifth
 * answer is an error. usage: App REQUESTS PAUSE_MS START_MS END_MS, with H2 on the class path
 */
public final class App {
  private App() {}

  public static void main(String[] arguments) throws Exception {
    int requests = Integer.parseInt(arguments[0]);
    long pause = Long.parseLong(arguments[1]);
    long start = Long.parseLong(arguments[2]);
    long end = Long.parseLong(arguments[3]);
    if (Boolean.getBoolean("app.without.err")) {
      System.setErr(null);
    }
    Connection database = DriverManager.getConnection("jdbc:h2:mem:shop");
    try (Statement statement = database.createStatement()) {
      statement.execute("CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(40))");
      statement.execute("INSERT INTO items VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    }
    ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread serving = new Thread(() -> serve(server, database), "server");
    serving.setDaemon(true);
    serving.start();
    // The tracer instruments the client when it is ready, which takes a while.
    Thread.sleep(start);
    int answered = 0;
    for (int i = 0; i < requests; i++) {
      URL url = new URL("http://127.0.0.1:" + server.getLocalPort() + "/request/" + i);
      HttpURLConnection connection = (HttpURLConnection) url.openConnection();
      int status = connection.getResponseCode();
      try (InputStream in =
          status < 400 ? connection.getInputStream() : connection.getErrorStream()) {
        while (in.read() >= 0) {}
      }
      answered += status == (i % 5 == 4 ? 404 : 200) ? 1 : 0;
      Thread.sleep(pause);
    }
    Thread.sleep(end);
    System.out.println("answered " + answered);
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().equals("dd-trace-processor")) {
        System.out.println("sender thread alive " + thread.isAlive());
      }
    }
    if (end > 0) {
      MBeanServer beans = ManagementFactory.getPlatformMBeanServer();
      ObjectName all = new ObjectName("com.datadog.bridge.pipeline:type=TraceExporter,*");
      for (ObjectName bean : beans.queryNames(all, null)) {
        System.out.println("bean " + bean + " has sent " + beans.getAttribute(bean, "SentTraces"));
      }
    }
    System.exit(answered == requests ? 0 : 1);
  }

  /** A server of its own: not every runtime has the JDK's. One request a connection. */
  private static void serve(ServerSocket server, Connection database) {
    while (true) {
      try (Socket peer = server.accept()) {
        BufferedReader in = new BufferedReader(new InputStreamReader(peer.getInputStream()));
        String path = in.readLine().split(" ")[1];
        for (String line = in.readLine(); line != null && !line.isEmpty(); ) {
          line = in.readLine();
        }
        int id = Integer.parseInt(path.substring(path.lastIndexOf('/') + 1));
        String body = name(database, id % 3 + 1);
        String head = "HTTP/1.1 " + (id % 5 == 4 ? "404 Not Found" : "200 OK") + "\r\n";
        head += "Connection: close\r\nContent-Length: " + body.length() + "\r\n\r\n";
        peer.getOutputStream().write((head + body).getBytes("US-ASCII"));
      } catch (IOException e) {
        System.out.println("server: " + e);
      }
    }
  }

  private static synchronized String name(Connection database, int id) {
    try (PreparedStatement query =
        database.prepareStatement("SELECT name FROM items WHERE id = ?")) {
      query.setInt(1, id);
      try (ResultSet row = query.executeQuery()) {
        return row.next() ? row.getString(1) : "none";
      }
    } catch (SQLException e) {
      return e.toString();
    }
  }
}
