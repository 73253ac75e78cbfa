// Command agent runs Datadog's own trace-agent in this process, toward a sink of its own, and prints what the agent
// would have sent to the intake.
//
//	agent < cases.jsonl       one fresh agent a case: sends the file, stops, prints one JSON line a case
//	agent stats < cases.jsonl what the agent's concentrator makes of a payload beside our stats of it, one JSON line a case
//	agent retime DIR FILE...  copies payloads into DIR with times that every clock can live with
//	agent mapping < cases.jsonl  what its OTLP receiver makes of OTLP in JSON: lines as those of tests/fixtures/otel
//	agent peer-tags           the peer tags that the agent aggregates by, with commas
//	agent serve               one agent until standard input ends: first line {"url":…,"socket":…}, then one JSON line
//	                          for each payload that reaches the sink
//
// A case is {"id": text, "format": "v0.4"|"v0.5"|"v1.0"|"otlp", "file": path, "headers": [[name, value]…], "keep": bool,
// "rules": "" | "off" | "packaged"}. With
// "keep" every trace is kept whatever its priority (the agent then writes priority and mechanism itself), so that what
// the agent would drop can be compared as well.
// "otlp" is a request in protobuf or JSON, handed to the agent's OTLP receiver.
// With "rules" the agent does not convert to v1, and obfuscates as little as it can or as a packaged one.
// The answer is {"id", "status", "body", "chunks": […]}; chunks and spans have their string references resolved, numbers
// that JSON cannot carry exactly (ids, NaN) are text.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	var err error
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		err = serve()
	} else if len(os.Args) > 1 && os.Args[1] == "peer-tags" {
		fmt.Println(strings.Join(peerTags(), ","))
	} else if len(os.Args) > 3 && os.Args[1] == "retime" {
		err = retime(os.Args[2], os.Args[3:])
	} else if len(os.Args) > 1 && os.Args[1] == "stats" {
		err = compareStats()
	} else if len(os.Args) > 1 && os.Args[1] == "mapping" {
		err = mapSpans()
	} else if len(os.Args) > 1 {
		err = fmt.Errorf("unknown argument %s; see the head of main.go", os.Args[1])
	} else {
		err = answerCases()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func answerCases() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var c testCase
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return fmt.Errorf("case %s: %w", in.Text(), err)
		}
		if err := out.Encode(c.run()); err != nil {
			return err
		}
	}
	return in.Err()
}

// serve keeps one agent until standard input ends, then flushes it.
func serve() error {
	lines := make(chan any)
	s := newSink(func(line any) { lines <- line })
	defer s.close()
	a, err := start(s, options{socket: os.Getenv("ORACLE_SOCKET"), keep: os.Getenv("ORACLE_KEEP") != ""})
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		a.stop()
		close(lines)
	}()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(map[string]string{"url": a.url, "socket": a.socket}); err != nil {
		return err
	}
	for line := range lines {
		if err := out.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
