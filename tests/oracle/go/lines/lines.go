// Package lines is what the programs of this module share: questions and answers as JSON lines, spans in the form of
// examples/vectors.
package lines

import (
	"bufio"
	"encoding/json"
	"os"
)

// Longest is the size that a question may have.
const Longest = 64 << 20

// Span is a span as JSON. Metrics are numbers, or what stands for a number that JSON does not have.
type Span[Metric any] struct {
	Service  string            `json:"service"`
	Name     string            `json:"name"`
	Resource string            `json:"resource"`
	TraceID  uint64            `json:"trace_id"`
	SpanID   uint64            `json:"span_id"`
	ParentID uint64            `json:"parent_id"`
	Start    int64             `json:"start"`
	Duration int64             `json:"duration"`
	Error    int32             `json:"error"`
	Meta     map[string]string `json:"meta"`
	Metrics  map[string]Metric `json:"metrics"`
	Type     string            `json:"type"`
}

// Check ends the program: its questions are ours.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Each gives every line of the standard input to take.
func Each(take func(line []byte)) {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, Longest)
	for in.Scan() {
		take(in.Bytes())
	}
	Check(in.Err())
}

// Answers writes a line for each answer that it is given; the second function is called at the end.
func Answers() (write func(any), flush func()) {
	out := bufio.NewWriter(os.Stdout)
	enc := json.NewEncoder(out)
	return func(answer any) { Check(enc.Encode(answer)) }, func() { Check(out.Flush()) }
}
