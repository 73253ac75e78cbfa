// Command stats answers traces with the groups of the agent's own concentrator. Lines in and out have the form of
// examples/vectors, kind "stats": `input` has spans as JSON, or `input_b64` a v0.4 payload; the value is the first group,
// or null. As in an agent, durations are repaired before they are counted.
package main

import (
	"encoding/base64"
	"encoding/json"
	"sort"
	"strconv"
	"time"

	"oracle/lines"

	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/stats"
	"github.com/DataDog/datadog-agent/pkg/trace/traceutil"
	"github.com/DataDog/datadog-agent/pkg/trace/traceutil/normalize"
)

type span = lines.Span[any]

type question struct {
	Input  []span `json:"input"`
	Base64 string `json:"input_b64"`
	Config struct {
		PeerTags any `json:"peer_tags"` // a list, or "agent"
	} `json:"config"`
}

func (q *question) traces() (pb.Traces, error) {
	var traces pb.Traces
	if q.Base64 != "" {
		payload, err := base64.StdEncoding.DecodeString(q.Base64)
		lines.Check(err)
		_, err = traces.UnmarshalMsg(payload)
		return traces, err
	}
	var trace pb.Trace
	for _, s := range q.Input {
		metrics := map[string]float64{}
		for key, value := range s.Metrics {
			switch v := value.(type) {
			case float64:
				metrics[key] = v
			case string: // JSON has no infinite numbers
				f, err := strconv.ParseFloat(v, 64)
				lines.Check(err)
				metrics[key] = f
			}
		}
		trace = append(trace, &pb.Span{Service: s.Service, Name: s.Name, Resource: s.Resource, TraceID: s.TraceID,
			SpanID: s.SpanID, ParentID: s.ParentID, Start: s.Start, Duration: s.Duration, Error: s.Error, Meta: s.Meta,
			Metrics: metrics, Type: s.Type})
	}
	return pb.Traces{trace}, nil
}

func (q *question) peerTags(agents []string) []string {
	switch tags := q.Config.PeerTags.(type) {
	case string:
		return agents
	case []any:
		var keys []string
		for _, tag := range tags {
			keys = append(keys, tag.(string))
		}
		return keys
	}
	return nil
}

func (q *question) answer(agents []string) map[string]any {
	traces, err := q.traces()
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	c := stats.NewSpanConcentrator(&stats.SpanConcentratorConfig{ComputeStatsBySpanKind: true, BucketInterval: 10e9}, time.Unix(0, 0))
	peers := q.peerTags(agents)
	for _, t := range traces {
		traceutil.ComputeTopLevel(t)
		for _, s := range t {
			s.Duration, _ = normalize.FixDuration(s.Start, s.Duration)
			endpoint := s.Meta["http.endpoint"]
			if endpoint == "" {
				endpoint = s.Meta["http.route"]
			}
			span, counts := c.NewStatSpanWithConfig(stats.StatSpanConfig{Service: s.Service, Resource: s.Resource, Name: s.Name,
				Type: s.Type, ParentID: s.ParentID, Start: s.Start, Duration: s.Duration, Error: s.Error, Meta: s.Meta,
				Metrics: s.Metrics, PeerTags: peers, HTTPMethod: s.Meta["http.method"], HTTPEndpoint: endpoint})
			if counts {
				c.AddSpan(span, stats.PayloadAggregationKey{Env: "prod"}, "", nil, s.Meta["_dd.origin"])
			}
		}
	}
	for _, p := range c.Flush(time.Now().UnixNano(), true) {
		for _, bucket := range p.Stats {
			for _, g := range bucket.Stats {
				return map[string]any{"value": shown(bucket.Start, g)}
			}
		}
	}
	return map[string]any{"value": nil}
}

func shown(start uint64, g *pb.ClientGroupedStats) map[string]any {
	key := map[string]any{}
	for name, text := range map[string]string{"service": g.Service, "name": g.Name, "resource": g.Resource, "type": g.Type,
		"span_kind": g.SpanKind, "grpc_status": g.GRPCStatusCode, "http_method": g.HTTPMethod, "http_endpoint": g.HTTPEndpoint,
		"service_source": g.ServiceSource, "is_trace_root": g.IsTraceRoot.String()} {
		if text != "" {
			key[name] = text
		}
	}
	if g.HTTPStatusCode != 0 {
		key["http_status"] = g.HTTPStatusCode
	}
	if g.Synthetics {
		key["synthetics"] = true
	}
	if len(g.PeerTags) > 0 {
		sort.Strings(g.PeerTags)
		key["peer_tags"] = g.PeerTags
	}
	var at any = start
	if start > uint64(time.Now().Add(-time.Minute).UnixNano()) { // it ended in the future
		at = "now"
	}
	return map[string]any{"start": at, "key": key, "hits": g.Hits, "errors": g.Errors, "duration": g.Duration,
		"top_level_hits": g.TopLevelHits}
}

func main() {
	write, flush := lines.Answers()
	defer flush()
	agents := config.New().PeerTagsCache().Keys
	lines.Each(func(line []byte) {
		q := &question{}
		lines.Check(json.Unmarshal(line, q))
		write(q.answer(agents))
	})
}
