import datadog.communication.ddagent.DDAgentFeaturesDiscovery;
import datadog.communication.http.OkHttpUtils;
import datadog.metrics.api.Monitoring;
import datadog.okhttp3.HttpUrl;
import datadog.okhttp3.OkHttpClient;
import datadog.trace.agent.common.writer.Payload;
import datadog.trace.agent.common.writer.RemoteApi;
import datadog.trace.agent.common.writer.ddagent.DDAgentApi;
import datadog.trace.agent.common.writer.ddagent.TraceMapperV0_4;
import datadog.trace.api.ProtocolVersion;
import java.nio.ByteBuffer;

/**
 * dd-trace-java's own sender with its own HTTP client, given the bytes that its mapper would have
 * written.
 */
final class DdSender implements Sender {
  private final DDAgentApi api;
  private ByteBuffer body;
  private int traces;

  DdSender(String url) {
    HttpUrl at = HttpUrl.get(url);
    OkHttpClient client = OkHttpUtils.buildHttpClient(at, 10_000);
    DDAgentFeaturesDiscovery discovery =
        new DDAgentFeaturesDiscovery(
            client, Monitoring.DISABLED, at, ProtocolVersion.V0_4, false, false);
    api = new DDAgentApi(client, at, discovery, Monitoring.DISABLED, false);
  }

  @Override
  public void prepare(byte[] payload, int traces, int spans) {
    // Its payload writes the array's head itself.
    int head = (payload[0] & 0xff) == 0xdc ? 3 : (payload[0] & 0xff) == 0xdd ? 5 : 1;
    body = ByteBuffer.wrap(payload, head, payload.length - head).slice();
    this.traces = traces;
  }

  @Override
  public void send() {
    Payload payload = new TraceMapperV0_4().newPayload().withBody(traces, body.duplicate());
    RemoteApi.Response response = api.sendSerializedTraces(payload);
    if (!response.success()) {
      throw new IllegalStateException("refused: " + response.status() + " " + response.exception());
    }
  }

  @Override
  public void close() {}
}
