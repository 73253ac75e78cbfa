package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	gzipimpl "github.com/DataDog/datadog-agent/comp/trace/compression/impl-gzip"
	otlp "github.com/DataDog/datadog-agent/pkg/opentelemetry-mapping-go/otlp/attributes"
	"github.com/DataDog/datadog-agent/pkg/trace/agent"
	"github.com/DataDog/datadog-agent/pkg/trace/config"
	"github.com/DataDog/datadog-agent/pkg/trace/telemetry"
	"github.com/DataDog/datadog-go/v5/statsd"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/metric/noop"
)

type options struct {
	socket string // Unix socket beside the TCP port; empty: none
	keep   bool   // keep every trace
	rules  string // "off" or "packaged": spans stay v0.4, and what can be switched of obfuscation is off, or as packaged
}

// running is an agent that answers.
type running struct {
	url, socket string
	agent       *agent.Agent
	cancel      context.CancelFunc
}

// start starts an agent toward the sink and waits until /info answers.
func start(s *sink, o options) (*running, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c, err := configuration(s.url, port, o)
	if err != nil {
		cancel()
		return nil, err
	}
	a := agent.NewAgent(ctx, c, telemetry.NewNoopCollector(), &statsd.NoOpClient{}, gzipimpl.NewComponent())
	go a.Run()
	r := &running{url: fmt.Sprintf("http://127.0.0.1:%d", port), socket: o.socket, agent: a, cancel: cancel}
	for limit := time.Now().Add(10 * time.Second); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		if response, err := http.Get(r.url + "/info"); err == nil {
			response.Body.Close()
			return r, nil
		}
	}
	r.stop()
	return nil, fmt.Errorf("the agent on port %d does not answer /info", port)
}

// export hands a request, in protobuf or JSON, to the agent's OTLP receiver, as its gRPC server does.
func (r *running) export(request []byte) error {
	in := ptraceotlp.NewExportRequest()
	read := in.UnmarshalProto
	if bytes.HasPrefix(request, []byte("{")) {
		read = in.UnmarshalJSON
	}
	if err := read(request); err != nil {
		return err
	}
	_, err := r.agent.OTLPReceiver.Export(context.Background(), in)
	return err
}

// stop ends the agent; what it has goes to the sink first.
func (r *running) stop() {
	r.cancel()
	r.agent.WaitForStopped(context.Background())
	http.DefaultClient.CloseIdleConnections()
}

// configuration is a packaged agent's, without roads to a real intake.
func configuration(intake string, port int, o options) (*config.AgentConfig, error) {
	c := config.New()
	translator, err := otlp.NewTranslator(component.TelemetrySettings{MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		return nil, err
	}
	c.OTLPReceiver.AttributesTranslator = translator
	c.Endpoints = []*config.Endpoint{{Host: intake, APIKey: "00000000000000000000000000000000"}}
	c.Hostname, c.DefaultEnv, c.AgentVersion = "oracle", "none", "7.85.2"
	c.ReceiverHost, c.ReceiverPort, c.ReceiverSocket = "127.0.0.1", port, o.socket
	// Zero values here are not the agent's defaults.
	c.ReceiverTimeout, c.Decoders, c.DecoderTimeout = 5, 1, 1000
	c.MaxConnections, c.ConnectionLimit = 1000, 2000
	c.TelemetryConfig.Enabled, c.StatsdEnabled, c.DebugServerPort = false, false, 0
	c.EVPProxy.Enabled, c.OpenLineageProxy.Enabled, c.Proxy = false, false, nil
	c.TargetTPS, c.ErrorTPS = 1e9, 1e9
	c.SynchronousFlushing = true
	if o.keep {
		c.ProbabilisticSamplerEnabled, c.ProbabilisticSamplerSamplingPercentage = true, 100
	}
	if o.rules != "" {
		c.Features["disable-convert-traces"] = struct{}{}
	}
	if o.rules == "packaged" {
		rules := c.Obfuscation
		rules.Mongo.Enabled, rules.ES.Enabled, rules.OpenSearch.Enabled = true, true, true
		rules.Redis.Enabled, rules.Valkey.Enabled = true, true
		rules.Memcached.Enabled, rules.CreditCards.Enabled = true, true
	}
	return c, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
