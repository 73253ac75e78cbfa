package main

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"

	pb "github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace"
	"github.com/DataDog/datadog-agent/pkg/proto/pbgo/trace/idx"
)

// What arrived, in a form that two runs can be compared by: no references, 64-bit numbers and doubles as text.

type attributes map[string]any

type chunk struct {
	Payload    attributes `json:"payload"` // what the chunk shares with the others of its payload
	TraceID    string     `json:"trace_id"`
	Priority   int32      `json:"priority"`
	Origin     string     `json:"origin"`
	Mechanism  uint32     `json:"mechanism"`
	Dropped    bool       `json:"dropped"`
	Attributes attributes `json:"attributes"`
	Spans      []span     `json:"spans"`
}

type span struct {
	Service    string     `json:"service"`
	Name       string     `json:"name"`
	Resource   string     `json:"resource"`
	Type       string     `json:"type"`
	SpanID     string     `json:"span_id"`
	ParentID   string     `json:"parent_id"`
	Start      string     `json:"start"`
	Duration   string     `json:"duration"`
	Error      bool       `json:"error"`
	Env        string     `json:"env"`
	Version    string     `json:"version"`
	Component  string     `json:"component"`
	Kind       string     `json:"kind"`
	Attributes attributes `json:"attributes"`
	Links      []link     `json:"links"`
	Events     []event    `json:"events"`
}

type link struct {
	TraceID    string     `json:"trace_id"`
	SpanID     string     `json:"span_id"`
	State      string     `json:"tracestate"`
	Flags      uint32     `json:"flags"`
	Attributes attributes `json:"attributes"`
}

type event struct {
	Time       string     `json:"time"`
	Name       string     `json:"name"`
	Attributes attributes `json:"attributes"`
}

// chunks resolves an intake payload. Agents from 7.84 on send the indexed form for every input, unless told not to convert.
func chunks(payload *pb.AgentPayload) []chunk {
	all := []chunk{}
	for _, p := range payload.TracerPayloads {
		for _, c := range p.Chunks {
			spans := make([]span, 0, len(c.Spans))
			for _, s := range c.Spans {
				spans = append(spans, classic(s))
			}
			all = append(all, chunk{Payload: attributes{"env": p.Env}, Priority: c.Priority, Origin: c.Origin,
				Dropped: c.DroppedTrace, Attributes: texts(c.Tags), Spans: spans})
		}
	}
	for _, p := range payload.IdxTracerPayloads {
		r := resolver(p.Strings)
		shared := attributes{
			"container_id": r.text(p.ContainerIDRef), "language": r.text(p.LanguageNameRef),
			"language_version": r.text(p.LanguageVersionRef), "tracer_version": r.text(p.TracerVersionRef),
			"runtime_id": r.text(p.RuntimeIDRef), "env": r.text(p.EnvRef), "hostname": r.text(p.HostnameRef),
			"app_version": r.text(p.AppVersionRef), "attributes": r.attributes(p.Attributes),
		}
		for _, c := range p.Chunks {
			all = append(all, r.chunk(c, shared))
		}
	}
	return all
}

// classic is a span that was not converted.
func classic(s *pb.Span) span {
	attributes := texts(s.Meta)
	for key, value := range s.Metrics {
		attributes["metrics "+key] = []any{"double", strconv.FormatFloat(value, 'g', -1, 64)}
	}
	for key, value := range s.MetaStruct {
		attributes["meta_struct "+key] = []any{"bytes", base64.StdEncoding.EncodeToString(value)}
	}
	links, events := []link{}, []event{}
	for _, l := range s.SpanLinks {
		links = append(links, link{TraceID: unsigned(l.TraceID), SpanID: unsigned(l.SpanID), State: l.Tracestate,
			Flags: l.Flags, Attributes: texts(l.Attributes)})
	}
	for _, e := range s.SpanEvents {
		values := map[string]any{}
		for key, value := range e.Attributes {
			values[key] = []any{"event", value.String()}
		}
		events = append(events, event{Time: unsigned(e.TimeUnixNano), Name: e.Name, Attributes: values})
	}
	return span{Service: s.Service, Name: s.Name, Resource: s.Resource, Type: s.Type, SpanID: unsigned(s.SpanID),
		ParentID: unsigned(s.ParentID), Start: strconv.FormatInt(s.Start, 10), Duration: strconv.FormatInt(s.Duration, 10),
		Error: s.Error != 0, Attributes: attributes, Links: links, Events: events}
}

func texts(in map[string]string) attributes {
	out := attributes{}
	for key, value := range in {
		out[key] = []any{"text", value}
	}
	return out
}

type resolver []string

func (r resolver) text(ref uint32) string {
	if int(ref) >= len(r) {
		return "<no string " + strconv.Itoa(int(ref)) + ">"
	}
	return r[ref]
}

func (r resolver) chunk(c *idx.TraceChunk, shared attributes) chunk {
	spans := make([]span, 0, len(c.Spans))
	for _, s := range c.Spans {
		spans = append(spans, r.span(s))
	}
	return chunk{Payload: shared, TraceID: hex.EncodeToString(c.TraceID), Priority: c.Priority, Origin: r.text(c.OriginRef),
		Mechanism: c.SamplingMechanism, Dropped: c.DroppedTrace, Attributes: r.attributes(c.Attributes), Spans: spans}
}

func (r resolver) span(s *idx.Span) span {
	links, events := []link{}, []event{}
	for _, l := range s.Links {
		links = append(links, link{TraceID: hex.EncodeToString(l.TraceID), SpanID: unsigned(l.SpanID),
			State: r.text(l.TracestateRef), Flags: l.Flags, Attributes: r.attributes(l.Attributes)})
	}
	for _, e := range s.Events {
		events = append(events, event{Time: unsigned(e.Time), Name: r.text(e.NameRef), Attributes: r.attributes(e.Attributes)})
	}
	return span{Service: r.text(s.ServiceRef), Name: r.text(s.NameRef), Resource: r.text(s.ResourceRef), Type: r.text(s.TypeRef),
		SpanID: unsigned(s.SpanID), ParentID: unsigned(s.ParentID), Start: unsigned(s.Start), Duration: unsigned(s.Duration),
		Error: s.Error, Env: r.text(s.EnvRef), Version: r.text(s.VersionRef), Component: r.text(s.ComponentRef),
		Kind: s.Kind.String(), Attributes: r.attributes(s.Attributes), Links: links, Events: events}
}

func (r resolver) attributes(in map[uint32]*idx.AnyValue) attributes {
	out := attributes{}
	for key, value := range in {
		out[r.text(key)] = r.value(value)
	}
	return out
}

// value gives a pair of kind and value, since "1", 1 and 1.0 are different answers.
func (r resolver) value(v *idx.AnyValue) any {
	switch value := v.Value.(type) {
	case *idx.AnyValue_StringValueRef:
		return []any{"text", r.text(value.StringValueRef)}
	case *idx.AnyValue_BoolValue:
		return []any{"bool", value.BoolValue}
	case *idx.AnyValue_DoubleValue:
		return []any{"double", strconv.FormatFloat(value.DoubleValue, 'g', -1, 64)}
	case *idx.AnyValue_IntValue:
		return []any{"int", strconv.FormatInt(value.IntValue, 10)}
	case *idx.AnyValue_BytesValue:
		return []any{"bytes", base64.StdEncoding.EncodeToString(value.BytesValue)}
	case *idx.AnyValue_ArrayValue:
		values := []any{}
		for _, item := range value.ArrayValue.Values {
			values = append(values, r.value(item))
		}
		return []any{"array", values}
	case *idx.AnyValue_KeyValueList:
		pairs := []any{}
		for _, pair := range value.KeyValueList.KeyValues {
			pairs = append(pairs, []any{r.text(pair.Key), r.value(pair.Value)})
		}
		return []any{"list", pairs}
	default:
		return nil
	}
}

func unsigned(n uint64) string { return strconv.FormatUint(n, 10) }
