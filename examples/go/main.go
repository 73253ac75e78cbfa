// Builds a trace in native memory, sends it to the agent of DD_TRACE_AGENT_URL and prints what the agent answers.
//
//	CGO_CFLAGS=-I../../include CGO_LDFLAGS=-L../../build/capi go run .
package main

/*
#cgo LDFLAGS: -ldata-pipeline-ffi
#include <datadog/data-pipeline.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"
)

// chars views a text for the length of a call.
func chars(text string) C.ddog_CharSlice {
	return C.ddog_CharSlice{ptr: (*C.char)(unsafe.Pointer(unsafe.StringData(text))), len: C.uintptr_t(len(text))}
}

func check(failed *C.ddog_TraceExporterError) error {
	if failed == nil {
		return nil
	}
	defer C.ddog_trace_exporter_error_free(failed)
	return errors.New(C.GoString(failed.msg))
}

func send(url string) (string, error) {
	var config *C.ddog_TraceExporterConfig
	C.ddog_trace_exporter_config_new(&config)
	defer C.ddog_trace_exporter_config_free(config)
	if err := check(C.ddog_trace_exporter_config_set_url(config, chars(url))); err != nil {
		return "", err
	}
	if err := check(C.ddog_trace_exporter_config_set_language(config, chars("go"))); err != nil {
		return "", err
	}
	var exporter *C.ddog_TraceExporter
	if err := check(C.ddog_trace_exporter_new(&exporter, config)); err != nil {
		return "", err
	}
	defer C.ddog_trace_exporter_free(exporter)

	var chunks *C.ddog_TracerTraceChunks
	if err := check(C.ddog_tracer_trace_chunks_new(1, &chunks)); err != nil {
		return "", err
	}
	if err := check(C.ddog_tracer_trace_chunks_begin_chunk(chunks, 1)); err != nil {
		return "", err
	}
	// The struct holds views of Go's memory, so it is C's own.
	fields := (*C.ddog_TracerSpanFields)(C.calloc(1, C.sizeof_ddog_TracerSpanFields))
	defer C.free(unsafe.Pointer(fields))
	service, name := C.CString("example-go"), C.CString("http.request")
	defer C.free(unsafe.Pointer(service))
	defer C.free(unsafe.Pointer(name))
	fields.service = C.ddog_CharSlice{ptr: service, len: 10}
	fields.name = C.ddog_CharSlice{ptr: name, len: 12}
	fields.resource = fields.name
	fields.trace_id_low, fields.span_id = 4713, 1
	fields.start, fields.duration = C.int64_t(time.Now().UnixNano()), 25_000_000
	var span *C.ddog_TracerSpan
	if err := check(C.ddog_tracer_span_new(&span, fields)); err != nil {
		return "", err
	}
	if err := check(C.ddog_tracer_span_set_meta(span, chars("http.method"), chars("GET"))); err != nil {
		return "", err
	}
	if err := check(C.ddog_tracer_trace_chunks_push_span(chunks, span)); err != nil {
		return "", err
	}
	var response *C.ddog_TraceExporterResponse
	if err := check(C.ddog_trace_exporter_send_trace_chunks(exporter, chunks, &response, nil)); err != nil {
		return "", err
	}
	defer C.ddog_trace_exporter_response_free(response)
	body := C.ddog_trace_exporter_response_get_body(response)
	return string(C.GoBytes(unsafe.Pointer(body.ptr), C.int(body.len))), nil
}

func main() {
	url := os.Getenv("DD_TRACE_AGENT_URL")
	if url == "" {
		url = "http://127.0.0.1:8126"
	}
	answer, err := send(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(answer)
}
