// Command spans answers whole spans and chunks with a real trace-agent in process, the v0.4 way: it sends each case as
// one chunk and prints what arrives at a sink of its own. A case must have a trace id of its own; one without an answer
// was dropped. Lines in and out have the form of examples/vectors.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"oracle/lines"

	"github.com/DataDog/datadog-agent/comp/trace/compression/impl-gzip"
	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/trace/agent"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/telemetry"
	"github.com/DataDog/datadog-go/v5/statsd"
)

type span = lines.Span[float64]

type question struct {
	Kind   string          `json:"kind"`
	Input  json.RawMessage `json:"input"`
	Config struct {
		Preset string `json:"preset"`
	} `json:"config"`
	spans []span
}

// What the samplers and the top-level computation add is not the rules' business.
var added = []string{"_top_level", "_dd.no_p_sr", "_sampling_priority_rate_v1", "_dd.convertedv1"}

func shown(s *pb.Span, sent span) map[string]any {
	for _, key := range added {
		if _, ok := sent.Metrics[key]; !ok {
			delete(s.Metrics, key)
		}
	}
	var start any = s.Start
	if s.Start != sent.Start {
		start = "now-duration"
		if now := time.Now().UnixNano(); s.Start > now-int64(time.Hour) {
			start = "now"
		}
	}
	return map[string]any{
		"service": s.Service, "name": s.Name, "resource": s.Resource, "trace_id": s.TraceID, "span_id": s.SpanID,
		"parent_id": s.ParentID, "start": start, "duration": s.Duration, "error": s.Error, "meta": s.Meta,
		"metrics": s.Metrics, "type": s.Type,
	}
}

// ask sends the questions of one preset through one agent and returns the chunks that arrive, by trace id.
func ask(preset string, questions []*question) map[uint64]*pb.TraceChunk {
	chunks := map[uint64]*pb.TraceChunk{}
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		if r.URL.Path != "/api/v0.2/traces" {
			return
		}
		plain, err := gzip.NewReader(r.Body)
		lines.Check(err)
		body, err := io.ReadAll(plain)
		lines.Check(err)
		var payload pb.AgentPayload
		lines.Check(payload.UnmarshalVT(body))
		for _, tp := range payload.TracerPayloads {
			for _, c := range tp.Chunks {
				if len(c.Spans) > 0 {
					chunks[c.Spans[0].TraceID] = c
				}
			}
		}
	}))
	defer sink.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	lines.Check(err)
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()

	c := config.New()
	c.Endpoints = []*config.Endpoint{{Host: sink.URL, APIKey: "0123456789abcdef0123456789abcdef"}}
	c.Hostname, c.DefaultEnv, c.AgentVersion = "oracle", "none", "7.85.2"
	c.ReceiverHost, c.ReceiverPort = "127.0.0.1", port
	c.ReceiverTimeout, c.Decoders, c.DecoderTimeout = 5, 1, 1000
	c.MaxConnections, c.ConnectionLimit = 1000, 2000
	c.TelemetryConfig.Enabled, c.StatsdEnabled, c.DebugServerPort = false, false, 0
	c.EVPProxy.Enabled, c.OpenLineageProxy.Enabled, c.Proxy = false, false, nil
	c.TargetTPS, c.ErrorTPS = 1e9, 1e9
	c.SynchronousFlushing = true
	c.Features["disable-convert-traces"] = struct{}{}
	if preset == "agent" || preset == "all" {
		o := c.Obfuscation
		o.Mongo.Enabled, o.ES.Enabled, o.OpenSearch.Enabled = true, true, true
		o.Redis.Enabled, o.Valkey.Enabled, o.Memcached.Enabled, o.CreditCards.Enabled = true, true, true, true
		if preset == "all" {
			o.Memcached.KeepCommand, o.CreditCards.Luhn = true, true
			o.HTTP.RemoveQueryString, o.HTTP.RemovePathDigits = true, true
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	a := agent.NewAgent(ctx, c, telemetry.NewNoopCollector(), &statsd.NoOpClient{}, gzipimpl.NewComponent())
	go a.Run()
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	for {
		if r, err := http.Get(base + "/info"); err == nil {
			r.Body.Close()
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	const batch = 500
	for from := 0; from < len(questions); from += batch {
		var traces pb.Traces
		for _, q := range questions[from:min(from+batch, len(questions))] {
			var trace pb.Trace
			for _, s := range q.spans {
				trace = append(trace, &pb.Span{Service: s.Service, Name: s.Name, Resource: s.Resource, TraceID: s.TraceID,
					SpanID: s.SpanID, ParentID: s.ParentID, Start: s.Start, Duration: s.Duration, Error: s.Error,
					Meta: s.Meta, Metrics: s.Metrics, Type: s.Type})
			}
			traces = append(traces, trace)
		}
		body, err := traces.MarshalMsg(nil)
		lines.Check(err)
		r, err := http.NewRequest(http.MethodPut, base+"/v0.4/traces", bytes.NewReader(body))
		lines.Check(err)
		r.Header.Set("Content-Type", "application/msgpack")
		r.Header.Set("Datadog-Meta-Lang", "java")
		r.Header.Set("X-Datadog-Trace-Count", fmt.Sprint(len(traces)))
		answer, err := http.DefaultClient.Do(r)
		lines.Check(err)
		if answer.StatusCode != http.StatusOK {
			panic(answer.Status)
		}
		answer.Body.Close()
	}
	stop()
	a.WaitForStopped(context.Background())
	return chunks
}

func main() {
	var all []*question
	presets := map[string][]*question{}
	lines.Each(func(line []byte) {
		q := &question{}
		lines.Check(json.Unmarshal(line, q))
		if q.Kind == "chunk" {
			lines.Check(json.Unmarshal(q.Input, &q.spans))
		} else {
			q.spans = make([]span, 1)
			lines.Check(json.Unmarshal(q.Input, &q.spans[0]))
		}
		all = append(all, q)
		presets[q.Config.Preset] = append(presets[q.Config.Preset], q)
	})
	arrived := map[string]map[uint64]*pb.TraceChunk{}
	for preset, questions := range presets {
		arrived[preset] = ask(preset, questions)
	}
	write, flush := lines.Answers()
	defer flush()
	for _, q := range all {
		var output any
		if len(q.spans) > 0 {
			if c, ok := arrived[q.Config.Preset][q.spans[0].TraceID]; ok {
				var spans []any
				next := 0
				for _, s := range c.Spans {
					for next < len(q.spans)-1 && q.spans[next].SpanID != s.SpanID {
						next++
					}
					spans = append(spans, shown(s, q.spans[next]))
					next++
				}
				output = spans[0]
				if q.Kind == "chunk" {
					output = map[string]any{"priority": c.Priority, "origin": c.Origin, "spans": spans, "tags": c.Tags,
						"dropped_trace": c.DroppedTrace}
				}
			}
		}
		write(map[string]any{"output": output})
	}
}
