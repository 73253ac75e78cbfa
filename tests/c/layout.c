// Sizes, offsets and numbers of the reference's interface, checked by the compiler: C99 and C++17 alike.
#include <data-pipeline.h>
#include <datadog/common.h>
#include <datadog/data-pipeline.h>
#include <datadog/log.h>
#include <datadog/shared-runtime.h>
#include <stddef.h>

#define IS(name, condition) typedef char name[(condition) ? 1 : -1]

IS(char_slice, sizeof(ddog_CharSlice) == 16 && sizeof(struct ddog_Slice_CChar) == 16);
IS(char_slice_len, offsetof(ddog_CharSlice, len) == 8);
IS(byte_slice, sizeof(ddog_ByteSlice) == 16 && sizeof(struct ddog_Slice_U8) == 16);
IS(slices, sizeof(struct ddog_Slice_CharSlice) == 16 && sizeof(struct ddog_Slice_Bool) == 16);
IS(slices_of_numbers, sizeof(struct ddog_Slice_I64) == 16 && sizeof(struct ddog_Slice_F64) == 16);
IS(slices_of_structs, sizeof(struct ddog_Slice_TracerValueToken) == 16 && sizeof(struct ddog_Slice_TracerSpanLink) == 16 &&
                          sizeof(struct ddog_Slice_TracerSpanLinkAttribute) == 16);
IS(exporter_error, sizeof(ddog_TraceExporterError) == 16 && offsetof(ddog_TraceExporterError, msg) == 8);
IS(runtime_error, sizeof(ddog_SharedRuntimeFFIError) == 16 && offsetof(ddog_SharedRuntimeFFIError, msg) == 8);
IS(fields, sizeof(ddog_TracerSpanFields) == 120 && offsetof(ddog_TracerSpanFields, error) == 112);
IS(fields_texts, offsetof(ddog_TracerSpanFields, name) == 16 && offsetof(ddog_TracerSpanFields, resource) == 32 &&
                     offsetof(ddog_TracerSpanFields, span_type) == 48);
IS(fields_ids, offsetof(ddog_TracerSpanFields, trace_id_low) == 64 && offsetof(ddog_TracerSpanFields, trace_id_high) == 72 &&
                   offsetof(ddog_TracerSpanFields, span_id) == 80 && offsetof(ddog_TracerSpanFields, parent_id) == 88);
IS(fields_times, offsetof(ddog_TracerSpanFields, start) == 96 && offsetof(ddog_TracerSpanFields, duration) == 104);
IS(span_link, sizeof(ddog_TracerSpanLink) == 64 && offsetof(ddog_TracerSpanLink, flags) == 56);
IS(link_attributes, offsetof(ddog_TracerSpanLink, attributes) == 24 && offsetof(ddog_TracerSpanLink, tracestate) == 40);
IS(link_attribute, sizeof(ddog_TracerSpanLinkAttribute) == 32 && offsetof(ddog_TracerSpanLinkAttribute, value) == 16);
IS(token, sizeof(ddog_TracerValueToken) == 48 && offsetof(ddog_TracerValueToken, bytes) == 32);
IS(token_numbers, offsetof(ddog_TracerValueToken, bool_value) == 1 && offsetof(ddog_TracerValueToken, child_count) == 4 &&
                      offsetof(ddog_TracerValueToken, i64_value) == 8 && offsetof(ddog_TracerValueToken, u64_value) == 16 &&
                      offsetof(ddog_TracerValueToken, f64_value) == 24);
IS(token_kind, offsetof(ddog_TracerValueToken, kind) == 0 && offsetof(ddog_ByteSlice, ptr) == 0);
IS(telemetry, sizeof(ddog_TelemetryClientConfig) == 80 && offsetof(ddog_TelemetryClientConfig, interval) == 0 &&
                  offsetof(ddog_TelemetryClientConfig, runtime_id) == 8 &&
                  offsetof(ddog_TelemetryClientConfig, debug_enabled) == 24);
IS(telemetry_sessions, offsetof(ddog_TelemetryClientConfig, session_id) == 32 &&
                           offsetof(ddog_TelemetryClientConfig, root_session_id) == 48 &&
                           offsetof(ddog_TelemetryClientConfig, parent_session_id) == 64);
IS(limits, sizeof(ddog_CardinalityLimitConfig) == 40 && offsetof(ddog_CardinalityLimitConfig, whole_key_limit) == 0 &&
               offsetof(ddog_CardinalityLimitConfig, resource_limit) == 8 &&
               offsetof(ddog_CardinalityLimitConfig, http_endpoint_limit) == 16 &&
               offsetof(ddog_CardinalityLimitConfig, peer_tags_limit) == 24 &&
               offsetof(ddog_CardinalityLimitConfig, additional_tags_limit) == 32);
IS(error, sizeof(ddog_Error) == 24 && sizeof(ddog_StdConfig) == sizeof(enum ddog_StdTarget));
IS(file_config, sizeof(ddog_FileConfig) == 32 && offsetof(ddog_FileConfig, max_files) == 16 &&
                    offsetof(ddog_FileConfig, max_size_bytes) == 24);
IS(span_link_ids, offsetof(ddog_TracerSpanLink, trace_id_low) == 0 && offsetof(ddog_TracerSpanLink, trace_id_high) == 8 &&
                      offsetof(ddog_TracerSpanLink, span_id) == 16);
IS(kind, sizeof(ddog_TracerValueKind) == 1);
IS(kinds, DDOG_TRACER_VALUE_NIL == 0 && DDOG_TRACER_VALUE_BOOL == 1 && DDOG_TRACER_VALUE_I64 == 2 &&
              DDOG_TRACER_VALUE_U64 == 3 && DDOG_TRACER_VALUE_F64 == 4 && DDOG_TRACER_VALUE_STRING == 5 &&
              DDOG_TRACER_VALUE_BINARY == 6 && DDOG_TRACER_VALUE_ARRAY == 7 && DDOG_TRACER_VALUE_MAP == 8);
IS(codes_first, DDOG_TRACE_EXPORTER_ERROR_CODE_ADDRESS_IN_USE == 0 && DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_ABORTED == 1 &&
                    DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_REFUSED == 2 && DDOG_TRACE_EXPORTER_ERROR_CODE_CONNECTION_RESET == 3 &&
                    DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_BODY_FORMAT == 4 && DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_BODY_TOO_LONG == 5);
IS(codes_http, DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_CLIENT == 6 && DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_EMPTY_BODY == 7 &&
                   DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_PARSE == 8 && DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_SERVER == 9 &&
                   DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_UNKNOWN == 10 && DDOG_TRACE_EXPORTER_ERROR_CODE_HTTP_WRONG_STATUS == 11);
IS(codes_input, DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_ARGUMENT == 12 && DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_DATA == 13 &&
                    DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_INPUT == 14 && DDOG_TRACE_EXPORTER_ERROR_CODE_INVALID_URL == 15 &&
                    DDOG_TRACE_EXPORTER_ERROR_CODE_IO_ERROR == 16 && DDOG_TRACE_EXPORTER_ERROR_CODE_NETWORK_UNKNOWN == 17);
IS(codes_last, DDOG_TRACE_EXPORTER_ERROR_CODE_SERDE == 18 && DDOG_TRACE_EXPORTER_ERROR_CODE_SHUTDOWN == 19 &&
                   DDOG_TRACE_EXPORTER_ERROR_CODE_TIMED_OUT == 20 && DDOG_TRACE_EXPORTER_ERROR_CODE_TELEMETRY == 21 &&
                   DDOG_TRACE_EXPORTER_ERROR_CODE_INTERNAL == 22 && DDOG_TRACE_EXPORTER_ERROR_CODE_PANIC == 23);
IS(runtime_codes, DDOG_SHARED_RUNTIME_ERROR_CODE_INVALID_ARGUMENT == 0 &&
                      DDOG_SHARED_RUNTIME_ERROR_CODE_RUNTIME_UNAVAILABLE == 1 &&
                      DDOG_SHARED_RUNTIME_ERROR_CODE_LOCK_FAILED == 2 && DDOG_SHARED_RUNTIME_ERROR_CODE_WORKER_ERROR == 3 &&
                      DDOG_SHARED_RUNTIME_ERROR_CODE_RUNTIME_CREATION == 4 &&
                      DDOG_SHARED_RUNTIME_ERROR_CODE_SHUTDOWN_TIMED_OUT == 5 && DDOG_SHARED_RUNTIME_ERROR_CODE_PANIC == 6);
IS(levels, DDOG_LOG_EVENT_LEVEL_TRACE == 0 && DDOG_LOG_EVENT_LEVEL_DEBUG == 1 && DDOG_LOG_EVENT_LEVEL_INFO == 2 &&
               DDOG_LOG_EVENT_LEVEL_WARN == 3 && DDOG_LOG_EVENT_LEVEL_ERROR == 4);
IS(targets, DDOG_STD_TARGET_OUT == 0 && DDOG_STD_TARGET_ERR == 1);
IS(collapsed, ddog_CollapsedFieldSet_RESOURCE_NAME == 1 && ddog_CollapsedFieldSet_HTTP_ENDPOINT == 2 &&
                  ddog_CollapsedFieldSet_PEER_TAGS == 4 && ddog_CollapsedFieldSet_ADDITIONAL_TAGS == 8);
// Ours: bindings read these by place.
IS(our_error, sizeof(dp_Error) == 24 && offsetof(dp_Error, is_temporary) == 12 && offsetof(dp_Error, message) == 16);
IS(options, sizeof(dp_SendOptions) == 24 && offsetof(dp_SendOptions, client_computed_stats) == 16);
IS(response, sizeof(dp_Response) == 136 && offsetof(dp_Response, rates_changed) == 24 && offsetof(dp_Response, filtered) == 40);
IS(flush, sizeof(dp_Flush) == 104 && offsetof(dp_Flush, sent) == 8);
IS(account, sizeof(dp_Account) == 272 && offsetof(dp_Account, queued) == 128 && offsetof(dp_Account, spooled) == 200);
IS(timeout, ddog_Endpoint_DEFAULT_TIMEOUT == 3000);

static const ddog_CharSlice NAME = DDOG_CHARSLICE_C_BARE("name");

int main(void) {
  ddog_CharSlice text = DDOG_CHARSLICE_C("text");
  return text.len == 4 && text.ptr[4] == 0 && NAME.len == 4 ? 0 : 1;
}
