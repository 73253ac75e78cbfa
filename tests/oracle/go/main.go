// Command oracle answers case lines with what the Go agent's own packages make of them.
//
// It reads JSON lines in the form of tests/fixtures/vectors (kind, input or input_b64, config) on standard input
// and prints one JSON line for each, in order. Every kind lives in a file of its own and registers itself.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"unicode/utf8"
)

// question is one case line.
type question struct {
	Kind     string          `json:"kind"`
	Input    string          `json:"input"`
	InputB64 string          `json:"input_b64"`
	Chain    []string        `json:"chain"`
	Config   json.RawMessage `json:"config"`
}

// text is the input as bytes, whichever way it was carried.
func (q *question) text() string {
	if q.InputB64 == "" {
		return q.Input
	}
	raw, err := base64.StdEncoding.DecodeString(q.InputB64)
	if err != nil {
		return q.Input
	}
	return string(raw)
}

// options decodes the config of the case into what the kind wants; an absent config leaves it as it is.
func (q *question) options(into any) {
	if len(q.Config) == 0 {
		return
	}
	if err := json.Unmarshal(q.Config, into); err != nil {
		fmt.Fprintln(os.Stderr, "config:", err)
	}
}

// answer is the line that goes back.
type answer map[string]any

// said makes an answer of a text that may not be UTF-8.
func said(text string) answer {
	if utf8.ValidString(text) {
		return answer{"output": text}
	}
	return answer{"output_b64": base64.StdEncoding.EncodeToString([]byte(text))}
}

// kinds maps a kind to the function that answers it.
var kinds = map[string]func(*question) answer{}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "letters" {
		printLetterTables()
		return
	}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()
	write := json.NewEncoder(out)
	write.SetEscapeHTML(false)
	read := json.NewDecoder(in)
	for read.More() {
		var q question
		if err := read.Decode(&q); err != nil {
			fmt.Fprintln(os.Stderr, "question:", err)
			os.Exit(1)
		}
		reply := answer{"error": "unknown kind " + q.Kind}
		if ask := kinds[q.Kind]; ask != nil {
			reply = ask(&q)
		}
		if err := write.Encode(reply); err != nil {
			fmt.Fprintln(os.Stderr, "answer:", err)
			os.Exit(1)
		}
	}
}
