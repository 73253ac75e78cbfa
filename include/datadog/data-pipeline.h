// datadog/data-pipeline.h: exporters, and spans built in native memory.
// Made by `python3 scripts/headers.py` from src/capi. Change the sources, not this file.
// Source-compatible with the headers of libdatadog 41.0.0 (revision 9d6b2ffb); binaries of other generations are no drop-in.
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

#ifndef DATADOG_DATA_PIPELINE_H
#define DATADOG_DATA_PIPELINE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <datadog/common.h>

// The interface that this header is source-compatible with.
#define DDOG_DATA_PIPELINE_GENERATION "41.0.0"

// How long an attempt may take that nobody set a time for, in milliseconds, where the reference says so.
#define ddog_Endpoint_DEFAULT_TIMEOUT 3000

// Names of the limits of stats.
#define ddog_CollapsedFieldSet_RESOURCE_NAME 1
#define ddog_CollapsedFieldSet_HTTP_ENDPOINT 2
#define ddog_CollapsedFieldSet_PEER_TAGS 4
#define ddog_CollapsedFieldSet_ADDITIONAL_TAGS 8

// A runtime; its functions are in shared-runtime.h.
typedef struct ddog_ForkSafeRuntime ddog_ForkSafeRuntime;

// What kind of error it is.
typedef enum ddog_TraceExporterErrorCode {
  // The address is in use.
  DDOG_TRACE_EXPORTER_ERROR_CODE_ADDRESS_IN_USE,
  // The connection was ended.
  DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_ABORTED,
  // Nobody listens at the agent's address.
  DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_REFUSED,
  // The agent closed the connection before it had answered.
  DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_RESET,
  // The body of the answer cannot be read.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_BODY_FORMAT,
  // The payload, or a trace of it, is larger than the agent takes.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_BODY_TOO_LONG,
  // The agent answered 400 to 499.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_CLIENT,
  // The answer has no body.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_EMPTY_BODY,
  // The answer is not HTTP.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_PARSE,
  // The agent answered 500 or more.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_SERVER,
  // The agent answered another status.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_UNKNOWN,
  // The status has no meaning here.
  DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_WRONG_STATUS,
  // A handle names nothing, a pointer is null, a length is impossible, or settings cannot be used.
  DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_ARGUMENT,
  // Data cannot be used.
  DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_DATA,
  // A text is not UTF-8, or a structured value is none.
  DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_INPUT,
  // The agent's URL cannot be used.
  DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_URL,
  // Any other input or output error; also what a cancelled send gives.
  DDOG_TRACE_EXPORTER_ERROR_CODE_IO_ERROR,
  // Any other error of the network.
  DDOG_TRACE_EXPORTER_ERROR_CODE_NETWORK_UNKNOWN,
  // The payload cannot be read.
  DDOG_TRACE_EXPORTER_ERROR_CODE_SERDE,
  // The exporter is closed.
  DDOG_TRACE_EXPORTER_ERROR_CODE_SHUTDOWN,
  // A time limit passed.
  DDOG_TRACE_EXPORTER_ERROR_CODE_TIMED_OUT,
  // Telemetry failed.
  DDOG_TRACE_EXPORTER_ERROR_CODE_TELEMETRY,
  // A defect of this library, or no memory.
  DDOG_TRACE_EXPORTER_ERROR_CODE_INTERNAL,
  // A panic inside the library, caught at its border.
  DDOG_TRACE_EXPORTER_ERROR_CODE_PANIC,
} ddog_TraceExporterErrorCode;

// Why a function failed. Null means success. Freed by `ddog_trace_exporter_error_free`, once.
typedef struct ddog_TraceExporterError {
  // What kind of error it is.
  enum ddog_TraceExporterErrorCode code;
  // A sentence for a person; ends with a zero.
  char *msg;
} ddog_TraceExporterError;

// What a token is.
enum {
  // Nothing.
  DDOG_TRACER_VALUE_NIL,
  // `bool_value`, 0 or 1.
  DDOG_TRACER_VALUE_BOOL,
  // `i64_value`.
  DDOG_TRACER_VALUE_I64,
  // `u64_value`.
  DDOG_TRACER_VALUE_U64,
  // `f64_value`.
  DDOG_TRACER_VALUE_F64,
  // `bytes`, in UTF-8.
  DDOG_TRACER_VALUE_STRING,
  // `bytes`.
  DDOG_TRACER_VALUE_BINARY,
  // A list of `child_count` values, which follow.
  DDOG_TRACER_VALUE_ARRAY,
  // A map of `child_count` entries, which follow: key, value, key, value.
  DDOG_TRACER_VALUE_MAP,
};
typedef uint8_t ddog_TracerValueKind;

// A structured value as msgpack.
typedef struct ddog_TracerEncodedValue ddog_TracerEncodedValue;

// A value, or the head of a list or map.
typedef struct ddog_TracerValueToken {
  // A `ddog_TracerValueKind`.
  uint8_t kind;
  // For BOOL.
  uint8_t bool_value;
  // For ARRAY and MAP.
  uint32_t child_count;
  // For I64.
  int64_t i64_value;
  // For U64.
  uint64_t u64_value;
  // For F64.
  double f64_value;
  // For STRING and BINARY.
  ddog_ByteSlice bytes;
} ddog_TracerValueToken;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_TracerValueToken {
  // The first value.
  const struct ddog_TracerValueToken *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_TracerValueToken;

// Takes finished traces and delivers them. Any number of threads may use it at once.
typedef struct ddog_TraceExporter ddog_TraceExporter;

// Ends the wait of sends for their answers.
typedef struct ddog_TraceExporterCancelToken ddog_TraceExporterCancelToken;

// What the agent answered.
typedef struct ddog_TraceExporterResponse ddog_TraceExporterResponse;

// Settings that an exporter is made with. They are copied by `ddog_trace_exporter_new`, and checked there.
typedef struct ddog_TraceExporterConfig ddog_TraceExporterConfig;

// How instrumentation telemetry is sent.
typedef struct ddog_TelemetryClientConfig {
  // Milliseconds between two messages, 100 to an hour; what is beyond is the nearest of both, 0 is a minute.
  uint64_t interval;
  // The process; empty: the one that the exporter has.
  ddog_CharSlice runtime_id;
  // Whether messages are for debugging.
  bool debug_enabled;
  // The session.
  ddog_CharSlice session_id;
  // The session of the first process.
  ddog_CharSlice root_session_id;
  // The session of the parent.
  ddog_CharSlice parent_session_id;
} ddog_TelemetryClientConfig;

// How many different groups and values a bucket of stats takes; what is beyond is counted as `tracer_blocked_value`.
typedef struct ddog_CardinalityLimitConfig {
  // Groups.
  uintptr_t whole_key_limit;
  // Resources.
  uintptr_t resource_limit;
  // HTTP endpoints.
  uintptr_t http_endpoint_limit;
  // Lists of peer tags.
  uintptr_t peer_tags_limit;
  // Lists of additional tags.
  uintptr_t additional_tags_limit;
} ddog_CardinalityLimitConfig;

// A span that is being built.
typedef struct ddog_TracerSpan ddog_TracerSpan;

// What every span has.
typedef struct ddog_TracerSpanFields {
  // The service.
  ddog_CharSlice service;
  // The name of the operation.
  ddog_CharSlice name;
  // The resource.
  ddog_CharSlice resource;
  // The type, `web` for instance; may be empty.
  ddog_CharSlice span_type;
  // The lower half of the trace's id.
  uint64_t trace_id_low;
  // The upper half; becomes `_dd.p.tid` if it is not 0.
  uint64_t trace_id_high;
  // The id.
  uint64_t span_id;
  // The parent's id, 0 for a root.
  uint64_t parent_id;
  // Nanoseconds since 1970.
  int64_t start;
  // Nanoseconds.
  int64_t duration;
  // 1 for an error.
  int32_t error;
} ddog_TracerSpanFields;

// An attribute of a link.
typedef struct ddog_TracerSpanLinkAttribute {
  // Its key.
  ddog_CharSlice key;
  // Its value.
  ddog_CharSlice value;
} ddog_TracerSpanLinkAttribute;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_TracerSpanLinkAttribute {
  // The first value.
  const struct ddog_TracerSpanLinkAttribute *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_TracerSpanLinkAttribute;

// A link to another span.
typedef struct ddog_TracerSpanLink {
  // The lower half of the trace's id.
  uint64_t trace_id_low;
  // The upper half.
  uint64_t trace_id_high;
  // The other span's id.
  uint64_t span_id;
  // What is said of the link.
  struct ddog_Slice_TracerSpanLinkAttribute attributes;
  // The W3C trace state; may be empty.
  ddog_CharSlice tracestate;
  // The W3C flags, with bit 31 set if they are there.
  uint32_t flags;
} ddog_TracerSpanLink;

// A view of `len` values at `ptr`; the memory is the caller's. `ptr` may be null if `len` is 0.
typedef struct ddog_Slice_TracerSpanLink {
  // The first value.
  const struct ddog_TracerSpanLink *ptr;
  // How many there are.
  uintptr_t len;
} ddog_Slice_TracerSpanLink;

// An event that is being built.
typedef struct ddog_TracerSpanEvent ddog_TracerSpanEvent;

// Chunks that are being built.
typedef struct ddog_TracerTraceChunks ddog_TracerTraceChunks;

#ifdef __cplusplus
extern "C" {
#endif

// Frees an error, once: it is a plain struct, and nothing can tell that it was freed before. Null is nothing.
void ddog_trace_exporter_error_free(struct ddog_TraceExporterError *error);

// Makes msgpack of tokens; `out_handle` becomes the caller's.
struct ddog_TraceExporterError *ddog_tracer_encode_value(struct ddog_Slice_TracerValueToken tokens,
                                                         struct ddog_TracerEncodedValue **out_handle);

// The bytes of a value. They live as long as the value. An empty slice if it is null or was freed.
ddog_ByteSlice ddog_tracer_encoded_value_as_slice(const struct ddog_TracerEncodedValue *value);

// Frees a value. Null is nothing; a second time is nothing, and counted.
void ddog_tracer_encoded_value_free(struct ddog_TracerEncodedValue *value);

// Makes settings without a setting; `out_handle` becomes the caller's.
void ddog_trace_exporter_config_new(struct ddog_TraceExporterConfig **out_handle);

// Frees settings. Null is nothing; a second time is nothing, and counted.
void ddog_trace_exporter_config_free(struct ddog_TraceExporterConfig *handle);

// Sets where the agent is: `http://host:port`, `unix:///path` or `windows:\\.\pipe\name`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_url(struct ddog_TraceExporterConfig *config,
                                                                   ddog_CharSlice url);

// Sets the header `Datadog-Meta-Tracer-Version`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_tracer_version(struct ddog_TraceExporterConfig *config,
                                                                              ddog_CharSlice version);

// Sets the header `Datadog-Meta-Lang`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_language(struct ddog_TraceExporterConfig *config,
                                                                        ddog_CharSlice lang);

// Sets the header `Datadog-Meta-Lang-Version`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_lang_version(struct ddog_TraceExporterConfig *config,
                                                                            ddog_CharSlice version);

// Sets the header `Datadog-Meta-Lang-Interpreter`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_lang_interpreter(struct ddog_TraceExporterConfig *config,
                                                                                ddog_CharSlice interpreter);

// Sets the host name.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_hostname(struct ddog_TraceExporterConfig *config,
                                                                        ddog_CharSlice hostname);

// Sets the environment, `prod` for instance.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_env(struct ddog_TraceExporterConfig *config,
                                                                   ddog_CharSlice env);

// Sets the version of the service.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_version(struct ddog_TraceExporterConfig *config,
                                                                       ddog_CharSlice version);

// Sets the service of the process.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_service(struct ddog_TraceExporterConfig *config,
                                                                       ddog_CharSlice service);

// Accepted; health metrics go out as soon as the setting `dogstatsd` says where to (`dp_config_set`).
struct ddog_TraceExporterError *ddog_trace_exporter_config_enable_health_metrics(struct ddog_TraceExporterConfig *config,
                                                                                 bool is_enabled);

// Sends instrumentation telemetry. Null, or never called: none is sent.
struct ddog_TraceExporterError *ddog_trace_exporter_config_enable_telemetry(struct ddog_TraceExporterConfig *config,
                                                                            const struct ddog_TelemetryClientConfig *telemetry_cfg);

// Computes stats in buckets of ten seconds while the agent takes them.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_compute_stats(struct ddog_TraceExporterConfig *config,
                                                                             bool is_enabled);

// Tells the agent that the tracer computes stats. Without effect while this library computes them.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_client_computed_stats(struct ddog_TraceExporterConfig *config,
                                                                                     bool client_computed_stats);

// Sets process tags, `key:value,key:value`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_process_tags(struct ddog_TraceExporterConfig *config,
                                                                            ddog_CharSlice process_tags);

// Sets the header `X-Datadog-Test-Session-Token`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_test_session_token(struct ddog_TraceExporterConfig *config,
                                                                                  ddog_CharSlice token);

// Sets how many milliseconds one attempt may take, up to ten minutes; 0 is the default.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_connection_timeout(struct ddog_TraceExporterConfig *config,
                                                                                  uint64_t timeout_ms);

// The exporter belongs to this runtime: `ddog_shared_runtime_shutdown` closes it. The runtime may be freed before.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_shared_runtime(struct ddog_TraceExporterConfig *config,
                                                                              struct ddog_ForkSafeRuntime *handle);

// Sets where OpenTelemetry's protocol is spoken, in place of an agent. Empty: nowhere.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_otlp_endpoint(struct ddog_TraceExporterConfig *config,
                                                                             ddog_CharSlice url);

// Sets the form of OpenTelemetry's protocol: `http/protobuf` or `http/json`.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_otlp_protocol(struct ddog_TraceExporterConfig *config,
                                                                             ddog_CharSlice protocol);

// Accepted and checked; the scope that this library writes is its own.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_otlp_instrumentation_scope(struct ddog_TraceExporterConfig *config,
                                                                                          ddog_CharSlice name,
                                                                                          ddog_CharSlice version);

// Sets how many groups and values a bucket of stats takes.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_stats_cardinality_limit(struct ddog_TraceExporterConfig *config,
                                                                                       struct ddog_CardinalityLimitConfig limits);

// The limits that hold when none were set.
struct ddog_CardinalityLimitConfig ddog_trace_exporter_config_default_stats_cardinality_limit(void);

// Writes traces as lines to standard output instead of sending them; a line has at most so many bytes, 0 is the
// default. It is the one function after which this library writes there.
struct ddog_TraceExporterError *ddog_trace_exporter_config_set_output_to_log(struct ddog_TraceExporterConfig *config,
                                                                             uintptr_t max_line_size);

// Makes an exporter; `out_handle` becomes the caller's. The config is copied, and stays the caller's. Waits for
// nothing.
struct ddog_TraceExporterError *ddog_trace_exporter_new(struct ddog_TraceExporter **out_handle,
                                                        const struct ddog_TraceExporterConfig *config);

// Closes an exporter within the setting `closeTimeout` (800 ms) and frees it; what could not be sent by then is
// dropped and counted. Null is nothing; a second time is nothing, and counted.
void ddog_trace_exporter_free(struct ddog_TraceExporter *handle);

// Sends one payload (msgpack v0.4, or what the setting `inputFormat` says) and waits for the agent's answer, which
// becomes the caller's if `response_out` is not null.
struct ddog_TraceExporterError *ddog_trace_exporter_send(const struct ddog_TraceExporter *handle,
                                                         ddog_ByteSlice trace,
                                                         struct ddog_TraceExporterResponse **response_out);

// Sends chunks and waits for the agent's answer. The chunks are gone then, after an error, too.
//
// `cancel`, if it is not null, ends the wait: the error is `IO_ERROR`, and what is under way goes on being sent
// and is counted, so that nothing is lost for it.
struct ddog_TraceExporterError *ddog_trace_exporter_send_trace_chunks(const struct ddog_TraceExporter *exporter,
                                                                      struct ddog_TracerTraceChunks *chunks,
                                                                      struct ddog_TraceExporterResponse **response_out,
                                                                      const struct ddog_TraceExporterCancelToken *cancel);

// The body that the agent answered. It lives as long as the response. An empty slice if that is null or was freed.
ddog_ByteSlice ddog_trace_exporter_response_get_body(const struct ddog_TraceExporterResponse *response);

// Frees a response. Null is nothing; a second time is nothing, and counted.
void ddog_trace_exporter_response_free(struct ddog_TraceExporterResponse *response);

// Makes a token. Null if there is no memory.
struct ddog_TraceExporterCancelToken *ddog_trace_exporter_cancel_token_new(void);

// Ends the waits of all sends that were given this token, and of those that will be. From any thread.
void ddog_trace_exporter_cancel_token_cancel(const struct ddog_TraceExporterCancelToken *token);

// Frees a token; sends that have it go on. Null is nothing; a second time is nothing, and counted.
void ddog_trace_exporter_cancel_token_drop(struct ddog_TraceExporterCancelToken *token);

// Begins a span; `out_handle` becomes the caller's. Everything is copied.
struct ddog_TraceExporterError *ddog_tracer_span_new(struct ddog_TracerSpan **out_handle,
                                                     const struct ddog_TracerSpanFields *fields);

// Frees a span that was not pushed. Null is nothing; a second time is nothing, and counted.
void ddog_tracer_span_free(struct ddog_TracerSpan *handle);

// Sets a tag. A key that is there gets the new value.
struct ddog_TraceExporterError *ddog_tracer_span_set_meta(struct ddog_TracerSpan *handle,
                                                          ddog_CharSlice key,
                                                          ddog_CharSlice value);

// Sets a number. A key that is there gets the new value.
struct ddog_TraceExporterError *ddog_tracer_span_set_metric(struct ddog_TracerSpan *handle,
                                                            ddog_CharSlice key,
                                                            double value);

// Sets a structured value that is msgpack already. It is not looked into.
struct ddog_TraceExporterError *ddog_tracer_span_set_meta_struct_blob(struct ddog_TracerSpan *handle,
                                                                      ddog_CharSlice key,
                                                                      ddog_ByteSlice value);

// Sets a structured value that tokens describe.
struct ddog_TraceExporterError *ddog_tracer_span_set_meta_struct(struct ddog_TracerSpan *handle,
                                                                 ddog_CharSlice key,
                                                                 struct ddog_Slice_TracerValueToken tokens);

// Sets the links, in place of those that are there. After an error those stay.
struct ddog_TraceExporterError *ddog_tracer_span_set_links(struct ddog_TracerSpan *handle,
                                                           struct ddog_Slice_TracerSpanLink links);

// Adds an event. The event belongs to the span then, and is gone after an error, too.
struct ddog_TraceExporterError *ddog_tracer_span_add_event(struct ddog_TracerSpan *span,
                                                           struct ddog_TracerSpanEvent *event);

// Begins an event; `out_handle` becomes the caller's. The time is nanoseconds since 1970.
struct ddog_TraceExporterError *ddog_tracer_span_event_new(struct ddog_TracerSpanEvent **out_handle,
                                                           ddog_CharSlice name,
                                                           uint64_t time_unix_nano);

// Frees an event that was not added to a span. Null is nothing; a second time is nothing, and counted.
void ddog_tracer_span_event_free(struct ddog_TracerSpanEvent *handle);

// Sets an attribute that is a text.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_string(struct ddog_TracerSpanEvent *event,
                                                                  ddog_CharSlice key,
                                                                  ddog_CharSlice value);

// Sets an attribute that is true or false.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_bool(struct ddog_TracerSpanEvent *event,
                                                                ddog_CharSlice key,
                                                                bool value);

// Sets an attribute that is a whole number.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_int(struct ddog_TracerSpanEvent *event,
                                                               ddog_CharSlice key,
                                                               int64_t value);

// Sets an attribute that is a number.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_double(struct ddog_TracerSpanEvent *event,
                                                                  ddog_CharSlice key,
                                                                  double value);

// Sets an attribute that is a list of texts.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_string_array(struct ddog_TracerSpanEvent *event,
                                                                        ddog_CharSlice key,
                                                                        struct ddog_Slice_CharSlice values);

// Sets an attribute that is a list of true and false.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_bool_array(struct ddog_TracerSpanEvent *event,
                                                                      ddog_CharSlice key,
                                                                      struct ddog_Slice_Bool values);

// Sets an attribute that is a list of whole numbers.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_int_array(struct ddog_TracerSpanEvent *event,
                                                                     ddog_CharSlice key,
                                                                     struct ddog_Slice_I64 values);

// Sets an attribute that is a list of numbers.
struct ddog_TraceExporterError *ddog_tracer_span_event_set_double_array(struct ddog_TracerSpanEvent *event,
                                                                        ddog_CharSlice key,
                                                                        struct ddog_Slice_F64 values);

// Begins a payload; `out_handle` becomes the caller's. `capacity` is how many chunks there will be, and only a hint.
struct ddog_TraceExporterError *ddog_tracer_trace_chunks_new(uintptr_t capacity,
                                                             struct ddog_TracerTraceChunks **out_handle);

// Frees chunks that were not sent. Null is nothing; a second time is nothing, and counted.
void ddog_tracer_trace_chunks_free(struct ddog_TracerTraceChunks *handle);

// Begins a chunk. `capacity` is how many spans there will be, and only a hint.
struct ddog_TraceExporterError *ddog_tracer_trace_chunks_begin_chunk(struct ddog_TracerTraceChunks *handle,
                                                                     uintptr_t capacity);

// Puts a span into the chunk that was begun last. The span is gone then, after an error, too.
struct ddog_TraceExporterError *ddog_tracer_trace_chunks_push_span(struct ddog_TracerTraceChunks *handle,
                                                                   struct ddog_TracerSpan *span);

#ifdef __cplusplus
}
#endif

#endif // DATADOG_DATA_PIPELINE_H
