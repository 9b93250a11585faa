package main

import (
	"fmt"
)

// figure is the median of a metric in one case; where it has several servers, that of the best of them.
type figure struct {
	name, metric string
	servers      []string
}

// bar is what the suite is to reach.
type bar struct {
	text   string
	ours   figure
	most   bool // the figure is to be no more than the limit; otherwise no less
	factor float64
	of     figure // the limit is the factor times this; without servers, the factor is the limit
}

// Everybody else, by what they serve.
func otherDHCP() []string  { return []string{"coredhcp", "dhcpd", "kea", "kea-mt", "dnsmasq"} }
func otherFiles() []string { return []string{"dnsmasq", "tftpd-hpa", "atftpd", "pin"} }

func of(name, metric string, servers ...string) figure { return figure{name, metric, servers} }

// bars are the figures to reach, in the order of the report.
func bars() []bar {
	list := []bar{
		{"offers through a relay, of the bare echo's", of("offers-relay", "per_s", "ours"), false, .5, of("offers-relay", "per_s", "echo")},
		{"offers through a relay, of the best other's", of("offers-relay", "per_s", "ours"), false, 2, of("offers-relay", "per_s", otherDHCP()...)},
		{"p99 at half that load, ms", of("offers-half", "offer_p99_ms", "ours"), true, 2, figure{}},
		{"offers on the wire, of those through a relay", of("offers-direct", "per_s", "ours"), false, .8, of("offers-relay", "per_s", "ours")},
		{"offers with a log line for each", of("offers-relay", "per_s", "ours-log"), false, 60_000, figure{}},
		{"CPU for 10,000 exchanges, of Kea's with threads", of("offers-relay", "cpu_10k", "ours"), true, .25, of("offers-relay", "cpu_10k", "kea-mt")},
		{"overload: done, % of the maximum", of("offers-overload", "kept", "ours"), false, 90, figure{}},
		{"overload: memory, MiB", of("offers-overload", "rss_mb", "ours"), true, 64, figure{}},
		{"wrong answers under load", of("offers-overload", "wrong", "ours"), true, 0, figure{}},
		{"durable leases, of a bare echo's with fdatasync", of("dora", "per_s", "ours-range"), false, .8, of("dora", "per_s", "echo-sync")},
		{"durable leases, of Kea's without fsync", of("dora", "per_s", "ours-range"), false, 1.8, of("dora", "per_s", "kea", "kea-mt")},
		{"durable leases of subnets, of the plugin range's", of("dora", "per_s", "ours-subnets"), false, .8, of("dora", "per_s", "ours-range")},
		{"durable leases of subnets, of Kea's without fsync", of("dora", "per_s", "ours-subnets"), false, 1.8, of("dora", "per_s", "kea", "kea-mt")},
		{"durable leases with boot files by class, of Kea's without fsync", of("dora", "per_s", "ours-classes"), false, 2, of("dora", "per_s", "kea", "kea-mt")},
		{"relaxed leases, of Kea's", of("dora", "per_s", "ours-relaxed"), false, 4, of("dora", "per_s", "kea", "kea-mt")},
		{"durable leases at half load, p99 of the ACK, ms", of("dora-half", "ack_p99_ms", "ours-range"), true, 10, figure{}},
		{"durable leases under overload: done, % of the maximum", of("dora-overload", "kept", "ours-range"), false, 90, figure{}},
		{"durable leases under overload: memory, MiB", of("dora-overload", "rss_mb", "ours-range"), true, 128, figure{}},
		{"restart with 200,000 leases, seconds", of("restart", "restart_s", "ours-range"), true, 1, figure{}},
		{"durable leases of subnets at half load, p99 of the ACK, ms", of("dora-half", "ack_p99_ms", "ours-subnets"), true, 10, figure{}},
		{"durable leases of subnets under overload: done, % of the maximum", of("dora-overload", "kept", "ours-subnets"), false, 90, figure{}},
		{"known machines, of the best other's", of("dora", "known_s", "ours-range"), false, 2, of("dora", "known_s", "coredhcp-range", "dhcpd", "kea", "kea-mt", "dnsmasq")},
	}
	for _, w := range []int{1, 4, 16, 64} {
		name := fmt.Sprintf("tftp-rtt1-w%d", w)
		list = append(list, bar{fmt.Sprintf("1 ms, windowsize %d: MB/s, of the best other's", w), of(name, "mb_s", "ours"), false, .95,
			of(name, "mb_s", otherFiles()...)})
	}
	return append(list,
		bar{"1 % loss, windowsize 16: MB/s, of atftpd's", of("tftp-loss1-w16", "mb_s", "ours"), false, 20, of("tftp-loss1-w16", "mb_s", "atftpd")},
		bar{"1 % loss, windowsize 1: MB/s, of the best other's", of("tftp-loss1-w1", "mb_s", "ours"), false, 4, of("tftp-loss1-w1", "mb_s", otherFiles()...)},
		bar{"1 % loss, windowsize 1: transfers not finished", of("tftp-loss1-w1", "failed", "ours"), true, 0, figure{}},
		bar{"5 % loss, windowsize 1: transfers not finished in 15 s", of("tftp-loss5-w1", "failed", "ours"), true, 0, figure{}},
		bar{"5 % loss, windowsize 16: transfers not finished in 15 s", of("tftp-loss5-w16", "failed", "ours"), true, 0, figure{}},
		bar{"100 clients, windowsize 1: MB/s, of dnsmasq's", of("tftp-100-w1", "mb_s", "ours"), false, 1, of("tftp-100-w1", "mb_s", "dnsmasq")},
		bar{"100 clients, windowsize 1: CPU s/GB, of dnsmasq's", of("tftp-100-w1", "cpu_gb", "ours"), true, 1, of("tftp-100-w1", "cpu_gb", "dnsmasq")},
		bar{"100 clients, windowsize 16: MB/s, of atftpd's", of("tftp-100-w16", "mb_s", "ours"), false, 1.4, of("tftp-100-w16", "mb_s", "atftpd")},
		bar{"100 clients, windowsize 16: CPU s/GB, of atftpd's", of("tftp-100-w16", "cpu_gb", "ours"), true, .6, of("tftp-100-w16", "cpu_gb", "atftpd")},
		bar{"1,000 clients, windowsize 1: MB/s, of dnsmasq's", of("tftp-1000-w1", "mb_s", "ours"), false, 1, of("tftp-1000-w1", "mb_s", "dnsmasq")},
		bar{"1,000 clients, windowsize 16: MB/s, of dnsmasq's with 1", of("tftp-1000-w16", "mb_s", "ours"), false, 2, of("tftp-1000-w1", "mb_s", "dnsmasq")},
		bar{"1,000 clients, windowsize 1: transfers failed", of("tftp-1000-w1", "failed", "ours"), true, 0, figure{}},
		bar{"1,000 clients, windowsize 1: requests sent again", of("tftp-1000-w1", "rrqs", "ours"), true, 0, figure{}},
		bar{"1,000 clients, windowsize 16: transfers failed", of("tftp-1000-w16", "failed", "ours"), true, 0, figure{}},
		bar{"1,000 clients, windowsize 16: requests sent again", of("tftp-1000-w16", "rrqs", "ours"), true, 0, figure{}},
		bar{"1,000 clients: memory, MiB", of("tftp-1000-w1", "rss_mb", "ours"), true, 40, figure{}},
		bar{"one client, windowsize 64: MB/s, of atftpd's", of("tftp-1-w64", "mb_s", "ours"), false, 1.6, of("tftp-1-w64", "mb_s", "atftpd")},
		bar{"boot storm: machines booted", of("storm", "booted", "ours"), false, stormMachines, figure{}},
		bar{"boot storm: seconds until the last, of the best other's", of("storm", "all_s", "ours"), true, .5, of("storm", "all_s", "dnsmasq", "dhcpd+hpa")},
		bar{"boot storm with a pool: seconds, of the best other's", of("storm-pool", "all_s", "ours"), true, .5, of("storm-pool", "all_s", "dnsmasq", "dhcpd+hpa")},
	)
}

// judgement is a bar against a run's results.
type judgement struct {
	bar
	figure, limit float64
	best          string // whose figure the limit is made of
	reached       bool
}

// judge compares; ok is false where a figure is missing, because its case or server did not take part.
func (r *Results) judge(b bar) (j judgement, ok bool) {
	j.bar, j.limit = b, b.factor
	if j.figure, _, ok = r.best(b.ours, !b.most); !ok {
		return j, false
	}
	if len(b.of.servers) > 0 {
		var other float64
		if other, j.best, ok = r.best(b.of, !b.most); !ok {
			return j, false
		}
		j.limit = b.factor * other
	}
	j.reached = j.figure >= j.limit
	if b.most {
		j.reached = j.figure <= j.limit
	}
	return j, true
}

// best is the highest, or the lowest, of the medians of a figure's servers.
func (r *Results) best(f figure, highest bool) (value float64, server string, ok bool) {
	for _, s := range f.servers {
		v, there := r.Median(f.name, s, f.metric)
		if there && (!ok || (v > value) == highest) {
			value, server, ok = v, s, true
		}
	}
	return value, server, ok
}
