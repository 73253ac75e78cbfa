// What is reached by name and by functions of ours, each seen at work: what a tracer says beside a payload, dry runs,
// the capture, the queue's pace, telemetry, several destinations, a proxy, TLS, lines for the host, stats on demand,
// settings that change.
#define _GNU_SOURCE
#include "agent.h"
#include <data-pipeline.h>
#include <datadog/data-pipeline.h>
#include <dirent.h>
#include <string.h>
#include <unistd.h>

static const uint8_t PAYLOAD[] = {
    0x91, 0x91, 0x86,                                                                     // one trace, one span
    0xa7, 's', 'e', 'r', 'v', 'i', 'c', 'e', 0xa4, 's', 'h', 'o', 'p',                    //
    0xa4, 'n', 'a', 'm', 'e', 0xa2, 'o', 'p',                                             //
    0xa8, 'r', 'e', 's', 'o', 'u', 'r', 'c', 'e', 0xa4, '/', 'a', '/', 'b',               //
    0xa8, 't', 'r', 'a', 'c', 'e', '_', 'i', 'd', 7,                                      //
    0xa7, 's', 'p', 'a', 'n', '_', 'i', 'd', 8,                                           //
    0xa8, 'd', 'u', 'r', 'a', 't', 'i', 'o', 'n', 2,
};
static const ddog_ByteSlice BYTES = {PAYLOAD, sizeof(PAYLOAD)};
#define TEXT(literal) DDOG_CHARSLICE_C(literal)
#define CONFIGURATION 2

// Until it is so; a minute at most.
#define AWAIT(condition)                                                        \
  do {                                                                          \
    for (int tries_ = 0; !(condition); tries_++) {                              \
      CHECK(tries_ < 12000);                                                    \
      usleep(5000);                                                             \
    }                                                                           \
  } while (0)

static ddog_TraceExporterConfig *config(void) {
  ddog_TraceExporterConfig *config = NULL;
  ddog_trace_exporter_config_new(&config);
  // Nothing is asked of the agent that no test waits for.
  FINE(dp_config_set(config, TEXT("discovery"), TEXT("false")));
  return config;
}

static ddog_TraceExporter *made_of(ddog_TraceExporterConfig *config) {
  ddog_TraceExporter *exporter = NULL;
  OK(ddog_trace_exporter_new(&exporter, config));
  return exporter;
}

static void over(ddog_TraceExporter *exporter, ddog_TraceExporterConfig *config) {
  ddog_trace_exporter_free(exporter);
  ddog_trace_exporter_config_free(config);
}

// Whether an answer has this text.
static bool says(ddog_TraceExporter *exporter, enum dp_Question question, const char *text) {
  dp_Text *answer = NULL;
  FINE(dp_exporter_ask(exporter, question, 0, &answer));
  ddog_CharSlice got = dp_text_get(answer);
  bool does = got.len > 0 && memmem(got.ptr, got.len, text, strlen(text)) != NULL;
  dp_text_free(answer);
  return does;
}

static dp_Account account(ddog_TraceExporter *exporter) {
  dp_Account account;
  FINE(dp_exporter_account(exporter, &account));
  return account;
}

static ddog_TracerTraceChunks *chunks(void) {
  ddog_TracerSpanFields fields = {.service = TEXT("s"), .name = TEXT("n"), .trace_id_low = 1, .span_id = 2};
  ddog_TracerSpan *span = NULL;
  ddog_TracerTraceChunks *chunks = NULL;
  OK(ddog_tracer_span_new(&span, &fields));
  OK(ddog_tracer_trace_chunks_new(1, &chunks));
  OK(ddog_tracer_trace_chunks_begin_chunk(chunks, 1));
  OK(ddog_tracer_trace_chunks_push_span(chunks, span));
  return chunks;
}

// What a tracer says of one payload goes with that payload, and with no other.
static void beside_a_payload(ddog_CharSlice url) {
  static const char COMPUTED[] = "datadog-client-computed-stats: ", DROPPED[] = "datadog-client-dropped-p0-traces: 3";
  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, url));
  ddog_TraceExporter *exporter = made_of(c);
  dp_SendOptions computed = {.client_computed_stats = true}, both = {3, 17, true}, nothing = {0};
  FINE(dp_exporter_send(exporter, BYTES, &both, NULL));
  CHECK(agent_saw(COMPUTED) && agent_saw(DROPPED) && agent_saw("datadog-client-dropped-p0-spans: 17"));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(!agent_saw(COMPUTED) && !agent_saw(DROPPED));
  FINE(dp_exporter_send_trace_chunks(exporter, chunks(), &computed, NULL, NULL));
  CHECK(agent_saw(COMPUTED));
  FINE(dp_exporter_send_trace_chunks(exporter, chunks(), &nothing, NULL, NULL));
  CHECK(!agent_saw(COMPUTED));
  // A send that somebody may cancel, and what waits in the queue.
  ddog_TraceExporterCancelToken *token = ddog_trace_exporter_cancel_token_new();
  ddog_TraceExporterResponse *response = NULL;
  FINE(dp_exporter_send_trace_chunks(exporter, chunks(), &computed, &response, token));
  dp_Response said;
  FINE(dp_response_read(response, &said));
  CHECK(agent_saw(COMPUTED) && said.spans == 1 && said.filtered.traces == 0 && said.malformed.traces == 0);
  ddog_trace_exporter_response_free(response);
  ddog_trace_exporter_cancel_token_drop(token);
  dp_Flush flush;
  FINE(dp_exporter_offer(exporter, BYTES, NULL));
  FINE(dp_exporter_flush(exporter, 60000, &flush));
  CHECK(flush.complete && !agent_saw(COMPUTED));
  FINE(dp_exporter_offer(exporter, BYTES, &both));
  FINE(dp_exporter_flush(exporter, 60000, &flush));
  CHECK(flush.complete && agent_saw(COMPUTED) && agent_saw(DROPPED));
  uint64_t ticket = 0;
  FINE(dp_exporter_send_async(exporter, BYTES, NULL, &ticket));
  CHECK(dp_exporter_next_completed(exporter, 60000) == ticket);
  FINE(dp_exporter_take_completed(exporter, ticket, NULL));
  CHECK(!agent_saw(COMPUTED));
  FINE(dp_exporter_send_async(exporter, BYTES, &computed, &ticket));
  CHECK(dp_exporter_next_completed(exporter, 60000) == ticket);
  FINE(dp_exporter_take_completed(exporter, ticket, NULL));
  CHECK(agent_saw(COMPUTED));
  // Chunks are gone whatever is wrong with the rest.
  ddog_TracerTraceChunks *lost = chunks();
  NOT_FINE(1, "aligned", dp_exporter_send_trace_chunks(exporter, lost, (dp_SendOptions *)((char *)&both + 1), NULL, NULL));
  NOT_FINE(1, "chunks", dp_exporter_send_trace_chunks(exporter, lost, NULL, NULL, NULL));
  CHECK(account(exporter).sent.traces == 9);
  over(exporter, c);
}

static void dry_run(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, url));
  FINE(dp_config_set(c, TEXT("dryRun"), TEXT("true")));
  ddog_TraceExporter *exporter = made_of(c);
  unsigned long before = agent_traces();
  dp_error_free(dp_exporter_send(exporter, BYTES, NULL, NULL));
  dp_Account a = account(exporter);
  CHECK(a.received.traces == 1 && a.sent.traces == 0 && a.dropped.traces == 1 && a.wire_bytes == 0);
  CHECK(agent_traces() == before && says(exporter, DP_QUESTION_EXPLAIN, "dry_run"));
  // In earnest from now on.
  FINE(dp_config_set(c, TEXT("dryRun"), TEXT("false")));
  FINE(dp_exporter_reconfigure(exporter, c));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(account(exporter).sent.traces == 1 && account(exporter).wire_bytes == sizeof(PAYLOAD) && agent_traces() == before + 1);
  over(exporter, c);
}

static void capture(ddog_CharSlice url) {
  char place[] = "/tmp/capi-capture-XXXXXX";
  CHECK(mkdtemp(place) != NULL);
  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, url));
  NOT_FINE(CONFIGURATION, "capture", dp_config_set(c, TEXT("capture"), chars(place)));
  FINE(dp_config_set_pair(c, TEXT("capture"), chars(place), TEXT("1 MiB")));
  ddog_TraceExporter *exporter = made_of(c);
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  over(exporter, c);
  DIR *all = opendir(place);
  CHECK(all != NULL);
  int bodies = 0;
  for (struct dirent *one; (one = readdir(all)) != NULL;) {
    if (one->d_name[0] == '.' && (one->d_name[1] == 0 || one->d_name[1] == '.')) continue;
    char path[400], bytes[4096];
    snprintf(path, sizeof(path), "%s/%s", place, one->d_name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t length = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    if (memmem(bytes, length, PAYLOAD, sizeof(PAYLOAD)) != NULL) bodies++;
    CHECK(unlink(path) == 0);
  }
  closedir(all);
  CHECK(bodies == 2 && rmdir(place) == 0);
}

// The queue waits for its pace, and says so; another pace holds at once.
static void pace(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, url));
  FINE(dp_config_set(c, TEXT("maxBytesPerSecond"), TEXT("1 KiB")));
  FINE(dp_config_set(c, TEXT("batchBytes"), TEXT("0")));
  FINE(dp_config_set(c, TEXT("asyncBudget"), TEXT("10 min")));
  ddog_TraceExporter *exporter = made_of(c);
  for (int i = 0; i < 3000; i++) FINE(dp_exporter_offer(exporter, BYTES, NULL));
  // At this pace they would take minutes.
  AWAIT(account(exporter).queue_pace_millis > 0);
  CHECK(account(exporter).queued.traces > 0);
  FINE(dp_config_set(c, TEXT("maxBytesPerSecond"), TEXT("1 GiB")));
  FINE(dp_exporter_reconfigure(exporter, c));
  dp_Flush flush;
  FINE(dp_exporter_flush(exporter, 60000, &flush));
  CHECK(flush.complete && account(exporter).sent.traces == 3000 && account(exporter).wire_bytes == 3000 * sizeof(PAYLOAD));
  over(exporter, c);
}

static void telemetry(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, url));
  OK(ddog_trace_exporter_config_set_service(c, TEXT("shop")));
  OK(ddog_trace_exporter_config_set_language(c, TEXT("c")));
  OK(ddog_trace_exporter_config_set_lang_version(c, TEXT("11")));
  OK(ddog_trace_exporter_config_set_tracer_version(c, TEXT("1")));
  FINE(dp_config_set(c, TEXT("telemetry"), TEXT("100 ms")));
  FINE(dp_config_set(c, TEXT("telemetrySessionId"), TEXT("a-session")));
  ddog_TraceExporter *exporter = made_of(c);
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  AWAIT(agent_saw("POST /telemetry/proxy/api/v2/apmtelemetry"));
  CHECK(agent_saw("dd-session-id: a-session"));
  over(exporter, c);
}

// What the first does not take the second gets, in the same call.
static void destinations(ddog_CharSlice url) {
  char second[200];
  snprintf(second, sizeof(second), "{\"agent\":{\"url\":\"%.*s\"}}", (int)url.len, url.ptr);
  ddog_TraceExporterConfig *c = config();
  // Nobody listens at port 1.
  FINE(dp_config_set(c, TEXT("destination"), TEXT("{\"agent\":{\"url\":\"http://127.0.0.1:1\"}}")));
  FINE(dp_config_set(c, TEXT("destination"), chars(second)));
  FINE(dp_config_set(c, TEXT("sendBudget"), TEXT("20 s")));
  ddog_TraceExporter *exporter = made_of(c);
  unsigned long before = agent_traces();
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(agent_traces() == before + 1 && account(exporter).sent.traces == 1 && account(exporter).requests > 1);
  over(exporter, c);
}

// OpenTelemetry's protocol through a proxy, with the password that it wants.
static void proxy(ddog_CharSlice url) {
  char with_password[200];
  snprintf(with_password, sizeof(with_password), "http://user:word@%.*s", (int)url.len - 7, url.ptr + 7);
  ddog_TraceExporterConfig *c = config();
  FINE(dp_config_set(c, TEXT("destination"), TEXT("{\"otlp\":{\"url\":\"http://collector.example:4318\"}}")));
  FINE(dp_config_set(c, TEXT("proxy"), chars(with_password)));
  FINE(dp_config_set(c, TEXT("noProxy"), TEXT("other.example")));
  ddog_TraceExporter *exporter = made_of(c);
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(agent_tunneled("CONNECT collector.example:4318 ") && agent_tunneled("proxy-authorization: basic dXNlcjp3b3Jk"));
  CHECK(agent_saw("POST /v1/traces"));
  CHECK(says(exporter, DP_QUESTION_EXPLAIN, "collector.example") && !says(exporter, DP_QUESTION_EXPLAIN, "word"));
  over(exporter, c);
}

// An authority and a certificate of our own, and each of them away once.
static void tls(void) {
  const char *place = getenv("TLS_FILES"), *features = getenv("FEATURES");
  if (place == NULL || features == NULL || (strstr(features, "tls") == NULL && strstr(features, "full") == NULL)) {
    printf("beyond: TLS SKIPPED: the library has none, or certificates could not be made\n");
    return;
  }
  char command[600], line[32], url[64], path[3][500];
  snprintf(path[0], sizeof(path[0]), "%s/ca.pem", place);
  snprintf(path[1], sizeof(path[1]), "%s/client.pem", place);
  snprintf(path[2], sizeof(path[2]), "%s/client.key", place);
  // It ends when its standard input does, which is the pipe that this process holds.
  int in[2];
  CHECK(pipe(in) == 0);
  snprintf(command, sizeof(command), "exec python3 tests/c/peer_tls.py '%s' <&%d %d>&-", place, in[0], in[1]);
  FILE *peer = popen(command, "r");
  CHECK(peer != NULL && fgets(line, sizeof(line), peer) != NULL);
  snprintf(url, sizeof(url), "https://localhost:%d", atoi(line));

  ddog_TraceExporterConfig *c = config();
  OK(ddog_trace_exporter_config_set_url(c, chars(url)));
  FINE(dp_config_set(c, TEXT("sendBudget"), TEXT("60 s")));
  FINE(dp_config_set(c, TEXT("sendTimeout"), TEXT("60 s")));
  FINE(dp_config_set(c, TEXT("connectTimeout"), TEXT("60 s")));
  FINE(dp_config_set(c, TEXT("caFile"), chars(path[0])));
  ddog_TraceExporter *exporter = made_of(c);
  NOT_FINE(32, "clientCertificate", dp_exporter_send(exporter, BYTES, NULL, NULL));
  FINE(dp_config_set_pair(c, TEXT("clientCertificate"), chars(path[1]), chars(path[2])));
  FINE(dp_exporter_reconfigure(exporter, c));
  ddog_TraceExporterResponse *response = NULL;
  FINE(dp_exporter_send(exporter, BYTES, NULL, &response));
  ddog_ByteSlice rates = dp_response_rates(response);
  CHECK(memmem(rates.ptr, rates.len, "service:", 8) != NULL);
  ddog_trace_exporter_response_free(response);
  over(exporter, c);

  c = config();
  OK(ddog_trace_exporter_config_set_url(c, chars(url)));
  // Nobody is trusted then; and a file that is not there.
  exporter = NULL;
  for (int i = 0; i < 2; i++) {
    ddog_TraceExporterError *error = ddog_trace_exporter_new(&exporter, c);
    CHECK(error != NULL && exporter == NULL && strstr(error->msg, "caFile") != NULL);
    ddog_trace_exporter_error_free(error);
    FINE(dp_config_set(c, TEXT("caFile"), TEXT("/nowhere/ca.pem")));
  }
  ddog_trace_exporter_config_free(c);
  close(in[0]);
  close(in[1]);
  CHECK(pclose(peer) == 0);
}

static void lines(void) {
  ddog_TraceExporterConfig *c = config();
  FINE(dp_config_set(c, TEXT("destination"), TEXT("{\"log\":{\"target\":\"host\"}}")));
  ddog_TraceExporter *exporter = made_of(c);
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(says(exporter, DP_QUESTION_TRACE_LINES, "\"/a/b\""));
  CHECK(!says(exporter, DP_QUESTION_TRACE_LINES, "\"/a/b\""));  // each once
  over(exporter, c);
}

static void stats(ddog_CharSlice url) {
  agent_info("{\"version\":\"7.70.0\",\"endpoints\":[\"/v0.4/traces\",\"/v0.6/stats\"],\"client_drop_p0s\":true}");
  ddog_TraceExporterConfig *c = NULL;
  ddog_trace_exporter_config_new(&c);
  OK(ddog_trace_exporter_config_set_url(c, url));
  FINE(dp_config_set(c, TEXT("computeStats"), TEXT("10 s")));
  FINE(dp_config_set(c, TEXT("statsReplay"), TEXT("true")));
  ddog_TraceExporter *exporter = made_of(c);
  dp_Text *answer = NULL;
  FINE(dp_exporter_ask(exporter, DP_QUESTION_AWAIT_AGENT, 60000, &answer));
  CHECK(answer != NULL);
  dp_text_free(answer);
  // The tracer has counted the first one itself.
  FINE(dp_exporter_send(exporter, BYTES, &(dp_SendOptions){.client_computed_stats = true}, NULL));
  bool arrived = false;
  CHECK(!says(exporter, DP_QUESTION_STATS, "/a/b"));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(says(exporter, DP_QUESTION_STATS, "/a/b"));
  FINE(dp_exporter_flush_stats(exporter, 60000, &arrived));
  CHECK(arrived && agent_saw("/v0.6/stats") && agent_saw("/a/b"));
  FINE(dp_exporter_flush_stats(exporter, 60000, NULL));
  over(exporter, c);
  agent_info(NULL);
}

static void changes(ddog_CharSlice url) {
  ddog_TraceExporterConfig *c = config(), *other = config();
  OK(ddog_trace_exporter_config_set_url(c, TEXT("http://127.0.0.1:1")));
  FINE(dp_config_set_pair(c, TEXT("header"), TEXT("X-Mine"), TEXT("1")));
  FINE(dp_config_set_pair(c, TEXT("header"), TEXT("X-Other"), TEXT("o")));
  ddog_TraceExporter *exporter = made_of(c);
  OK(ddog_trace_exporter_config_set_url(c, url));
  for (char value = '2'; value <= '4'; value++) {
    char now[] = "x-mine: ?", before[] = "x-mine: ?";
    now[8] = value;
    before[8] = (char)(value - 1);
    FINE(dp_config_set_pair(c, TEXT("header"), TEXT("x-mine"), (ddog_CharSlice){&value, 1}));
    FINE(dp_exporter_reconfigure(exporter, c));
    FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
    CHECK(agent_saw(now) && !agent_saw(before) && agent_saw("x-other: o"));
  }
  // What cannot change, what cannot be, and what is not there: nothing has changed then.
  FINE(dp_config_set(c, TEXT("queueBytes"), TEXT("1 MiB")));
  NOT_FINE(CONFIGURATION, "queueBytes", dp_exporter_reconfigure(exporter, c));
  OK(ddog_trace_exporter_config_set_url(other, TEXT("gopher://x")));
  NOT_FINE(3, "gopher", dp_exporter_reconfigure(exporter, other));
  NOT_FINE(1, "config", dp_exporter_reconfigure(exporter, NULL));
  NOT_FINE(1, "exporter", dp_exporter_reconfigure(NULL, other));
  NOT_FINE(1, "exporter", dp_exporter_flush_stats(NULL, 1, NULL));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(agent_saw("x-mine: 4") && account(exporter).sent.traces == 4);
  // A config of its own has what it has, and no more.
  OK(ddog_trace_exporter_config_set_url(other, url));
  FINE(dp_exporter_reconfigure(exporter, other));
  FINE(dp_exporter_send(exporter, BYTES, NULL, NULL));
  CHECK(!agent_saw("x-mine") && !agent_saw("x-other"));
  FINE(dp_exporter_close(exporter, 1000, NULL));
  OK(ddog_trace_exporter_config_set_env(other, TEXT("prod")));
  NOT_FINE(50, "closed", dp_exporter_reconfigure(exporter, other));
  ddog_trace_exporter_config_free(other);
  over(exporter, c);
}

int main(void) {
  ddog_CharSlice url = agent_start();
  beside_a_payload(url);
  dry_run(url);
  capture(url);
  pace(url);
  telemetry(url);
  destinations(url);
  proxy(url);
  tls();
  lines();
  stats(url);
  changes(url);
  CHECK(dp_freed_in_vain() == 0);
  printf("beyond: ok\n");
  return 0;
}
