// The rest of the reference's interface, and ours: every setter, payloads as bytes, links, events, structured values,
// logging, the queue, questions, the account.
#define _GNU_SOURCE
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <datadog/log.h>
#include <datadog/shared-runtime.h>
#include <string.h>
#include <unistd.h>

#define LOG_OK(call) CHECK((call) == NULL)

static const uint8_t PAYLOAD[] = {
    0x91, 0x91, 0x88,                                                                     // one trace, one span
    0xa7, 's', 'e', 'r', 'v', 'i', 'c', 'e', 0xa4, 's', 'h', 'o', 'p',                    //
    0xa4, 'n', 'a', 'm', 'e', 0xa2, 'o', 'p',                                             //
    0xa8, 'r', 'e', 's', 'o', 'u', 'r', 'c', 'e', 0xa1, 'r',                              //
    0xa8, 't', 'r', 'a', 'c', 'e', '_', 'i', 'd', 7,                                      //
    0xa7, 's', 'p', 'a', 'n', '_', 'i', 'd', 8,                                           //
    0xa5, 's', 't', 'a', 'r', 't', 1,                                                     //
    0xa8, 'd', 'u', 'r', 'a', 't', 'i', 'o', 'n', 2,                                      //
    0xa5, 'e', 'r', 'r', 'o', 'r', 0,
};
static const ddog_ByteSlice BYTES = {PAYLOAD, sizeof(PAYLOAD)};

static ddog_TraceExporterConfig *config(ddog_CharSlice url) {
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  OK(ddog_trace_exporter_config_set_url(config, url));
  return config;
}

static void settings(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config(url);
  ddog_TelemetryClientConfig telemetry = {.interval = 1000, .runtime_id = DDOG_CHARSLICE_C("id")};
  OK(ddog_trace_exporter_config_enable_health_metrics(c, true));
  OK(ddog_trace_exporter_config_enable_telemetry(c, NULL));
  OK(ddog_trace_exporter_config_enable_telemetry(c, &telemetry));
  OK(ddog_trace_exporter_config_set_compute_stats(c, true));
  OK(ddog_trace_exporter_config_set_client_computed_stats(c, true));
  OK(ddog_trace_exporter_config_set_process_tags(c, DDOG_CHARSLICE_C("a:b")));
  OK(ddog_trace_exporter_config_set_test_session_token(c, DDOG_CHARSLICE_C("token")));
  OK(ddog_trace_exporter_config_set_connection_timeout(c, 60000));
  ddog_CardinalityLimitConfig limits = ddog_trace_exporter_config_default_stats_cardinality_limit();
  CHECK(limits.whole_key_limit > 0 && limits.additional_tags_limit > 0);
  limits.resource_limit = 10;
  OK(ddog_trace_exporter_config_set_stats_cardinality_limit(c, limits));
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_TraceExporterResponse *response = NULL;
  OK(ddog_trace_exporter_send(exporter, BYTES, &response));
  CHECK(agent_saw("x-datadog-test-session-token: token"));
  dp_Response said;
  FINE(dp_response_read(response, &said));
  CHECK(said.status == 200 && said.attempts == 1 && said.traces == 1 && said.spans == 1 && said.rates_changed);
  CHECK(dp_response_rates(response).len > 10);
  ddog_trace_exporter_response_free(response);
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_config_free(c);
}

static void other_peers(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config(url);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_ARGUMENT, ddog_trace_exporter_config_set_otlp_protocol(c, DDOG_CHARSLICE_C("grpc")));
  OK(ddog_trace_exporter_config_set_otlp_protocol(c, DDOG_CHARSLICE_C("http/json")));
  OK(ddog_trace_exporter_config_set_otlp_instrumentation_scope(c, DDOG_CHARSLICE_C("scope"), DDOG_CHARSLICE_C("1")));
  OK(ddog_trace_exporter_config_set_otlp_endpoint(c, url));
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  CHECK(agent_saw("POST /v1/traces") && agent_saw("content-type: application/json") && agent_saw("resourceSpans"));
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_config_free(c);

  ddog_trace_exporter_config_new(&c);
  FINE(dp_config_set(c, DDOG_CHARSLICE_C("destination"), DDOG_CHARSLICE_C("{\"log\":{\"target\":{\"file\":\"/dev/null\"}}}")));
  OK(ddog_trace_exporter_new(&exporter, c));
  OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  ddog_trace_exporter_free(exporter);
  OK(ddog_trace_exporter_config_set_output_to_log(c, 5000));
  ddog_trace_exporter_config_free(c);
}

static void links_and_events(ddog_CharSlice url) {
  ddog_TracerSpanFields fields = {.service = DDOG_CHARSLICE_C("s"), .name = DDOG_CHARSLICE_C("n"),
                                  .resource = DDOG_CHARSLICE_C("r"), .trace_id_low = 1, .span_id = 2, .start = 3};
  ddog_TracerSpan *span = NULL;
  OK(ddog_tracer_span_new(&span, &fields));
  ddog_TracerSpanLinkAttribute attribute = {DDOG_CHARSLICE_C("link.kind"), DDOG_CHARSLICE_C("follows")};
  ddog_TracerSpanLink link = {.trace_id_low = 5, .trace_id_high = 6, .span_id = 7, .attributes = {&attribute, 1},
                              .tracestate = DDOG_CHARSLICE_C("dd=s:1"), .flags = 0x80000001u};
  struct ddog_Slice_TracerSpanLink links = {&link, 1};
  OK(ddog_tracer_span_set_links(span, links));
  // A link that cannot be leaves those that are there.
  ddog_TracerSpanLink bad = link;
  bad.tracestate.ptr = "\xff";
  bad.tracestate.len = 1;
  struct ddog_Slice_TracerSpanLink bads = {&bad, 1};
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_INPUT, ddog_tracer_span_set_links(span, bads));

  ddog_TracerSpanEvent *event = NULL;
  OK(ddog_tracer_span_event_new(&event, DDOG_CHARSLICE_C("exception"), 1700000000000000001));
  OK(ddog_tracer_span_event_set_string(event, DDOG_CHARSLICE_C("message"), DDOG_CHARSLICE_C("boom")));
  OK(ddog_tracer_span_event_set_bool(event, DDOG_CHARSLICE_C("escaped"), true));
  OK(ddog_tracer_span_event_set_int(event, DDOG_CHARSLICE_C("line"), -4711));
  OK(ddog_tracer_span_event_set_double(event, DDOG_CHARSLICE_C("load"), 0.5));
  ddog_CharSlice texts[] = {DDOG_CHARSLICE_C("one"), DDOG_CHARSLICE_C("two")};
  bool bools[] = {true, false};
  int64_t ints[] = {1, -2};
  double doubles[] = {1.5};
  OK(ddog_tracer_span_event_set_string_array(event, DDOG_CHARSLICE_C("texts"), (struct ddog_Slice_CharSlice){texts, 2}));
  OK(ddog_tracer_span_event_set_bool_array(event, DDOG_CHARSLICE_C("bools"), (struct ddog_Slice_Bool){bools, 2}));
  OK(ddog_tracer_span_event_set_int_array(event, DDOG_CHARSLICE_C("ints"), (struct ddog_Slice_I64){ints, 2}));
  OK(ddog_tracer_span_event_set_double_array(event, DDOG_CHARSLICE_C("doubles"), (struct ddog_Slice_F64){doubles, 1}));
  OK(ddog_tracer_span_add_event(span, event));
  OK(ddog_tracer_span_event_new(&event, DDOG_CHARSLICE_C("second"), 1700000000000000002));
  OK(ddog_tracer_span_add_event(span, event));

  ddog_TracerValueToken token = {.kind = DDOG_TRACER_VALUE_U64, .u64_value = 300};
  ddog_TracerEncodedValue *value = NULL;
  OK(ddog_tracer_encode_value((ddog_Slice_TracerValueToken){&token, 1}, &value));
  ddog_ByteSlice encoded = ddog_tracer_encoded_value_as_slice(value);
  CHECK(encoded.len == 3 && memcmp(encoded.ptr, "\xcd\x01\x2c", 3) == 0);
  OK(ddog_tracer_span_set_meta_struct_blob(span, DDOG_CHARSLICE_C("blob"), encoded));
  ddog_tracer_encoded_value_free(value);

  ddog_TracerTraceChunks *chunks = NULL;
  OK(ddog_tracer_trace_chunks_new(1, &chunks));
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 1));
  OK(ddog_tracer_trace_chunks_push_span(chunks, span));
  // Two heads of chunks without spans are no chunks.
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 0));
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 0));

  // What it looks like to a person.
  dp_Text *lines = NULL;
  FINE(dp_json_lines(dp_trace_chunks_payload(chunks), &lines));
  ddog_CharSlice shown = dp_text_get(lines);
  char *text = strndup(shown.ptr, shown.len);
  const char *expected[] = {"exception", "\"escaped\":true", "-4711", "one", "second", "follows", "dd=s:1",
                            "00000000000000060000000000000005", "blob"};
  for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
    if (strstr(text, expected[i]) == NULL) {
      fprintf(stderr, "no %s in %s\n", expected[i], text);
      abort();
    }
  }
  free(text);
  dp_text_free(lines);
  dp_Text *converted = NULL;
  FINE(dp_convert(dp_trace_chunks_payload(chunks), DDOG_CHARSLICE_C("from=v0.4 to=v1"), &converted));
  CHECK(dp_text_get(converted).len > 50);
  dp_text_free(converted);

  ddog_TraceExporterConfig *c = config(url);
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  unsigned long before = agent_traces();
  OK(ddog_trace_exporter_send_trace_chunks(exporter, chunks, NULL, NULL));
  CHECK(agent_traces() == before + 1 && agent_saw("span_links") && agent_saw("exception"));
  ddog_trace_exporter_free(exporter);
}

static void logging(ddog_CharSlice url) {
  char path[] = "/tmp/capi-log-XXXXXX", moved[40];
  int file = mkstemp(path);
  CHECK(file >= 0);
  close(file);
  ddog_FileConfig where = {chars(path), 2, 60};
  LOG_OK(ddog_logger_configure_file(where));
  LOG_OK(ddog_logger_set_log_level(DDOG_LOG_EVENT_LEVEL_DEBUG));
  ddog_Error *error = ddog_logger_set_log_level((enum ddog_LogEventLevel)77);
  CHECK(error != NULL && ddog_Error_message(error).len > 5);
  ddog_Error_drop(error);
  where.path = DDOG_CHARSLICE_C("/nowhere/at/all");
  error = ddog_logger_configure_file(where);
  CHECK(error != NULL);
  ddog_Error_drop(error);
  error = ddog_logger_configure_std((ddog_StdConfig){(enum ddog_StdTarget)9});
  CHECK(error != NULL);
  ddog_Error_drop(error);
  LOG_OK(ddog_logger_configure_std((ddog_StdConfig){DDOG_STD_TARGET_OUT}));
  LOG_OK(ddog_logger_disable_std());

  ddog_TraceExporterConfig *c = config(url);
  // What is found out about the agent would be a line too.
  FINE(dp_config_set(c, DDOG_CHARSLICE_C("discovery"), DDOG_CHARSLICE_C("false")));
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  agent_behave(0, 400);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_CLIENT, ddog_trace_exporter_send(exporter, BYTES, NULL));
  agent_behave(0, 200);
  OK(ddog_trace_exporter_send(exporter, BYTES, NULL));
  ddog_trace_exporter_free(exporter);
  LOG_OK(ddog_logger_disable_file());
  // The first line made the second one begin another file.
  snprintf(moved, sizeof(moved), "%s.1", path);
  FILE *log = fopen(moved, "r");
  char line[2000];
  CHECK(log != NULL && fgets(line, sizeof(line), log) != NULL && strstr(line, "WARN") != NULL);
  fclose(log);
  CHECK(unlink(path) == 0 && unlink(moved) == 0);
}

static void ours(ddog_CharSlice url) {
  CHECK(dp_version().len >= 5);
  ddog_TraceExporterConfig *c = config(url);
  FINE(dp_config_set(c, DDOG_CHARSLICE_C("containerId"), DDOG_CHARSLICE_C("abc")));
  FINE(dp_config_set(c, DDOG_CHARSLICE_C("obfuscate"), DDOG_CHARSLICE_C("true")));
  FINE(dp_config_set(c, DDOG_CHARSLICE_C("batchAge"), DDOG_CHARSLICE_C("1 ms")));
  FINE(dp_config_set_pair(c, DDOG_CHARSLICE_C("header"), DDOG_CHARSLICE_C("X-Mine"), DDOG_CHARSLICE_C("yes")));
  FINE(dp_config_from_environment(c, true));
  dp_Error *error = dp_config_set(c, DDOG_CHARSLICE_C("sendBudget"), DDOG_CHARSLICE_C("a while"));
  CHECK(error != NULL && error->kind == 2 && strstr(error->message, "sendBudget") != NULL);
  dp_error_free(error);
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);

  unsigned long before = agent_traces();
  FINE(dp_exporter_send(exporter, BYTES, &(dp_SendOptions){.dropped_p0_traces = 2, .dropped_p0_spans = 3}, NULL));
  CHECK(agent_saw("x-mine: yes") && agent_saw("datadog-container-id: abc"));
  CHECK(agent_saw("datadog-client-dropped-p0-traces: 2"));
  FINE(dp_exporter_offer(exporter, BYTES, NULL));
  uint64_t tickets[3], done = 0;
  for (int i = 0; i < 3; i++) FINE(dp_exporter_send_async(exporter, BYTES, NULL, &tickets[i]));
  for (int i = 0; i < 3; i++) {
    uint64_t ticket = dp_exporter_next_completed(exporter, 5000);
    CHECK(ticket == tickets[0] || ticket == tickets[1] || ticket == tickets[2]);
    ddog_TraceExporterResponse *response = NULL;
    FINE(dp_exporter_take_completed(exporter, ticket, &response));
    CHECK(ddog_trace_exporter_response_get_body(response).len > 0);
    ddog_trace_exporter_response_free(response);
    error = dp_exporter_take_completed(exporter, ticket, NULL);
    CHECK(error != NULL && error->kind == 1);
    dp_error_free(error);
    done++;
  }
  CHECK(done == 3 && dp_exporter_next_completed(exporter, 1) == 0);
  dp_Flush flush;
  FINE(dp_exporter_flush(exporter, 5000, &flush));
  CHECK(flush.complete && flush.pending.traces == 0 && flush.dropped.traces == 0);
  CHECK(agent_traces() == before + 5);
  dp_Account account;
  FINE(dp_exporter_account(exporter, &account));
  CHECK(account.received.traces == 5 && account.sent.traces == 5 && account.queued.traces == 0 && account.requests >= 2);

  dp_Text *answer = NULL;
  FINE(dp_exporter_ask(exporter, DP_QUESTION_EXPLAIN, 0, &answer));
  CHECK(dp_text_get(answer).ptr[0] == '{');
  dp_text_free(answer);
  FINE(dp_exporter_ask(exporter, DP_QUESTION_STATE, 0, &answer));
  CHECK(memmem(dp_text_get(answer).ptr, dp_text_get(answer).len, "READY", 5) != NULL);
  dp_text_free(answer);
  FINE(dp_exporter_ask(exporter, DP_QUESTION_STATS, 0, &answer));
  dp_text_free(answer);
  // This agent has no /info: nothing comes of waiting for it, and what is known, once that was tried, is where it takes traces.
  FINE(dp_exporter_ask(exporter, DP_QUESTION_AWAIT_AGENT, 5000, &answer));
  CHECK(answer == NULL);
  FINE(dp_exporter_ask(exporter, DP_QUESTION_KNOWN_INFO, 0, &answer));
  CHECK(memmem(dp_text_get(answer).ptr, dp_text_get(answer).len, "/v0.4/traces", 12) != NULL);
  dp_text_free(answer);
  FINE(dp_exporter_suspend(exporter, 1000));
  FINE(dp_exporter_resume(exporter));
  FINE(dp_obfuscate((ddog_ByteSlice){(const uint8_t *)"SELECT 42", 9}, DDOG_CHARSLICE_C("sql"), chars(""), chars(""), &answer));
  CHECK(dp_text_get(answer).len == 8 && memcmp(dp_text_get(answer).ptr, "SELECT ?", 8) == 0);
  dp_text_free(answer);
  FINE(dp_exporter_close(exporter, 1000, &account));
  CHECK(account.received.traces == 5);
  error = dp_exporter_send(exporter, BYTES, NULL, NULL);
  CHECK(error != NULL && error->kind == 50);
  dp_error_free(error);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_SHUTDOWN, ddog_trace_exporter_send(exporter, BYTES, NULL));
  ddog_trace_exporter_free(exporter);
}

static void runtimes(ddog_CharSlice url) {
  const ddog_ForkSafeRuntime *runtime = NULL;
  CHECK(ddog_shared_runtime_new(&runtime) == NULL);
  ddog_TraceExporterConfig *c = config(url);
  OK(ddog_trace_exporter_config_set_shared_runtime(c, (ddog_ForkSafeRuntime *)runtime));
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  CHECK(ddog_shared_runtime_shutdown(runtime, 0) == NULL);
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_SHUTDOWN, ddog_trace_exporter_send(exporter, BYTES, NULL));
  ddog_TraceExporter *late = NULL;
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_SHUTDOWN, ddog_trace_exporter_new(&late, c));
  ddog_trace_exporter_config_free(c);
  ddog_trace_exporter_free(exporter);
  ddog_shared_runtime_free(runtime);
}

int main(void) {
  ddog_CharSlice url = agent_start();
  settings(url);
  other_peers(url);
  links_and_events(url);
  logging(url);
  ours(url);
  runtimes(url);
  CHECK(dp_freed_in_vain() == 0);
  printf("whole: ok\n");
  return 0;
}
