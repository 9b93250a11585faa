package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// ServeHTTP serves l until ctx ends, lets requests run on for the grace, and cuts the rest.
func ServeHTTP(ctx context.Context, server *http.Server, l net.Listener, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if end := <-served; err == nil && !errors.Is(end, http.ErrServerClosed) {
		err = end
	}
	return err
}

// NewRegistry has the metrics of the process and of the Go runtime.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Metrics is the endpoint that a Prometheus server reads: GET /metrics on a listener.
type Metrics struct {
	listener net.Listener
	gatherer prometheus.Gatherer
	ready    chan struct{}
}

// NewMetrics returns an endpoint for what g gathers. Run closes l.
func NewMetrics(l net.Listener, g prometheus.Gatherer) *Metrics {
	return &Metrics{listener: l, gatherer: g, ready: make(chan struct{})}
}

// String is "metrics" and the address.
func (m *Metrics) String() string { return "metrics " + m.listener.Addr().String() }

// Ready is closed when requests are answered.
func (m *Metrics) Ready() <-chan struct{} { return m.ready }

// Run serves until ctx ends.
func (m *Metrics) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.gatherer, promhttp.HandlerOpts{}))
	server := &http.Server{
		Handler:      mux,
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 30 * time.Second,
		IdleTimeout:  2 * time.Minute,
	}
	close(m.ready)
	return ServeHTTP(ctx, server, m.listener, time.Second)
}
