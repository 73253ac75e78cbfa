// Command rules answers case lines with the agent's own packages: every kind of text but SQL, and every normalization
// rule. Lines in and out have the form of examples/vectors.
package main

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"oracle/lines"

	"github.com/DataDog/datadog-agent/pkg/obfuscate"
	"github.com/DataDog/datadog-agent/pkg/trace/traceutil/normalize"
)

type question struct {
	Kind     string `json:"kind"`
	Input    string `json:"input"`
	InputB64 string `json:"input_b64"`
	Config   struct {
		KeepCommand        bool     `json:"keep_command"`
		KeepValues         []string `json:"keep_values"`
		ObfuscateSQLValues []string `json:"obfuscate_sql_values"`
		RemoveQueryString  bool     `json:"remove_query_string"`
		RemovePathDigits   bool     `json:"remove_path_digits"`
		Luhn               bool     `json:"luhn"`
		Key                *string  `json:"key"`
		Lang               string   `json:"lang"`
		Limit              int      `json:"limit"`
		Start              int64    `json:"start"`
		Duration           int64    `json:"duration"`
	} `json:"config"`
}

func answer(q question) map[string]any {
	in := q.Input
	if q.InputB64 != "" {
		raw, err := base64.StdEncoding.DecodeString(q.InputB64)
		if err != nil {
			return map[string]any{"error": err.Error()}
		}
		in = string(raw)
	}
	c := q.Config
	js := obfuscate.JSONConfig{Enabled: true, KeepValues: c.KeepValues, ObfuscateSQLValues: c.ObfuscateSQLValues}
	o := obfuscate.NewObfuscator(obfuscate.Config{
		Mongo: js, ES: js, OpenSearch: js, SQLExecPlan: js,
		HTTP:       obfuscate.HTTPConfig{RemoveQueryString: c.RemoveQueryString, RemovePathDigits: c.RemovePathDigits},
		Memcached:  obfuscate.MemcachedConfig{Enabled: true, KeepCommand: c.KeepCommand},
		CreditCard: obfuscate.CreditCardsConfig{Enabled: true, Luhn: c.Luhn, KeepValues: c.KeepValues},
	})
	defer o.Stop()
	var out string
	var err error
	switch q.Kind {
	case "redis":
		out = o.ObfuscateRedisString(in)
	case "redis_remove_all":
		out = o.RemoveAllRedisArgs(in)
	case "redis_quantize":
		out = o.QuantizeRedisString(in)
	case "memcached":
		out = o.ObfuscateMemcachedString(in)
	case "mongo":
		out = o.ObfuscateMongoDBString(in)
	case "es":
		out = o.ObfuscateElasticSearchString(in)
	case "opensearch":
		out = o.ObfuscateOpenSearchString(in)
	case "sql_exec_plan":
		out, err = o.ObfuscateSQLExecPlan(in, false)
	case "http":
		out = o.ObfuscateURLString(in)
	case "creditcard":
		out = in
		if c.Key == nil || o.ShouldObfuscateCCKey(*c.Key) {
			out = o.ObfuscateCreditCardNumber(in)
		}
	case "ip":
		out = obfuscate.QuantizePeerIPAddresses(in)
	case "tag":
		out = normalize.NormalizeTag(in)
	case "tag_value":
		out = normalize.NormalizeTagValue(in)
	case "service":
		out, err = normalize.NormalizeService(in, c.Lang)
	case "name":
		out, err = normalize.NormalizeName(in)
	case "peer_service":
		out, err = normalize.NormalizePeerService(in)
	case "truncate":
		out = normalize.TruncateUTF8(in, c.Limit)
	case "duration":
		d, invalid := normalize.FixDuration(c.Start, c.Duration)
		return map[string]any{"value": map[string]any{"duration": d, "invalid": invalid}}
	default:
		return map[string]any{"error": "unknown kind " + q.Kind}
	}
	a := map[string]any{}
	if utf8.ValidString(out) {
		a["output"] = out
	} else {
		a["output_b64"] = base64.StdEncoding.EncodeToString([]byte(out))
	}
	if err != nil {
		a["error"] = err.Error()
	}
	return a
}

func main() {
	write, flush := lines.Answers()
	defer flush()
	lines.Each(func(line []byte) {
		var q question
		a := map[string]any{}
		if err := json.Unmarshal(line, &q); err != nil {
			a["error"] = err.Error()
		} else {
			a = answer(q)
		}
		write(a)
	})
}
