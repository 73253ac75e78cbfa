package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strconv"
	"time"

	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/trace/api"
	"github.com/DataDog/datadog-agent/pkg/trace/timing"
	"github.com/DataDog/datadog-go/v5/statsd"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// mappedSpan is a span with the field names of v0.4, as tests/fixtures/otel has it.
type mappedSpan struct {
	Service  string            `json:"service"`
	Name     string            `json:"name"`
	Resource string            `json:"resource"`
	Type     string            `json:"type"`
	TraceID  string            `json:"trace_id"`
	SpanID   string            `json:"span_id"`
	ParentID string            `json:"parent_id"`
	Start    any               `json:"start"`
	Duration int64             `json:"duration"`
	Error    int32             `json:"error"`
	Meta     map[string]string `json:"meta"`
	Metrics  map[string]any    `json:"metrics"`
}

type mappedChunk struct {
	Priority int32             `json:"priority"`
	Spans    []mappedSpan      `json:"spans"`
	Tags     map[string]string `json:"tags"`
}

// mapSpans answers each case {"id", "otlp"}, OTLP in JSON, with the same and what the OTLP receiver makes of it, before
// anything else of the agent sees it.
func mapSpans() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	c, err := configuration("http://127.0.0.1:9", 0, options{})
	if err != nil {
		return err
	}
	payloads := make(chan *api.Payload, 64)
	receiver := api.NewOTLPReceiver(payloads, c, &statsd.NoOpClient{}, timing.New(&statsd.NoOpClient{}))
	reader := ptrace.JSONUnmarshaler{}
	for in.Scan() {
		var given struct {
			ID   string          `json:"id"`
			OTLP json.RawMessage `json:"otlp"`
		}
		if err := json.Unmarshal(in.Bytes(), &given); err != nil {
			return fmt.Errorf("case %s: %w", in.Text(), err)
		}
		traces, err := reader.UnmarshalTraces(given.OTLP)
		if err != nil {
			return fmt.Errorf("case %s: %w", given.ID, err)
		}
		chunks := []mappedChunk{}
		for i := range traces.ResourceSpans().Len() {
			if _, err := receiver.ReceiveResourceSpans(context.Background(), traces.ResourceSpans().At(i), nil, nil); err != nil {
				return fmt.Errorf("case %s: %w", given.ID, err)
			}
			for _, c := range (<-payloads).TracerPayload.Chunks {
				chunks = append(chunks, mapped(c))
			}
		}
		sort.Slice(chunks, func(a, b int) bool { return low(chunks[a]) < low(chunks[b]) })
		expected := map[string]any{"chunks": chunks}
		if err := out.Encode(map[string]any{"id": given.ID, "otlp": given.OTLP, "expected": expected}); err != nil {
			return err
		}
	}
	return in.Err()
}

func low(c mappedChunk) uint64 {
	id, _ := strconv.ParseUint(c.Spans[0].TraceID, 10, 64)
	return id
}

func mapped(c *pb.TraceChunk) mappedChunk {
	chunk := mappedChunk{Priority: c.Priority, Tags: c.Tags}
	for _, s := range c.Spans {
		var start any = s.Start
		since := time.Since(time.Unix(0, s.Start))
		if since.Abs() < time.Minute || (since-time.Duration(s.Duration)).Abs() < time.Minute {
			start = "now" // the receiver's clock: the span says a time before 2000
		}
		chunk.Spans = append(chunk.Spans, mappedSpan{Service: s.Service, Name: s.Name, Resource: s.Resource, Type: s.Type,
			TraceID: unsigned(s.TraceID), SpanID: unsigned(s.SpanID), ParentID: unsigned(s.ParentID), Start: start,
			Duration: s.Duration, Error: s.Error, Meta: s.Meta, Metrics: numbers(s.Metrics)})
	}
	return chunk
}

// numbers has text where JSON has no number.
func numbers(metrics map[string]float64) map[string]any {
	all := map[string]any{}
	for key, value := range metrics {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			all[key] = strconv.FormatFloat(value, 'g', -1, 64)
		} else {
			all[key] = value
		}
	}
	return all
}
