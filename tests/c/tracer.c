// What a tracer with spans of its own does (the calls of dd-trace-rb's native transport): settings, runtime, spans,
// chunks, send, answer, cancel.
#include "agent.h"
#include <datadog/data-pipeline.h>
#include <datadog/shared-runtime.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static ddog_TracerSpan *span(uint64_t id, uint64_t parent) {
  ddog_TracerSpanFields fields = {
      .service = DDOG_CHARSLICE_C("shop"),
      .name = DDOG_CHARSLICE_C("rack.request"),
      .resource = DDOG_CHARSLICE_C("GET /cart"),
      .span_type = DDOG_CHARSLICE_C("web"),
      .trace_id_low = 42,
      .trace_id_high = 0x0123456789abcdef,
      .span_id = id,
      .parent_id = parent,
      .start = 1700000000000000000,
      .duration = 1000000,
      .error = 0,
  };
  ddog_TracerSpan *span = NULL;
  OK(ddog_tracer_span_new(&span, &fields));
  CHECK(span != NULL);
  OK(ddog_tracer_span_set_meta(span, DDOG_CHARSLICE_C("env"), DDOG_CHARSLICE_C("test")));
  OK(ddog_tracer_span_set_meta(span, DDOG_CHARSLICE_C("http.method"), DDOG_CHARSLICE_C("GET")));
  OK(ddog_tracer_span_set_metric(span, DDOG_CHARSLICE_C("_sampling_priority_v1"), 1.0));
  ddog_TracerValueToken tokens[] = {
      {.kind = DDOG_TRACER_VALUE_MAP, .child_count = 1},
      {.kind = DDOG_TRACER_VALUE_STRING, .bytes = {(const uint8_t *)"rules", 5}},
      {.kind = DDOG_TRACER_VALUE_ARRAY, .child_count = 2},
      {.kind = DDOG_TRACER_VALUE_I64, .i64_value = -7},
      {.kind = DDOG_TRACER_VALUE_BOOL, .bool_value = 1},
  };
  ddog_Slice_TracerValueToken list = {tokens, 5};
  OK(ddog_tracer_span_set_meta_struct(span, DDOG_CHARSLICE_C("appsec"), list));
  return span;
}

static ddog_TracerTraceChunks *chunks(int count) {
  ddog_TracerTraceChunks *chunks = NULL;
  OK(ddog_tracer_trace_chunks_new((uintptr_t)count, &chunks));
  for (int i = 0; i < count; i++) {
    OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 2));
    OK(ddog_tracer_trace_chunks_push_span(chunks, span(1, 0)));
    OK(ddog_tracer_trace_chunks_push_span(chunks, span(2, 1)));
  }
  return chunks;
}

static void *cancel_soon(void *token) {
  usleep(100 * 1000);
  ddog_trace_exporter_cancel_token_cancel(token);
  return NULL;
}

int main(void) {
  ddog_CharSlice url = agent_start();
  const ddog_ForkSafeRuntime *runtime = NULL;
  CHECK(ddog_shared_runtime_new(&runtime) == NULL && runtime != NULL);
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  CHECK(config != NULL);
  OK(ddog_trace_exporter_config_set_url(config, url));
  OK(ddog_trace_exporter_config_set_tracer_version(config, DDOG_CHARSLICE_C("2.0.0")));
  OK(ddog_trace_exporter_config_set_language(config, DDOG_CHARSLICE_C("ruby")));
  OK(ddog_trace_exporter_config_set_lang_version(config, DDOG_CHARSLICE_C("3.4.1")));
  OK(ddog_trace_exporter_config_set_lang_interpreter(config, DDOG_CHARSLICE_C("ruby-x86_64-linux")));
  OK(ddog_trace_exporter_config_set_hostname(config, DDOG_CHARSLICE_C("host")));
  OK(ddog_trace_exporter_config_set_env(config, DDOG_CHARSLICE_C("test")));
  OK(ddog_trace_exporter_config_set_service(config, DDOG_CHARSLICE_C("shop")));
  OK(ddog_trace_exporter_config_set_version(config, DDOG_CHARSLICE_C("1.2.3")));
  OK(ddog_trace_exporter_config_set_shared_runtime(config, (ddog_ForkSafeRuntime *)runtime));
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, config));
  ddog_trace_exporter_config_free(config);

  ddog_TraceExporterCancelToken *token = ddog_trace_exporter_cancel_token_new();
  ddog_TraceExporterResponse *response = NULL;
  OK(ddog_trace_exporter_send_trace_chunks(exporter, chunks(3), &response, token));
  ddog_ByteSlice body = ddog_trace_exporter_response_get_body(response);
  CHECK(body.len > 10 && memcmp(body.ptr, "{\"rate_by_service", 17) == 0);
  ddog_trace_exporter_response_free(response);
  CHECK(agent_traces() == 3);
  CHECK(agent_saw("_dd.p.tid\xb0" "0123456789abcdef") && agent_saw("rack.request") && agent_saw("meta_struct"));
  CHECK(agent_saw("datadog-meta-lang: ruby") && agent_saw("datadog-meta-tracer-version: 2.0.0"));
  // The response is not wanted; nobody will cancel.
  OK(ddog_trace_exporter_send_trace_chunks(exporter, chunks(2), NULL, NULL));
  CHECK(agent_traces() == 5);

  // A cancelled wait ends at once, and the traces arrive all the same.
  agent_behave(500, 200);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, cancel_soon, token) == 0);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_IO_ERROR, ddog_trace_exporter_send_trace_chunks(exporter, chunks(1), NULL, token));
  pthread_join(thread, NULL);
  // A token stays used.
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_IO_ERROR, ddog_trace_exporter_send_trace_chunks(exporter, chunks(1), NULL, token));
  ddog_trace_exporter_cancel_token_drop(token);
  agent_behave(0, 200);
  for (int i = 0; i < 100 && agent_traces() < 6; i++) usleep(50 * 1000);
  CHECK(agent_traces() == 6);

  // What the agent says is an error with its code.
  agent_behave(0, 400);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_CLIENT, ddog_trace_exporter_send_trace_chunks(exporter, chunks(1), &response, NULL));

  ddog_trace_exporter_free(exporter);
  CHECK(ddog_shared_runtime_shutdown(runtime, 1000) == NULL);
  ddog_shared_runtime_free(runtime);
  printf("tracer: ok\n");
  return 0;
}
