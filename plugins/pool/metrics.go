package pool

import "github.com/coredhcp-netboot/suite/internal/lend"

// Names of the metrics, for code, tests and dashboards. Each has the label range.
const (
	MetricAddresses = "netboot_range_addresses"
	MetricLeases    = "netboot_range_leases"        // by state
	MetricEvents    = "netboot_range_events_total"  // by event
	MetricNAKs      = "netboot_range_refused_total" // NAKs
	MetricExhausted = "netboot_range_exhausted_total"
	MetricCommits   = "netboot_range_commits_total"
	MetricCommit    = "netboot_range_commit_seconds"
	MetricFailures  = "netboot_range_commit_failures_total"
)

func metricNames() lend.Names {
	return lend.Names{
		Label: "range", Addresses: MetricAddresses, Leases: MetricLeases, Events: MetricEvents, NAKs: MetricNAKs,
		Exhausted: MetricExhausted, Commits: MetricCommits, Commit: MetricCommit, Failures: MetricFailures,
	}
}
