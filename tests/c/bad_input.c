// What a caller can get wrong, each an error and never a crash.
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <datadog/log.h>
#include <datadog/shared-runtime.h>
#include <pthread.h>
#include <string.h>

#define ARGUMENT DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_ARGUMENT
#define INPUT DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_INPUT

static const ddog_CharSlice NULL_TEXT = {NULL, 3}, EMPTY = {NULL, 0}, NOT_UTF8 = {"\xff\xfe", 2};
static ddog_CharSlice too_long(void) { return (ddog_CharSlice){"x", UINTPTR_MAX}; }

static ddog_TraceExporterConfig *config(void) {
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  OK(ddog_trace_exporter_config_set_url(config, DDOG_CHARSLICE_C("http://127.0.0.1:9")));
  return config;
}

static ddog_TracerSpan *span(void) {
  ddog_TracerSpanFields fields = {.service = DDOG_CHARSLICE_C("s"), .span_id = 1, .trace_id_low = 1};
  ddog_TracerSpan *span = NULL;
  OK(ddog_tracer_span_new(&span, &fields));
  return span;
}

static void fails_with(uint32_t kind, dp_Error *error) {
  CHECK(error != NULL && error->message[0] != 0);
  if (error->kind != kind) fprintf(stderr, "%u: %s\n", error->kind, error->message);
  CHECK(error->kind == kind);
  dp_error_free(error);
}

static void nothing(void) {
  ddog_CharSlice text = DDOG_CHARSLICE_C("x");
  ddog_trace_exporter_config_new(NULL);
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_url(NULL, text));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_compute_stats(NULL, true));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_shared_runtime(NULL, NULL));
  FAILS(ARGUMENT, ddog_trace_exporter_config_enable_telemetry(NULL, NULL));
  ddog_TraceExporterConfig *c = config();
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_shared_runtime(c, NULL));
  FAILS(ARGUMENT, ddog_trace_exporter_new(NULL, c));
  ddog_TraceExporter *exporter = (ddog_TraceExporter *)1;
  FAILS(ARGUMENT, ddog_trace_exporter_new(&exporter, NULL));
  CHECK(exporter == (ddog_TraceExporter *)1);  // nothing is written after an error
  FAILS(ARGUMENT, ddog_trace_exporter_send(NULL, (ddog_ByteSlice){NULL, 0}, NULL));
  FAILS(ARGUMENT, ddog_trace_exporter_send_trace_chunks(NULL, NULL, NULL, NULL));
  FAILS(ARGUMENT, ddog_tracer_span_new(NULL, NULL));
  ddog_TracerSpan *s = NULL;
  FAILS(ARGUMENT, ddog_tracer_span_new(&s, NULL));
  FAILS(ARGUMENT, ddog_tracer_span_set_meta(NULL, text, text));
  FAILS(ARGUMENT, ddog_tracer_span_set_metric(NULL, text, 1));
  FAILS(ARGUMENT, ddog_tracer_span_add_event(NULL, NULL));
  FAILS(ARGUMENT, ddog_tracer_span_event_new(NULL, text, 1));
  FAILS(ARGUMENT, ddog_tracer_span_event_set_int(NULL, text, 1));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_new(1, NULL));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_begin_chunk(NULL, 1));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_push_span(NULL, NULL));
  FAILS(ARGUMENT, ddog_tracer_encode_value((ddog_Slice_TracerValueToken){NULL, 0}, NULL));
  CHECK(ddog_trace_exporter_response_get_body(NULL).len == 0);
  CHECK(ddog_tracer_encoded_value_as_slice(NULL).len == 0 && dp_text_get(NULL).len == 0);
  CHECK(dp_trace_chunks_payload(NULL).len == 0 && dp_exporter_next_completed(NULL, 0) == 0);
  fails_with(1, dp_config_set(NULL, text, text));
  fails_with(1, dp_exporter_offer(NULL, (ddog_ByteSlice){NULL, 0}, NULL));
  fails_with(1, dp_exporter_account(NULL, NULL));
  ddog_SharedRuntimeFFIError *error = ddog_shared_runtime_new(NULL);
  CHECK(error != NULL && error->code == DDOG_SHARED_RUNTIME_ERROR_CODE_INVALID_ARGUMENT && error->msg[0] != 0);
  ddog_shared_runtime_error_free(error);
  error = ddog_shared_runtime_before_fork(NULL);
  CHECK(error != NULL && error->code == DDOG_SHARED_RUNTIME_ERROR_CODE_INVALID_ARGUMENT);
  ddog_shared_runtime_error_free(error);
  // Freeing nothing is nothing.
  ddog_trace_exporter_config_free(NULL);
  ddog_trace_exporter_free(NULL);
  ddog_trace_exporter_response_free(NULL);
  ddog_trace_exporter_error_free(NULL);
  ddog_tracer_span_free(NULL);
  ddog_tracer_span_event_free(NULL);
  ddog_tracer_trace_chunks_free(NULL);
  ddog_tracer_encoded_value_free(NULL);
  ddog_trace_exporter_cancel_token_cancel(NULL);
  ddog_trace_exporter_cancel_token_drop(NULL);
  ddog_shared_runtime_free(NULL);
  ddog_shared_runtime_error_free(NULL);
  ddog_Error_drop(NULL);
  dp_error_free(NULL);
  dp_text_free(NULL);
  CHECK(ddog_Error_message(NULL).len == 0 && dp_freed_in_vain() == 0);
  ddog_trace_exporter_config_free(c);
}

static void slices(void) {
  ddog_TraceExporterConfig *c = config();
  ddog_CharSlice text = DDOG_CHARSLICE_C("x");
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_env(c, NULL_TEXT));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_env(c, too_long()));
  FAILS(INPUT, ddog_trace_exporter_config_set_env(c, NOT_UTF8));
  OK(ddog_trace_exporter_config_set_env(c, EMPTY));
  ddog_TelemetryClientConfig telemetry = {.session_id = NOT_UTF8};
  FAILS(INPUT, ddog_trace_exporter_config_enable_telemetry(c, &telemetry));
  fails_with(1, dp_config_set(c, NOT_UTF8, text));
  fails_with(1, dp_config_set(c, text, NULL_TEXT));
  ddog_TracerSpan *s = span();
  FAILS(ARGUMENT, ddog_tracer_span_set_meta(s, NULL_TEXT, text));
  FAILS(ARGUMENT, ddog_tracer_span_set_meta(s, text, too_long()));
  FAILS(INPUT, ddog_tracer_span_set_meta(s, text, NOT_UTF8));
  FAILS(INPUT, ddog_tracer_span_set_metric(s, NOT_UTF8, 1));
  FAILS(ARGUMENT, ddog_tracer_span_set_links(s, (struct ddog_Slice_TracerSpanLink){NULL, 1}));
  FAILS(ARGUMENT, ddog_tracer_span_set_links(s, (struct ddog_Slice_TracerSpanLink){(ddog_TracerSpanLink *)8, UINTPTR_MAX / 8}));
  FAILS(ARGUMENT, ddog_tracer_span_set_meta_struct_blob(s, text, (ddog_ByteSlice){NULL, 1}));
  // Zeros inside are text like any other.
  OK(ddog_tracer_span_set_meta(s, DDOG_CHARSLICE_C("a\0b"), DDOG_CHARSLICE_C("c\0d")));
  OK(ddog_tracer_span_set_meta(s, EMPTY, EMPTY));
  ddog_TracerSpanEvent *event = NULL;
  FAILS(INPUT, ddog_tracer_span_event_new(&event, NOT_UTF8, 1));
  OK(ddog_tracer_span_event_new(&event, EMPTY, 0));
  ddog_CharSlice texts[] = {text, NOT_UTF8};
  FAILS(INPUT, ddog_tracer_span_event_set_string_array(event, text, (struct ddog_Slice_CharSlice){texts, 2}));
  int64_t numbers[2] = {1, 2};
  const int64_t *odd = (const int64_t *)((const char *)numbers + 1);
  FAILS(ARGUMENT, ddog_tracer_span_event_set_int_array(event, text, (struct ddog_Slice_I64){odd, 1}));
  FAILS(ARGUMENT, ddog_tracer_span_event_set_int_array(event, text, (struct ddog_Slice_I64){NULL, 1}));
  unsigned char odd_bools[] = {0, 2, 255};
  OK(ddog_tracer_span_event_set_bool_array(event, text, (struct ddog_Slice_Bool){(const bool *)odd_bools, 3}));
  ddog_tracer_span_event_free(event);
  ddog_tracer_span_free(s);
  // A URL that holds a zero, or is none, is said when the exporter is made.
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_config_set_url(c, DDOG_CHARSLICE_C("http://a\0b:1")));
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_URL, ddog_trace_exporter_new(&exporter, c));
  OK(ddog_trace_exporter_config_set_url(c, DDOG_CHARSLICE_C("gopher://x")));
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_URL, ddog_trace_exporter_new(&exporter, c));
  CHECK(exporter == NULL);
  ddog_trace_exporter_config_free(c);
}

// Every setter of a text, with every text that cannot be; and with nothing to set it on.
static void every_setter(void) {
  typedef ddog_TraceExporterError *(*Setter)(ddog_TraceExporterConfig *, ddog_CharSlice);
  static const Setter ALL[] = {
      ddog_trace_exporter_config_set_url,          ddog_trace_exporter_config_set_tracer_version,
      ddog_trace_exporter_config_set_language,     ddog_trace_exporter_config_set_lang_version,
      ddog_trace_exporter_config_set_lang_interpreter, ddog_trace_exporter_config_set_hostname,
      ddog_trace_exporter_config_set_env,          ddog_trace_exporter_config_set_version,
      ddog_trace_exporter_config_set_service,      ddog_trace_exporter_config_set_process_tags,
      ddog_trace_exporter_config_set_test_session_token, ddog_trace_exporter_config_set_otlp_endpoint,
      ddog_trace_exporter_config_set_otlp_protocol,
  };
  ddog_TraceExporterConfig *c = config(), *gone = config();
  ddog_trace_exporter_config_free(gone);
  ddog_CharSlice text = DDOG_CHARSLICE_C("http/json");
  for (size_t i = 0; i < sizeof(ALL) / sizeof(*ALL); i++) {
    FAILS(ARGUMENT, ALL[i](NULL, text));
    FAILS(ARGUMENT, ALL[i](gone, text));
    FAILS(ARGUMENT, ALL[i](c, NULL_TEXT));
    FAILS(ARGUMENT, ALL[i](c, too_long()));
    FAILS(INPUT, ALL[i](c, NOT_UTF8));
    OK(ALL[i](c, text));
  }
  ddog_CardinalityLimitConfig limits = ddog_trace_exporter_config_default_stats_cardinality_limit();
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_stats_cardinality_limit(gone, limits));
  FAILS(ARGUMENT, ddog_trace_exporter_config_enable_health_metrics(gone, true));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_client_computed_stats(gone, true));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_connection_timeout(gone, 1));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_output_to_log(gone, 1));
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_otlp_instrumentation_scope(gone, text, text));
  FAILS(INPUT, ddog_trace_exporter_config_set_otlp_instrumentation_scope(c, text, NOT_UTF8));
  fails_with(1, dp_config_from_environment(gone, true));
  fails_with(1, dp_config_set(gone, text, text));
  fails_with(1, dp_config_set_pair(gone, text, text, text));
  fails_with(1, dp_config_set_pair(c, text, text, too_long()));
  fails_with(2, dp_config_set_pair(c, text, text, text));
  ddog_trace_exporter_config_free(c);
}

// Every function of ours with handles that name nothing, slices that cannot be, and no place for the result.
static void every_function_of_ours(void) {
  ddog_TraceExporterConfig *c = config();
  ddog_TraceExporter *gone = NULL, *exporter = NULL;
  OK(ddog_trace_exporter_new(&gone, c));
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_free(gone);
  ddog_ByteSlice payload = {(const uint8_t *)"\x90", 1}, null = {NULL, 1}, vast = {(const uint8_t *)"", UINTPTR_MAX};
  ddog_TraceExporter *nobody[] = {NULL, gone, (ddog_TraceExporter *)c, (ddog_TraceExporter *)UINTPTR_MAX};
  ddog_CharSlice text = DDOG_CHARSLICE_C("x");
  dp_Account account;
  dp_Text *answer = NULL;
  uint64_t ticket = 4711;
  for (size_t i = 0; i < sizeof(nobody) / sizeof(*nobody); i++) {
    ddog_TraceExporter *e = nobody[i];
    fails_with(1, dp_exporter_send(e, payload, NULL, NULL));
    fails_with(1, dp_exporter_offer(e, payload, NULL));
    fails_with(1, dp_exporter_send_async(e, payload, NULL, &ticket));
    fails_with(1, dp_exporter_send_trace_chunks(e, NULL, NULL, NULL, NULL));
    fails_with(1, dp_exporter_take_completed(e, 1, NULL));
    fails_with(1, dp_exporter_flush(e, 1, NULL));
    fails_with(1, dp_exporter_flush_stats(e, 1, NULL));
    fails_with(1, dp_exporter_reconfigure(e, c));
    fails_with(1, dp_exporter_account(e, &account));
    fails_with(1, dp_exporter_ask(e, DP_QUESTION_STATE, 1, &answer));
    fails_with(1, dp_exporter_close(e, 1, NULL));
    fails_with(1, dp_exporter_suspend(e, 1));
    fails_with(1, dp_exporter_resume(e));
    CHECK(dp_exporter_next_completed(e, UINT64_MAX) == 0);
  }
  const dp_SendOptions *odd = (const dp_SendOptions *)((const char *)&account + 1);
  fails_with(1, dp_exporter_send(exporter, null, NULL, NULL));
  fails_with(1, dp_exporter_send(exporter, vast, NULL, NULL));
  fails_with(1, dp_exporter_send(exporter, payload, odd, NULL));
  fails_with(1, dp_exporter_offer(exporter, null, NULL));
  fails_with(1, dp_exporter_offer(exporter, vast, NULL));
  fails_with(1, dp_exporter_offer(exporter, payload, odd));
  fails_with(1, dp_exporter_send_async(exporter, null, NULL, &ticket));
  fails_with(1, dp_exporter_send_async(exporter, payload, odd, &ticket));
  fails_with(1, dp_exporter_send_async(exporter, payload, NULL, NULL));
  fails_with(1, dp_exporter_account(exporter, NULL));
  fails_with(1, dp_exporter_ask(exporter, DP_QUESTION_STATE, 1, NULL));
  fails_with(1, dp_exporter_take_completed(exporter, 4711, NULL));
  CHECK(ticket == 4711 && dp_exporter_next_completed(exporter, 0) == 0);
  fails_with(1, dp_convert(null, text, &answer));
  fails_with(1, dp_convert(payload, NOT_UTF8, &answer));
  fails_with(1, dp_json_lines(vast, &answer));
  fails_with(1, dp_json_lines(payload, NULL));
  fails_with(1, dp_obfuscate(null, text, text, text, &answer));
  fails_with(1, dp_obfuscate(payload, text, NOT_UTF8, text, &answer));
  CHECK(answer == NULL);
  // Nothing of that has entered.
  fails_with(1, dp_exporter_send_trace_chunks(exporter, (ddog_TracerTraceChunks *)exporter, NULL, NULL, NULL));
  CHECK(dp_exporter_account(exporter, &account) == NULL && account.payloads == 0);
  // A text and a response that are gone.
  uint64_t before = dp_freed_in_vain();
  CHECK(dp_json_lines(payload, &answer) == NULL);
  dp_text_free(answer);
  dp_text_free(answer);
  CHECK(dp_text_get(answer).len == 0);
  ddog_TraceExporterResponse *response = NULL;
  dp_Response said;
  CHECK(dp_exporter_send(exporter, payload, NULL, &response) == NULL && response != NULL);
  fails_with(1, dp_response_read(response, NULL));
  CHECK(dp_response_read(response, &said) == NULL && said.status == 0 && dp_response_rates(response).len == 0);
  ddog_trace_exporter_response_free(response);
  ddog_trace_exporter_response_free(response);
  fails_with(1, dp_response_read(response, &said));
  fails_with(1, dp_response_read(NULL, &said));
  CHECK(dp_response_rates(response).len == 0 && ddog_trace_exporter_response_get_body(response).len == 0);
  CHECK(dp_freed_in_vain() == before + 2 && dp_version().len > 0);
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_config_free(c);
}

// The functions around a fork, and those for logging.
static void runtimes_and_logs(void) {
  const ddog_ForkSafeRuntime *runtime = NULL;
  CHECK(ddog_shared_runtime_new(&runtime) == NULL);
  ddog_shared_runtime_free(runtime);
  const ddog_ForkSafeRuntime *nobody[] = {NULL, runtime, (const ddog_ForkSafeRuntime *)UINTPTR_MAX};
  for (size_t i = 0; i < sizeof(nobody) / sizeof(*nobody); i++) {
    ddog_SharedRuntimeFFIError *errors[] = {
        ddog_shared_runtime_before_fork(nobody[i]), ddog_shared_runtime_after_fork_parent(nobody[i]),
        ddog_shared_runtime_after_fork_child(nobody[i]), ddog_shared_runtime_shutdown(nobody[i], 1)};
    for (size_t k = 0; k < 4; k++) {
      CHECK(errors[k] != NULL && errors[k]->code == DDOG_SHARED_RUNTIME_ERROR_CODE_INVALID_ARGUMENT && errors[k]->msg[0] != 0);
      ddog_shared_runtime_error_free(errors[k]);
    }
  }
  const ddog_CharSlice paths[] = {NULL_TEXT, too_long(), NOT_UTF8, EMPTY, DDOG_CHARSLICE_C("/tmp/a\0b")};
  for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
    ddog_Error *error = ddog_logger_configure_file((ddog_FileConfig){paths[i], 1, 1});
    CHECK(error != NULL && ddog_Error_message(error).len > 0);
    ddog_Error_drop(error);
  }
}

static void values(void) {
  ddog_TracerEncodedValue *value = NULL;
  ddog_TracerValueToken deep[80] = {0};
  for (int i = 0; i < 80; i++) deep[i] = (ddog_TracerValueToken){.kind = DDOG_TRACER_VALUE_ARRAY, .child_count = 1};
  ddog_TracerValueToken cases[][3] = {
      {{.kind = 9}},
      {{.kind = DDOG_TRACER_VALUE_BOOL, .bool_value = 2}},
      {{.kind = DDOG_TRACER_VALUE_ARRAY, .child_count = 3}, {.kind = 0}, {.kind = 0}},
      {{.kind = DDOG_TRACER_VALUE_MAP, .child_count = UINT32_MAX}, {.kind = 0}, {.kind = 0}},
      {{.kind = 0}, {.kind = 0}, {.kind = 0}},
      {{.kind = DDOG_TRACER_VALUE_STRING, .bytes = {(const uint8_t *)"\xff", 1}}},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    uintptr_t count = i < 2 || i == 5 ? 1 : 3;
    FAILS(INPUT, ddog_tracer_encode_value((ddog_Slice_TracerValueToken){cases[i], count}, &value));
  }
  FAILS(INPUT, ddog_tracer_encode_value((ddog_Slice_TracerValueToken){NULL, 0}, &value));
  FAILS(INPUT, ddog_tracer_encode_value((ddog_Slice_TracerValueToken){deep, 80}, &value));
  ddog_TracerValueToken null_bytes = {.kind = DDOG_TRACER_VALUE_BINARY, .bytes = {NULL, 1}};
  FAILS(ARGUMENT, ddog_tracer_encode_value((ddog_Slice_TracerValueToken){&null_bytes, 1}, &value));
  CHECK(value == NULL);
  // 64 deep is not too deep.
  deep[64] = (ddog_TracerValueToken){.kind = DDOG_TRACER_VALUE_NIL};
  OK(ddog_tracer_encode_value((ddog_Slice_TracerValueToken){deep, 65}, &value));
  CHECK(ddog_tracer_encoded_value_as_slice(value).len == 65);
  ddog_tracer_encoded_value_free(value);
}

static void after_the_end(void) {
  uint64_t before = dp_freed_in_vain();
  ddog_CharSlice text = DDOG_CHARSLICE_C("x");
  ddog_TraceExporterConfig *c = config();
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  ddog_trace_exporter_config_free(c);
  FAILS(ARGUMENT, ddog_trace_exporter_config_set_env(c, text));
  ddog_TracerSpan *s = span();
  ddog_TracerTraceChunks *chunks = NULL;
  OK(ddog_tracer_trace_chunks_new(UINTPTR_MAX, &chunks));
  // No chunk was begun: the span is gone all the same.
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_push_span(chunks, s));
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, UINTPTR_MAX));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_push_span(chunks, s));
  s = span();
  OK(ddog_tracer_trace_chunks_push_span(chunks, s));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_push_span(chunks, s));  // twice
  FAILS(ARGUMENT, ddog_tracer_span_set_meta(s, text, text));
  ddog_tracer_span_free(s);
  // A handle of another kind, and one that nobody made.
  FAILS(ARGUMENT, ddog_tracer_span_set_meta((ddog_TracerSpan *)chunks, text, text));
  FAILS(ARGUMENT, ddog_tracer_span_set_meta((ddog_TracerSpan *)0xdeadbeef, text, text));
  FAILS(ARGUMENT, ddog_tracer_span_set_meta((ddog_TracerSpan *)UINTPTR_MAX, text, text));
  ddog_TracerSpanEvent *event = NULL;
  OK(ddog_tracer_span_event_new(&event, text, 1));
  s = span();
  OK(ddog_tracer_span_add_event(s, event));
  FAILS(ARGUMENT, ddog_tracer_span_add_event(s, event));
  FAILS(ARGUMENT, ddog_tracer_span_event_set_int(event, text, 1));
  ddog_tracer_span_free(s);
  // The exporter is gone: the chunks are, too.
  ddog_trace_exporter_free(exporter);
  FAILS(ARGUMENT, ddog_trace_exporter_send_trace_chunks(exporter, chunks, NULL, NULL));
  FAILS(ARGUMENT, ddog_tracer_trace_chunks_begin_chunk(chunks, 1));
  FAILS(ARGUMENT, ddog_trace_exporter_send(exporter, (ddog_ByteSlice){(const uint8_t *)"\x90", 1}, NULL));
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_free((ddog_TraceExporter *)&before);
  ddog_TraceExporterCancelToken *token = ddog_trace_exporter_cancel_token_new();
  ddog_trace_exporter_cancel_token_drop(token);
  ddog_trace_exporter_cancel_token_cancel(token);
  ddog_trace_exporter_cancel_token_drop(token);
  // Counted: the config, the span, the exporter twice, the token.
  CHECK(dp_freed_in_vain() == before + 5);
}

static void *build_and_free(void *shared) {
  ddog_CharSlice text = DDOG_CHARSLICE_C("x");
  for (int i = 0; i < 300; i++) {
    ddog_TracerSpan *s = span();
    OK(ddog_tracer_span_set_meta(s, text, text));
    // Whoever comes too late gets an error, or nothing.
    ddog_trace_exporter_error_free(ddog_tracer_span_set_metric(shared, text, i));
    ddog_tracer_span_free(s);
  }
  return NULL;
}

static void threads(void) {
  ddog_TracerSpan *shared = span();
  pthread_t all[8];
  for (int i = 0; i < 8; i++) CHECK(pthread_create(&all[i], NULL, build_and_free, shared) == 0);
  ddog_tracer_span_free(shared);
  for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
}

static void panic(void) {
  ddog_TraceExporterConfig *c = config();
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, c));
  ddog_trace_exporter_config_free(c);
  dp_Text *answer = NULL;
  dp_Error *error = dp_exporter_ask(exporter, -1, 0, &answer);
  CHECK(error != NULL && error->kind == 61 && strstr(error->message, "asked for by question -1") != NULL);
  dp_error_free(error);
  fails_with(1, dp_exporter_ask(exporter, 4711, 0, &answer));
  CHECK(answer == NULL);
  // The exporter goes on.
  FAILS(DDOG_TRACE_EXPORTER_ERROR_CODE_SERDE, ddog_trace_exporter_send(exporter, (ddog_ByteSlice){(const uint8_t *)"\xc1", 1}, NULL));
  ddog_trace_exporter_free(exporter);
}

int main(void) {
  nothing();
  slices();
  every_setter();
  every_function_of_ours();
  runtimes_and_logs();
  values();
  after_the_end();
  threads();
  panic();
  printf("bad_input: ok\n");
  return 0;
}
