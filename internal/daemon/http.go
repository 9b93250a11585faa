package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
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

// Metrics is the endpoint that a Prometheus server and a health check read: GET /metrics and GET /healthz on a listener.
type Metrics struct {
	listener net.Listener
	gatherer prometheus.Gatherer
	tasks    []Task
	ready    chan struct{}
}

// NewMetrics returns an endpoint for what g gathers, and for the health of tasks: all are served when all are ready.
// Run closes l.
func NewMetrics(l net.Listener, g prometheus.Gatherer, tasks ...Task) *Metrics {
	return &Metrics{listener: l, gatherer: g, tasks: tasks, ready: make(chan struct{})}
}

// String is "metrics" and the address.
func (m *Metrics) String() string { return "metrics " + m.listener.Addr().String() }

// Ready is closed when requests are answered.
func (m *Metrics) Ready() <-chan struct{} { return m.ready }

// Run serves until ctx ends.
func (m *Metrics) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { m.health(ctx, w) })
	server := &http.Server{
		Handler:        mux,
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   30 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}
	close(m.ready)
	return ServeHTTP(ctx, server, m.listener, time.Second)
}

// health answers 200, or 503 and what is not served.
func (m *Metrics) health(ctx context.Context, w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if ctx.Err() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "stopping")
		return
	}
	var waiting []string
	for _, t := range m.tasks {
		select {
		case <-t.Ready():
		default:
			waiting = append(waiting, t.String())
		}
	}
	if len(waiting) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready:", strings.Join(waiting, ", "))
		return
	}
	fmt.Fprintln(w, "ok")
}
