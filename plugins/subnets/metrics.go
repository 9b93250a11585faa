package subnets

import "github.com/coredhcp-netboot/suite/internal/lend"

// Names of the metrics, for code, tests and dashboards. Each has the label file.
const (
	MetricAddresses = "netboot_subnets_addresses"
	MetricLeases    = "netboot_subnets_leases"        // by state
	MetricEvents    = "netboot_subnets_events_total"  // by event
	MetricNAKs      = "netboot_subnets_refused_total" // NAKs
	MetricExhausted = "netboot_subnets_exhausted_total"
	MetricCommits   = "netboot_subnets_commits_total"
	MetricCommit    = "netboot_subnets_commit_seconds"
	MetricFailures  = "netboot_subnets_commit_failures_total"
)

func metricNames() lend.Names {
	return lend.Names{
		Label: "file", Addresses: MetricAddresses, Leases: MetricLeases, Events: MetricEvents, NAKs: MetricNAKs,
		Exhausted: MetricExhausted, Commits: MetricCommits, Commit: MetricCommit, Failures: MetricFailures,
	}
}
