// Builds a trace of two spans, sends it to the agent of DD_TRACE_AGENT_URL and prints what the agent answers.
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Ends the program if something failed.
static void check(ddog_TraceExporterError *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", error->msg);
  ddog_trace_exporter_error_free(error);
  exit(1);
}

static ddog_TracerSpan *span(const char *name, uint64_t id, uint64_t parent) {
  ddog_TracerSpanFields fields = {
      .service = DDOG_CHARSLICE_C("example-c"),
      .name = {name, strlen(name)},
      .resource = DDOG_CHARSLICE_C("GET /cart"),
      .span_type = DDOG_CHARSLICE_C("web"),
      .trace_id_low = 4711,
      .trace_id_high = 0x6500000000000000,
      .span_id = id,
      .parent_id = parent,
      .start = (int64_t)time(NULL) * 1000000000,
      .duration = 25000000,
  };
  ddog_TracerSpan *span = NULL;
  check(ddog_tracer_span_new(&span, &fields));
  check(ddog_tracer_span_set_meta(span, DDOG_CHARSLICE_C("http.method"), DDOG_CHARSLICE_C("GET")));
  check(ddog_tracer_span_set_metric(span, DDOG_CHARSLICE_C("_sampling_priority_v1"), 1));
  return span;
}

int main(void) {
  const char *url = getenv("DD_TRACE_AGENT_URL");
  if (url == NULL) url = "http://127.0.0.1:8126";
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  check(ddog_trace_exporter_config_set_url(config, (ddog_CharSlice){url, strlen(url)}));
  check(ddog_trace_exporter_config_set_language(config, DDOG_CHARSLICE_C("c")));
  ddog_TraceExporter *exporter = NULL;
  check(ddog_trace_exporter_new(&exporter, config));
  ddog_trace_exporter_config_free(config);

  ddog_TracerTraceChunks *chunks = NULL;
  check(ddog_tracer_trace_chunks_new(1, &chunks));
  check(ddog_tracer_trace_chunks_begin_chunk(chunks, 2));
  check(ddog_tracer_trace_chunks_push_span(chunks, span("http.request", 1, 0)));
  check(ddog_tracer_trace_chunks_push_span(chunks, span("db.query", 2, 1)));
  ddog_TraceExporterResponse *response = NULL;
  check(ddog_trace_exporter_send_trace_chunks(exporter, chunks, &response, NULL));

  dp_Response said;
  if (dp_response_read(response, &said) == NULL) {
    printf("status %u, %llu traces, %llu spans\n", said.status, (unsigned long long)said.traces, (unsigned long long)said.spans);
  }
  ddog_ByteSlice body = ddog_trace_exporter_response_get_body(response);
  printf("%.*s\n", (int)body.len, (const char *)body.ptr);
  ddog_trace_exporter_response_free(response);
  ddog_trace_exporter_free(exporter);
  return 0;
}
