# What the project does, and what CI runs: nothing else is hidden anywhere.
.PHONY: demo test vet lint unit integration fuzz long bench bench-quick bench-run bench-go build clean packages

# Tests open namespaces and low ports, so they run as root; nothing else does.
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo sudo env "PATH=$$PATH" "HOME=$$HOME" GOCACHE=/tmp/netboot-root-cache NETBOOT_BIN=$(CURDIR)/bin)
# -count=1: these tests run programs that the cache of results knows nothing about.
GOTEST := go test -count=1 -race $(if $(ROOT),-exec '$(ROOT)')
LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 60s

build:
	go build -o bin/ ./cmd/...

# A first boot: a BIOS and a UEFI machine, in network namespaces of their own.
demo:
	sh integration/packages.sh demo
	go build -o bin/ ./cmd/... ./integration/demo
	$(ROOT) bin/demo --bin bin

test: packages vet lint unit integration
	$(MAKE) fuzz FUZZTIME=10s

packages:
	sh integration/packages.sh test

vet:
	test -z "$$(gofmt -l .)" || { gofmt -l .; echo "gofmt -w . mends these files"; exit 1; }
	go vet ./...
	CGO_ENABLED=0 go build ./...

lint:
	go run $(LINT) run ./...

unit: build
	$(GOTEST) $$(go list ./... | grep -v -e /integration -e /nettest)

# Real firmware in emulated machines, one at a time.
integration: build
	$(GOTEST) -p 1 -timeout 30m -v ./internal/nettest/... ./integration/...

# Every fuzz target for FUZZTIME. Go sometimes ends one with "context deadline exceeded" when its time is over, so a target
# that fails is run again: what it found is in testdata/fuzz then, and fails at once.
fuzz:
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p' $$dir/*_test.go); do \
			echo "fuzz $$dir $$target $(FUZZTIME)"; \
			run="go test -run ^$$ -fuzz ^$$target$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 5x $$dir"; \
			$$run || $$run || exit 1; \
		done; \
	done

# What is proven of leases with few seeds and kills in the tests, with many: 200 kills for each plugin that lends.
long:
	go test -count=1 -timeout 60m ./internal/lease ./internal/lease/journal -seeds 10000
	go test -count=1 -timeout 60m ./plugins/subnets -run 'Foretold|LentToTwo' -seeds 1000
	go test -count=1 -timeout 60m $(if $(ROOT),-exec '$(ROOT)') ./cmd/netboot-dhcpd -run Killed -rounds 200

# Everything against the other servers, under an hour; BENCH='-cases ^tftp -reps 5' narrows it. The report is in bench-out.
bench: bench-go
	$(MAKE) bench-run

# The cases that say most, a few minutes.
bench-quick:
	$(MAKE) bench-run BENCH=-quick

# Without cgo, so that range is ours.
bench-run:
	sh integration/packages.sh bench
	CGO_ENABLED=0 go build -o bin/ ./cmd/...
	go build -o bin/bench/ ./integration/bench/...
	$(ROOT) bin/bench/bench $(BENCH)

# The benchmarks of single packages.
bench-go:
	go test -run '^$$' -bench . -benchmem $(if $(ROOT),-exec '$(ROOT)') ./...

clean:
	rm -rf bin bench-out
