import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import io.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/**
 * Do OpenTelemetry's own classes for Java read our OTLP, and is JSON the same as protobuf? A field
 * that they do not know is a failure, in either form.
 *
 * <p>usage: OtlpProtos LIST, a file with lines of a name, a request as protobuf and one as JSON,
 * with tabs between; from otlp_protos.py
 */
public final class OtlpProtos {
  private static final List<String> IDS = Arrays.asList("traceId", "spanId", "parentSpanId");

  private OtlpProtos() {}

  public static void main(String[] arguments) throws Exception {
    int spans = 0;
    int failures = 0;
    List<String> lines = Files.readAllLines(Path.of(arguments[0]));
    for (String line : lines) {
      String[] parts = line.split("\t");
      try {
        spans +=
            compare(Files.readAllBytes(Path.of(parts[1])), Files.readAllBytes(Path.of(parts[2])));
      } catch (Exception e) {
        failures++;
        System.out.println(parts[0] + ": " + e);
      }
    }
    System.out.println(
        lines.size()
            + " payloads, "
            + spans
            + " spans read by OpenTelemetry's classes for Java: "
            + failures
            + " failures");
    System.exit(failures > 0 || spans == 0 ? 1 : 0);
  }

  private static int compare(byte[] protobuf, byte[] text) throws Exception {
    ExportTraceServiceRequest read = ExportTraceServiceRequest.parseFrom(protobuf);
    known(read);
    ExportTraceServiceRequest.Builder other = ExportTraceServiceRequest.newBuilder();
    JsonElement json = withIds(JsonParser.parseString(new String(text, StandardCharsets.UTF_8)));
    JsonFormat.parser().merge(json.toString(), other);
    // Doubles are compared by their bits, and any NaN becomes the same one.
    if (!other.build().equals(read)) {
      throw new IllegalStateException("JSON is another request");
    }
    return read.getResourceSpansList().stream()
        .flatMap(resource -> resource.getScopeSpansList().stream())
        .mapToInt(scope -> scope.getSpansCount())
        .sum();
  }

  /** Every field is one that OpenTelemetry has. */
  private static void known(Message message) {
    if (!message.getUnknownFields().asMap().isEmpty()) {
      throw new IllegalStateException(
          "unknown fields in " + message.getDescriptorForType().getName());
    }
    for (Map.Entry<FieldDescriptor, Object> field : message.getAllFields().entrySet()) {
      if (field.getKey().getJavaType() == FieldDescriptor.JavaType.MESSAGE) {
        List<?> values =
            field.getKey().isRepeated() ? (List<?>) field.getValue() : List.of(field.getValue());
        values.forEach(value -> known((Message) value));
      }
    }
  }

  /** JSON with ids as protobuf's own mapping has them: OTLP writes them in hex, not in base64. */
  private static JsonElement withIds(JsonElement value) {
    if (value.isJsonArray()) {
      JsonArray all = new JsonArray();
      value.getAsJsonArray().forEach(each -> all.add(withIds(each)));
      return all;
    }
    if (!value.isJsonObject()) {
      return value;
    }
    JsonObject object = new JsonObject();
    for (Map.Entry<String, JsonElement> field : value.getAsJsonObject().entrySet()) {
      boolean isId = IDS.contains(field.getKey()) && field.getValue().isJsonPrimitive();
      object.add(
          field.getKey(),
          isId ? base64(field.getValue().getAsString()) : withIds(field.getValue()));
    }
    return object;
  }

  private static JsonElement base64(String hex) {
    byte[] bytes = new byte[hex.length() / 2];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
    }
    return new JsonPrimitive(Base64.getEncoder().encodeToString(bytes));
  }
}
