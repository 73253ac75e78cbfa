// Command agent measures what the agent's own packages need for work that ours do too: scripts/bench_agent.py runs it beside
// our rows.
//
// usage: agent PAYLOADS NAME MILLISECONDS     prints nanoseconds an item
//
// The time is the processor time of the whole process, so garbage collection counts wherever it runs.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/DataDog/datadog-agent/pkg/obfuscate"
	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/stats"
	"github.com/DataDog/datadog-agent/pkg/trace/traceutil"
)

// work is one call, and how many items it goes through.
type work struct {
	call  func()
	items int
}

var payloads string

func lines(corpus string) []string {
	file, err := os.Open(filepath.Join(payloads, corpus+"_corpus.jsonl"))
	check(err)
	defer file.Close()
	in := bufio.NewScanner(file)
	in.Buffer(nil, 64<<20)
	var texts []string
	for in.Scan() {
		var line struct{ Text string }
		check(json.Unmarshal(in.Bytes(), &line))
		texts = append(texts, line.Text)
	}
	check(in.Err())
	return texts
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(2)
	}
}

func each(corpus string, one func(text string)) work {
	texts := lines(corpus)
	return work{func() {
		for _, text := range texts {
			one(text)
		}
	}, len(texts)}
}

func web() ([]byte, pb.Traces, int) {
	body, err := os.ReadFile(filepath.Join(payloads, "web_100x10.msgpack"))
	check(err)
	traces, spans := decode(body), 0
	for _, trace := range traces {
		spans += len(trace)
	}
	return body, traces, spans
}

func decode(body []byte) pb.Traces {
	var traces pb.Traces
	_, err := traces.UnmarshalMsg(body)
	check(err)
	return traces
}

// concentrator adds the spans of one payload again and again; all end in the same buckets.
func concentrator(peerTags []string) work {
	_, traces, spans := web()
	for _, trace := range traces {
		traceutil.ComputeTopLevel(trace)
	}
	c := stats.NewSpanConcentrator(&stats.SpanConcentratorConfig{ComputeStatsBySpanKind: true, BucketInterval: 10e9}, time.Unix(0, 0))
	key := stats.PayloadAggregationKey{Env: "prod"}
	return work{func() {
		for _, trace := range traces {
			for _, s := range trace {
				span, counts := c.NewStatSpanWithConfig(stats.StatSpanConfig{Service: s.Service, Resource: s.Resource,
					Name: s.Name, Type: s.Type, ParentID: s.ParentID, Start: s.Start, Duration: s.Duration, Error: s.Error,
					Meta: s.Meta, Metrics: s.Metrics, PeerTags: peerTags})
				if counts {
					c.AddSpan(span, key, "", nil, s.Meta["_dd.origin"])
				}
			}
		}
	}, spans}
}

func find(name string) (work, bool) {
	js := obfuscate.JSONConfig{Enabled: true}
	o := obfuscate.NewObfuscator(obfuscate.Config{
		Mongo:      js,
		HTTP:       obfuscate.HTTPConfig{RemoveQueryString: true, RemovePathDigits: true},
		CreditCard: obfuscate.CreditCardsConfig{Enabled: true},
	})
	switch name {
	case "sql":
		return each("sql", func(text string) { _, _ = o.ObfuscateSQLString(text) }), true
	case "redis":
		return each("redis", func(text string) { o.ObfuscateRedisString(text) }), true
	case "json":
		return each("json", func(text string) { o.ObfuscateMongoDBString(text) }), true
	case "url":
		return each("url", func(text string) { o.ObfuscateURLString(text) }), true
	case "cards":
		_, traces, spans := web()
		return work{func() {
			for _, trace := range traces {
				for _, s := range trace {
					for key, value := range s.Meta {
						if !strings.HasPrefix(key, "_") && o.ShouldObfuscateCCKey(key) {
							o.ObfuscateCreditCardNumber(value)
						}
					}
				}
			}
		}, spans}, true
	case "scan":
		body, _, spans := web()
		return work{func() { decode(body) }, spans}, true
	case "v04_forward":
		body, _, spans := web()
		var out []byte
		return work{func() {
			var err error
			out, err = decode(body).MarshalMsg(out[:0])
			check(err)
		}, spans}, true
	case "stats_only":
		return concentrator(nil), true
	case "stats_only_43_peer_tags":
		return concentrator(config.New().PeerTagsCache().Keys), true
	}
	return work{}, false
}

func processor() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: agent PAYLOADS NAME MILLISECONDS")
		os.Exit(2)
	}
	payloads = os.Args[1]
	millis, err := strconv.Atoi(os.Args[3])
	check(err)
	w, there := find(os.Args[2])
	if !there {
		check(fmt.Errorf("no row %q", os.Args[2]))
	}
	for warm := time.Now(); time.Since(warm) < time.Duration(millis)*time.Millisecond/2; {
		w.call()
	}
	calls, start := 0, processor()
	for processor()-start < time.Duration(millis)*time.Millisecond {
		w.call()
		calls++
	}
	fmt.Println(float64((processor() - start).Nanoseconds()) / float64(calls*w.items))
}
