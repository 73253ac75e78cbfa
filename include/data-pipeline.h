// data-pipeline.h: what the reference's interface cannot reach: every setting, the queue, the account, questions.
// Made by `python3 scripts/headers.py` from src/capi. Change the sources, not this file.
//
// What holds for every function:
// - A null error is success. An error is the caller's, and is freed by the function of its type, once: it is a plain
//   struct at an address, so nothing here can notice that it is freed twice.
// - What comes out through an out pointer is the caller's, and is freed by the function of its type. After an error
//   nothing was written there.
// - A handle is no address. One that is null, was freed or was never made is an error (INVALID_ARGUMENT); freeing it is
//   nothing, and counted.
// - A slice must be readable until the call returns; its bytes are copied. Texts are UTF-8 and may hold zeros.
// - Any thread may call anything; a span, an event and a list of chunks by one thread at a time, if the order matters.
// - No function prints, installs signal handlers, or lets a panic out.

#ifndef DATA_PIPELINE_H
#define DATA_PIPELINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <datadog/common.h>
#include <datadog/data-pipeline.h>

// What can be asked of an exporter. The answers are JSON unless it is said otherwise.
typedef enum dp_Question {
  // The agent's `/info`, asked for now: two lines, its hash of the container's tags (may be empty) and of its state;
  // then the body as it came.
  DP_QUESTION_FETCH_INFO = 0,
  // The same as it is known; null if nothing is.
  DP_QUESTION_KNOWN_INFO = 1,
  // The same, waited for; null if the agent has none.
  DP_QUESTION_AWAIT_AGENT = 2,
  // Everything that a person needs to see what the exporter does, and why.
  DP_QUESTION_EXPLAIN = 3,
  // READY, DEGRADED or DOWN, with the last error.
  DP_QUESTION_STATE = 4,
  // Lines for a log, each once: milliseconds, severity and text, with tabs between.
  DP_QUESTION_LOG_LINES = 5,
  // What client-side stats have counted.
  DP_QUESTION_STATS = 6,
  // Traces as lines, each once, where the destination is lines that the host writes
  // (`{"log":{"target":"host"}}`). Not JSON as a whole: one object a line.
  DP_QUESTION_TRACE_LINES = 7,
} dp_Question;

// Why a function failed. Null means success. Freed by `dp_error_free`, once.
typedef struct dp_Error {
  // What kind of error it is; the numbers stand in docs/errors.md and are the same in every language.
  uint32_t kind;
  // The HTTP status that the agent answered, or 0.
  uint32_t status;
  // How many requests were made.
  uint32_t attempts;
  // Whether another try may succeed.
  bool is_temporary;
  // A sentence for a person; ends with a zero.
  char *message;
} dp_Error;

// What a tracer says beside one payload. Where it is null, and where all of it is zero, nothing is said.
typedef struct dp_SendOptions {
  // Traces that the tracer has dropped itself: what sampling gave priority 0.
  uint64_t dropped_p0_traces;
  // Their spans.
  uint64_t dropped_p0_spans;
  // The tracer has computed stats of this payload's spans: they are not counted here, and the agent is told. The
  // setting `clientComputedStats` says it of every payload.
  bool client_computed_stats;
} dp_SendOptions;

// A text or bytes that this library made.
typedef struct dp_Text dp_Text;

// Traces, spans and bytes of input.
typedef struct dp_Counts {
  // Traces.
  uint64_t traces;
  // Spans.
  uint64_t spans;
  // Bytes.
  uint64_t bytes;
} dp_Counts;

// What became of the queue while a flush waited.
typedef struct dp_Flush {
  // Whether everything that was offered before has met its fate.
  bool complete;
  // What the agent accepted meanwhile.
  struct dp_Counts sent;
  // What still waits.
  struct dp_Counts pending;
  // What trace filters and sampling took out meanwhile.
  struct dp_Counts left_out;
  // What was dropped meanwhile.
  struct dp_Counts dropped;
} dp_Flush;

// The account: `received = sent + dropped + filtered + sampled_out + queued`, at every moment.
typedef struct dp_Account {
  // Payloads that entered.
  uint64_t payloads;
  // All that entered.
  struct dp_Counts received;
  // What the agent accepted.
  struct dp_Counts sent;
  // What was dropped; `dp_exporter_ask` with EXPLAIN has the reasons.
  struct dp_Counts dropped;
  // What trace filters rejected.
  struct dp_Counts filtered;
  // What sampling dropped.
  struct dp_Counts sampled_out;
  // What is on its way, or waits for it.
  struct dp_Counts queued;
  // Payloads that the agent may have twice.
  uint64_t possibly_duplicated;
  // Payloads that count as dropped although the agent may have them.
  uint64_t possibly_arrived;
  // Values that were repaired.
  uint64_t repaired;
  // Requests made for traces.
  uint64_t requests;
  // Bytes of request bodies that the agent accepted.
  uint64_t body_bytes;
  // Bytes of memory that the exporter holds for payloads.
  uint64_t memory_bytes;
  // What of `queued` lies on disk.
  struct dp_Counts spooled;
  // Payloads of `dropped` that nobody has read: how many spans they had is not known, and no figure has them.
  uint64_t unread_payloads;
  // Traces that they declared.
  uint64_t unread_traces;
  // Their bytes.
  uint64_t unread_bytes;
  // Spans that the output format could not carry whole.
  uint64_t lost_in_conversion;
  // Bytes of request bodies that went out, compressed, stats included, each as often as it was sent.
  uint64_t wire_bytes;
  // How many milliseconds the queue waits for its pace (`maxBytesPerSecond`); 0 if it does not.
  uint64_t queue_pace_millis;
} dp_Account;

// What a response says beside its body.
typedef struct dp_Response {
  // The HTTP status, 0 if there was nothing to send.
  uint32_t status;
  // Requests made.
  uint32_t attempts;
  // Traces sent.
  uint64_t traces;
  // Spans sent.
  uint64_t spans;
  // Whether the sampling rates are news.
  bool rates_changed;
  // Values that were repaired.
  uint64_t repaired;
  // What trace filters rejected.
  struct dp_Counts filtered;
  // What sampling dropped.
  struct dp_Counts sampled_out;
  // Traces that could not be read.
  struct dp_Counts malformed;
  // Traces that the agent would refuse.
  struct dp_Counts invalid;
} dp_Response;

#ifdef __cplusplus
extern "C" {
#endif

// The version of this library.
ddog_CharSlice dp_version(void);

// How often something was freed that was not there, or was freed before.
uint64_t dp_freed_in_vain(void);

// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
void dp_error_free(struct dp_Error *error);

// Makes a setting of docs/settings.md by its name. A flag is `true` or `false`; a duration has a unit (`5 s`,
// `800 ms`, `1 min`) or is milliseconds; bytes may have one (`64 MiB`); a destination is JSON. Settings that take
// several values get one more each time. Ranges are checked when the exporter is made.
struct dp_Error *dp_config_set(struct ddog_TraceExporterConfig *config,
                               ddog_CharSlice name,
                               ddog_CharSlice value);

// Makes a setting of two values: `header` and `obfuscationEnvironment` (name, value), `spool` and `capture`
// (directory, bytes), `clientCertificate` (file of the certificate, file of its key).
struct dp_Error *dp_config_set_pair(struct ddog_TraceExporterConfig *config,
                                    ddog_CharSlice name,
                                    ddog_CharSlice first,
                                    ddog_CharSlice second);

// Takes what is not set from the environment when the exporter is made, as docs/settings.md says. A bad value is an
// error then, or left out with a log line if `skip_bad`.
struct dp_Error *dp_config_from_environment(struct ddog_TraceExporterConfig *config,
                                            bool skip_bad);

// As `ddog_trace_exporter_send`, with what the tracer says beside the payload; `options` may be null.
struct dp_Error *dp_exporter_send(const struct ddog_TraceExporter *exporter,
                                  ddog_ByteSlice payload,
                                  const struct dp_SendOptions *options,
                                  struct ddog_TraceExporterResponse **response_out);

// As `ddog_trace_exporter_send_trace_chunks`, with what the tracer says beside the payload; `options` may be null. The
// chunks are gone afterwards, whatever happened.
struct dp_Error *dp_exporter_send_trace_chunks(const struct ddog_TraceExporter *exporter,
                                               struct ddog_TracerTraceChunks *chunks,
                                               const struct dp_SendOptions *options,
                                               struct ddog_TraceExporterResponse **response_out,
                                               const struct ddog_TraceExporterCancelToken *cancel);

// Queues a payload and returns at once; nobody waits for the answer. `options` may be null.
struct dp_Error *dp_exporter_offer(const struct ddog_TraceExporter *exporter,
                                   ddog_ByteSlice payload,
                                   const struct dp_SendOptions *options);

// Queues a payload and gives it a number; `dp_exporter_next_completed` says when it is done. Fetch every answer:
// what nobody fetches stays.
struct dp_Error *dp_exporter_send_async(const struct ddog_TraceExporter *exporter,
                                        ddog_ByteSlice payload,
                                        const struct dp_SendOptions *options,
                                        uint64_t *ticket_out);

// The number of a send that is done, waiting up to so many milliseconds; 0 if none is. Each is told once.
uint64_t dp_exporter_next_completed(const struct ddog_TraceExporter *exporter, uint64_t wait_millis);

// What became of a send that is done, once: its error, or its response.
struct dp_Error *dp_exporter_take_completed(const struct ddog_TraceExporter *exporter,
                                            uint64_t ticket,
                                            struct ddog_TraceExporterResponse **response_out);

// Sends what waits, and stats, within so many milliseconds. `report_out` may be null.
struct dp_Error *dp_exporter_flush(const struct ddog_TraceExporter *exporter,
                                   uint64_t limit_millis,
                                   struct dp_Flush *report_out);

// Sends the stats of all buckets now, the current one included, within so many milliseconds; with the setting
// `statsReplay` nothing else sends them. `arrived_out`, which may be null, says whether all of them arrived; what did
// not is kept for later, as far as that can be.
struct dp_Error *dp_exporter_flush_stats(const struct ddog_TraceExporter *exporter,
                                         uint64_t limit_millis,
                                         bool *arrived_out);

// Changes settings while the exporter lives: to all those that `config` has now. Best the one that the exporter was
// made with, with some made anew; a header that is set again takes the place of the one before. Destination,
// headers, filters, time limits and what else does not say how the queue, the spool or stats are laid out can change;
// else it is an error that names the setting, and nothing has changed. Sends that have begun end as they began. The
// runtime stays the one that it was.
struct dp_Error *dp_exporter_reconfigure(const struct ddog_TraceExporter *exporter,
                                         const struct ddog_TraceExporterConfig *config);

// Reads the account.
struct dp_Error *dp_exporter_account(const struct ddog_TraceExporter *exporter,
                                     struct dp_Account *account_out);

// Asks something; `answer_out` becomes the caller's and may come out null. FETCH_INFO and AWAIT_AGENT wait up to so
// many milliseconds.
struct dp_Error *dp_exporter_ask(const struct ddog_TraceExporter *exporter,
                                 int32_t question,
                                 uint64_t limit_millis,
                                 struct dp_Text **answer_out);

// Closes an exporter within so many milliseconds; its handle stays, and can be asked. `account_out` may be null.
struct dp_Error *dp_exporter_close(const struct ddog_TraceExporter *exporter,
                                   uint64_t limit_millis,
                                   struct dp_Account *account_out);

// Before a snapshot of the process: sends what waits within so many milliseconds, closes connections, ends threads.
struct dp_Error *dp_exporter_suspend(const struct ddog_TraceExporter *exporter,
                                     uint64_t limit_millis);

// After a snapshot was restored: goes on.
struct dp_Error *dp_exporter_resume(const struct ddog_TraceExporter *exporter);

// What a response says beside its body.
struct dp_Error *dp_response_read(const struct ddog_TraceExporterResponse *response,
                                  struct dp_Response *response_out);

// The last sampling rates of the agent, as JSON. They live as long as the response; empty if there are none.
ddog_ByteSlice dp_response_rates(const struct ddog_TraceExporterResponse *response);

// The payload that chunks are so far, in v0.4. It lives until the next call with these chunks.
ddog_ByteSlice dp_trace_chunks_payload(const struct ddog_TracerTraceChunks *chunks);

// The bytes of a text. They live as long as it does. Empty if it is null or was freed.
ddog_CharSlice dp_text_get(const struct dp_Text *text);

// Frees a text. Null is nothing; a second time is nothing, and counted.
void dp_text_free(struct dp_Text *text);

// A payload in another format. `request` has the words `from=`, `to=` (`v0.4`, `v0.5`, `v1`), `top-level`, `drop-p0`,
// `filter=RULE`, with a space between. The answer is one line of JSON, what became of it, and then the body.
struct dp_Error *dp_convert(ddog_ByteSlice payload,
                            ddog_CharSlice request,
                            struct dp_Text **answer_out);

// A payload as lines of JSON, a span a line.
struct dp_Error *dp_json_lines(ddog_ByteSlice payload, struct dp_Text **answer_out);

// A text without its literals, as it would leave the process. `kind` is a span's type (`sql`, `redis`, …), `dbms` its
// dialect, `mode` how SQL is obfuscated; the last two may be empty.
struct dp_Error *dp_obfuscate(ddog_ByteSlice text,
                              ddog_CharSlice kind,
                              ddog_CharSlice dbms,
                              ddog_CharSlice mode,
                              struct dp_Text **answer_out);

#ifdef __cplusplus
}
#endif

#endif // DATA_PIPELINE_H
