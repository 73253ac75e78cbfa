package shop;

import java.lang.management.ManagementFactory;
import java.util.List;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.RestController;

/** A web application with a database, for runs under load; {@code /cost} says what it has used. */
@SpringBootApplication
@RestController
public class ShopApplication {
  private final JdbcTemplate database;

  public ShopApplication(JdbcTemplate database) {
    this.database = database;
    database.execute("CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(40), price INT)");
    for (int i = 0; i < 100; i++) {
      database.update("INSERT INTO items VALUES (?, ?, ?)", i, "item " + i, 7 * i);
    }
  }

  @GetMapping("/orders/{id}")
  public List<?> order(@PathVariable("id") int id) {
    database.queryForObject("SELECT SUM(price) FROM items WHERE id < ?", Integer.class, id % 100);
    return database.queryForList("SELECT name, price FROM items WHERE id BETWEEN ? AND ?", 3, 9);
  }

  /** Milliseconds of CPU, and bytes allocated by the threads that live. */
  @GetMapping("/cost")
  public String cost() {
    com.sun.management.ThreadMXBean threads =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    long bytes = 0;
    for (long one : threads.getThreadAllocatedBytes(threads.getAllThreadIds())) {
      bytes += Math.max(0, one);
    }
    com.sun.management.OperatingSystemMXBean system =
        (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime() / 1_000_000 + " " + bytes;
  }

  public static void main(String[] arguments) {
    SpringApplication.run(ShopApplication.class, arguments);
  }
}
