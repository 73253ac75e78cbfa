package main

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
)

// sink is the intake: it takes what the agent sends and hands it on decoded.
type sink struct {
	url    string
	server *httptest.Server
}

type tracesLine struct {
	Kind   string  `json:"kind"`
	Chunks []chunk `json:"chunks"`
}

type otherLine struct {
	Kind string `json:"kind"`
	Path string `json:"path,omitempty"`
	Body any    `json:"body,omitempty"`
}

// newSink calls take for each payload, never twice at the same time.
func newSink(take func(any)) *sink {
	var one sync.Mutex
	handler := func(w http.ResponseWriter, r *http.Request) {
		line := decode(r)
		w.WriteHeader(http.StatusAccepted)
		one.Lock()
		defer one.Unlock()
		take(line)
	}
	server := httptest.NewServer(http.HandlerFunc(handler))
	return &sink{url: server.URL, server: server}
}

func (s *sink) close() { s.server.Close() }

func decode(r *http.Request) any {
	body, err := content(r)
	if err != nil {
		return otherLine{Kind: "error", Path: r.URL.Path, Body: err.Error()}
	}
	switch r.URL.Path {
	case "/api/v0.2/traces":
		var payload pb.AgentPayload
		if err := payload.UnmarshalVT(body); err != nil {
			return otherLine{Kind: "error", Path: r.URL.Path, Body: err.Error()}
		}
		return tracesLine{Kind: "traces", Chunks: chunks(&payload)}
	case "/api/v0.2/stats":
		var payload pb.StatsPayload
		if _, err := payload.UnmarshalMsg(body); err != nil {
			return otherLine{Kind: "error", Path: r.URL.Path, Body: err.Error()}
		}
		return otherLine{Kind: "stats", Body: &payload}
	default:
		return otherLine{Kind: "other", Path: r.URL.Path, Body: json.RawMessage("null")}
	}
}

func content(r *http.Request) ([]byte, error) {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(r.Body)
	}
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}
