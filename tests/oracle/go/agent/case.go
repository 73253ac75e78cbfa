package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
)

// testCase is one payload on its way through an agent of its own.
type testCase struct {
	ID      string      `json:"id"`
	Format  string      `json:"format"`
	File    string      `json:"file"`
	Headers [][2]string `json:"headers"`
	Keep    bool        `json:"keep"`
	Rules   string      `json:"rules"`
}

type answer struct {
	ID     string  `json:"id"`
	Status int     `json:"status"`
	Body   string  `json:"body"`
	Error  string  `json:"error,omitempty"`
	Chunks []chunk `json:"chunks"`
}

func (c *testCase) run() answer {
	result := answer{ID: c.ID, Chunks: []chunk{}}
	fail := func(err error) answer {
		result.Error = err.Error()
		return result
	}
	payload, err := os.ReadFile(c.File)
	if err != nil {
		return fail(err)
	}
	s := newSink(func(line any) {
		if traces, ok := line.(tracesLine); ok {
			result.Chunks = append(result.Chunks, traces.Chunks...)
		}
	})
	defer s.close()
	a, err := start(s, options{keep: c.Keep, rules: c.Rules})
	if err != nil {
		return fail(err)
	}
	if c.Format == "otlp" {
		err := a.export(payload)
		a.stop()
		if err != nil {
			return fail(err)
		}
		result.Status = http.StatusOK
		return result
	}
	request, err := http.NewRequest(http.MethodPost, a.url+"/"+c.Format+"/traces", bytes.NewReader(payload))
	if err != nil {
		return fail(err)
	}
	request.Header.Set("Content-Type", "application/msgpack")
	for _, h := range c.Headers {
		request.Header.Set(h[0], h[1])
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		result.Status, result.Body = response.StatusCode, string(body)
	}
	a.stop() // flushes to the sink; after it no handler of the sink runs
	if err != nil {
		return fail(err)
	}
	return result
}
