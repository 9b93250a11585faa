package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"
)

// Sample is one server's figures in one repetition of one case. A line of results.jsonl is one sample.
type Sample struct {
	Case    string             `json:"case"`
	Server  string             `json:"server"`
	Rep     int                `json:"rep"`
	Metrics map[string]float64 `json:"metrics,omitempty"`
	Notes   []string           `json:"notes,omitempty"` // an example of each fault
	Error   string             `json:"error,omitempty"` // the case could not be run to its end
}

// Results are the samples of a run, each written down as soon as it is there.
type Results struct {
	Samples []Sample
	raw     io.Writer
}

// Add keeps a sample. A figure that is no number, as a share of nothing is, is none: a note says so.
func (r *Results) Add(s *Sample) error {
	for _, metric := range slices.Sorted(maps.Keys(s.Metrics)) {
		if v := s.Metrics[metric]; math.IsNaN(v) || math.IsInf(v, 0) {
			delete(s.Metrics, metric)
			s.Notes = append(s.Notes, metric+" was not measured: there was nothing to divide by")
		}
	}
	r.Samples = append(r.Samples, *s)
	line, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	_, err = r.raw.Write(append(line, '\n'))
	return err
}

// Values are all repetitions' values of a metric, sorted.
func (r *Results) Values(name, server, metric string) []float64 {
	var values []float64
	for _, s := range r.Samples {
		if v, ok := s.Metrics[metric]; ok && s.Case == name && s.Server == server {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// Median is the median of a metric over the repetitions (of an even number: the mean of the middle two).
func (r *Results) Median(name, server, metric string) (float64, bool) {
	v := r.Values(name, server, metric)
	if len(v) == 0 {
		return 0, false
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2, true
}

// Servers are the servers of a case, in the order in which they ran.
func (r *Results) Servers(name string) []string {
	var servers []string
	for _, s := range r.Samples {
		if s.Case == name && !slices.Contains(servers, s.Server) {
			servers = append(servers, s.Server)
		}
	}
	return servers
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }
