package consumer;

import com.datadog.pipeline.TraceExporter;
import com.datadog.pipeline.logging.Slf4jLogListener;
import com.datadog.pipeline.testkit.FakeAgent;
import java.nio.charset.StandardCharsets;
import org.springframework.boot.CommandLineRunner;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;

/** An exporter as a bean: Spring closes it when the application ends. */
@SpringBootApplication
public class Application {
  private static final byte[] ONE =
      "\u0091\u0091\u0083\u00a7span_id\u0008\u00a8trace_id\u0007\u00a4name\u00a8consumer"
          .getBytes(StandardCharsets.ISO_8859_1);

  /** Starts it. */
  public static void main(String[] args) {
    SpringApplication.run(Application.class, args);
  }

  @Bean
  FakeAgent agent() {
    return FakeAgent.start();
  }

  @Bean
  TraceExporter exporter(FakeAgent agent) {
    return TraceExporter.builder().url(agent.url()).logListener(new Slf4jLogListener()).build();
  }

  @Bean
  CommandLineRunner oneTrace(TraceExporter exporter, FakeAgent agent) {
    return args -> {
      exporter.send(ONE);
      agent.assertTraces().hasSize(1).span("consumer");
      System.out.println("arrived through " + TraceExporter.class.getName());
    };
  }
}
