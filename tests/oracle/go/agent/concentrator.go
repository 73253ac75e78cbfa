package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/stats"
	"github.com/DataDog/datadog-agent/pkg/trace/traceutil"
	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/pb/sketchpb"
	"google.golang.org/protobuf/proto"
)

// Both sketches keep their promise: 0.775 % of ours and 1 % of the agent's, seen from either side.
const quantileTolerance = 0.0205

type statsCase struct {
	ID   string   `json:"id"`
	File string   `json:"file"`
	Ours []string `json:"ours"` // files with our bodies for /v0.6/stats
}

type statsAnswer struct {
	ID          string   `json:"id"`
	Refused     string   `json:"refused,omitempty"` // the agent does not read the payload
	Groups      int      `json:"groups"`
	Hits        uint64   `json:"hits"`
	Errors      uint64   `json:"errors"`
	Duration    uint64   `json:"duration"`
	Differences []string `json:"differences"`
}

func peerTags() []string { return config.New().PeerTagsCache().Keys }

// compareStats answers each case with the differences between the agent's concentrator and our bodies.
func compareStats() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c statsCase
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return fmt.Errorf("case %s: %w", in.Text(), err)
		}
		answer, err := c.compare()
		if err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return in.Err()
}

// retime moves every span to 2024: the agent counts what ends in the future, or before 1970, elsewhere than we do.
func retime(dir string, files []string) error {
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var traces pb.Traces
		if _, err := traces.UnmarshalMsg(payload); err != nil {
			continue
		}
		for _, t := range traces {
			for _, s := range t {
				s.Start = 1_717_171_710_000_000_000 + int64(uint64(s.Start)%60e9)
				s.Duration = int64(uint64(s.Duration) % 30e9)
			}
		}
		out, err := traces.MarshalMsg(nil)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), out, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *statsCase) compare() (statsAnswer, error) {
	answer := statsAnswer{ID: c.ID, Differences: []string{}}
	payload, err := os.ReadFile(c.File)
	if err != nil {
		return answer, err
	}
	var traces pb.Traces
	if _, err := traces.UnmarshalMsg(payload); err != nil {
		answer.Refused = err.Error()
		return answer, nil
	}
	theirs, ours := map[string]*pb.ClientGroupedStats{}, map[string]*pb.ClientGroupedStats{}
	for _, p := range concentrate(traces) {
		collect(theirs, p)
	}
	for _, path := range c.Ours {
		var p pb.ClientStatsPayload
		body, err := os.ReadFile(path)
		if err != nil {
			return answer, err
		}
		if _, err := p.UnmarshalMsg(body); err != nil {
			return answer, err
		}
		collect(ours, &p)
	}
	differ := func(format string, args ...any) {
		answer.Differences = append(answer.Differences, fmt.Sprintf(format, args...))
	}
	for key, a := range theirs {
		b, there := ours[key]
		if !there {
			differ("ours has no %s (%d hits)", key, a.Hits)
			continue
		}
		answer.Hits, answer.Errors, answer.Duration = answer.Hits+a.Hits, answer.Errors+a.Errors, answer.Duration+a.Duration
		if a.Hits != b.Hits || a.Errors != b.Errors || a.Duration != b.Duration || a.TopLevelHits != b.TopLevelHits {
			differ("%s: hits, errors, duration, top level %d %d %d %d, ours %d %d %d %d", key, a.Hits, a.Errors, a.Duration,
				a.TopLevelHits, b.Hits, b.Errors, b.Duration, b.TopLevelHits)
		}
		for _, sketches := range [][2][]byte{{a.OkSummary, b.OkSummary}, {a.ErrorSummary, b.ErrorSummary}} {
			if why := compareSketches(sketches[0], sketches[1]); why != "" {
				differ("%s: %s", key, why)
			}
		}
	}
	for key, b := range ours {
		if _, there := theirs[key]; !there {
			differ("only ours has %s (%d hits)", key, b.Hits)
		}
	}
	answer.Groups = len(theirs)
	sort.Strings(answer.Differences)
	return answer, nil
}

func concentrate(traces pb.Traces) []*pb.ClientStatsPayload {
	c := stats.NewSpanConcentrator(&stats.SpanConcentratorConfig{ComputeStatsBySpanKind: true, BucketInterval: 10e9}, time.Unix(0, 0))
	key, peers := stats.PayloadAggregationKey{Env: "prod"}, peerTags()
	for _, t := range traces {
		traceutil.ComputeTopLevel(t)
		for _, s := range t {
			endpoint := s.Meta["http.endpoint"]
			if endpoint == "" {
				endpoint = s.Meta["http.route"]
			}
			span, counts := c.NewStatSpanWithConfig(stats.StatSpanConfig{Service: s.Service, Resource: s.Resource, Name: s.Name,
				Type: s.Type, ParentID: s.ParentID, Start: s.Start, Duration: s.Duration, Error: s.Error, Meta: s.Meta,
				Metrics: s.Metrics, PeerTags: peers, HTTPMethod: s.Meta["http.method"], HTTPEndpoint: endpoint})
			if counts {
				c.AddSpan(span, key, "", nil, s.Meta["_dd.origin"])
			}
		}
	}
	return c.Flush(time.Now().UnixNano(), true)
}

func collect(groups map[string]*pb.ClientGroupedStats, p *pb.ClientStatsPayload) {
	for _, bucket := range p.Stats {
		for _, g := range bucket.Stats {
			sort.Strings(g.PeerTags)
			key := fmt.Sprintf("%d|%q|%q|%q|%q|%d|%q|%q|%v|%v|%q|%q|%q|%q", bucket.Start, g.Service, g.Name, g.Resource, g.Type,
				g.HTTPStatusCode, g.SpanKind, strings.Join(g.PeerTags, ","), g.Synthetics, g.IsTraceRoot, g.GRPCStatusCode,
				g.HTTPMethod, g.HTTPEndpoint, g.ServiceSource)
			groups[key] = g
		}
	}
}

func compareSketches(theirs, ours []byte) string {
	a, err := decodeSketch(theirs)
	if err != nil {
		return "the agent's sketch: " + err.Error()
	}
	b, err := decodeSketch(ours)
	if err != nil {
		return "our sketch: " + err.Error()
	}
	if a == nil || b == nil {
		if (a == nil || a.IsEmpty()) != (b == nil || b.IsEmpty()) {
			return "one sketch is empty"
		}
		return ""
	}
	if a.GetCount() != b.GetCount() {
		return fmt.Sprintf("count %v, ours %v", a.GetCount(), b.GetCount())
	}
	if a.IsEmpty() {
		return ""
	}
	places := []float64{0, 0.25, 0.5, 0.75, 0.95, 0.99, 1}
	x, _ := a.GetValuesAtQuantiles(places)
	y, _ := b.GetValuesAtQuantiles(places)
	for i := range places {
		if math.Abs(x[i]-y[i]) > quantileTolerance*math.Abs(x[i]) {
			return fmt.Sprintf("quantile %v is %v, ours %v", places[i], x[i], y[i])
		}
	}
	return ""
}

func decodeSketch(bytes []byte) (*ddsketch.DDSketch, error) {
	if len(bytes) == 0 {
		return nil, nil
	}
	var message sketchpb.DDSketch
	if err := proto.Unmarshal(bytes, &message); err != nil {
		return nil, err
	}
	return ddsketch.FromProto(&message)
}
