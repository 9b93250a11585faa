package main

import (
	"strconv"
	"time"
)

func (b *Bench) report(cases []Case, took time.Duration) (string, error) { return "", nil }

var columns = []struct{ metric string }{{"per_s"}, {"max_s"}, {"asked_s"}, {"kept"}, {"known_s"}, {"lost"}, {"wrong"}, {"offer_p50_ms"}, {"offer_p99_ms"}, {"ack_p99_ms"}, {"cpu_10k"}, {"mb_s"}, {"booted"}, {"all_s"}, {"p50_s"}, {"dhcp_again"}, {"tftp_again"}, {"cpu_s"}, {"of_bound"}, {"rtt_ms"}, {"p50_ms"}, {"p99_ms"}, {"done"}, {"failed"}, {"rrqs"}, {"acks"}, {"duplicates"}, {"cpu_gb"}, {"clients"}, {"rss_mb"}, {"tasks"}, {"generator"}, {"noise"}}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
