package main

import (
	"strconv"
	"time"
)

func (b *Bench) fileCases() []Case                                       { return nil }
func (b *Bench) report(cases []Case, took time.Duration) (string, error) { return "", nil }

var columns = []struct{ metric string }{{"per_s"}, {"max_s"}, {"asked_s"}, {"kept"}, {"known_s"}, {"lost"}, {"wrong"}, {"offer_p50_ms"}, {"offer_p99_ms"}, {"ack_p99_ms"}, {"cpu_10k"}, {"rss_mb"}, {"tasks"}, {"generator"}, {"noise"}}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
