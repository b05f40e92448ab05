# Two targets do all the set-up there is: `make run` needs Go, `make test` needs Go and Node with npm.
SHELL   := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CREATED := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
WEB     := dashboards/web
OPENAPI := aggregator/metricsapi/openapi
LINT    := bin/golangci-lint
MODULES := bench hostile hpa influx chart cluster

.PHONY: help run build image chart cluster test test-go test-web test-influx test-influx2 test-hpa test-chart e2e e2e-short bench-scaling fuzz fuzz-short hostile lint licenses sbom vulns verify update bench clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: build ## Run everything on this machine with a demo service, and the page on http://127.0.0.1:8082
	./bin/plimsoll run --demo

build: ## Build bin/plimsoll
	@mkdir -p bin
	@echo "Building bin/plimsoll; the first time takes a minute or two"
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/plimsoll ./cmd/plimsoll

image: build ## Make the container image bin/plimsoll-image.tar, without Docker; two builds of a commit are the same to the byte
	@go run ./internal/image/imagetar -name plimsoll:$(VERSION) -version $(VERSION) -revision $(COMMIT) -created $(CREATED)

chart: build ## Pack the Helm chart with Grafana's boards, as bin/plimsoll-*.tgz
	@rm -rf bin/boards && ./bin/plimsoll dashboards export bin/boards >/dev/null && ./bin/plimsoll dashboards export --source influx bin/boards >/dev/null
	@cd test/chart && go run ./pack -boards ../../bin/boards/dashboards -out ../../bin

test: test-go test-influx test-hpa test-chart test-web ## Install what the tests need, then run them all

test-go: bin/testreport
	./test/setup.sh
	set -o pipefail; PLIMSOLL_TEST_PROMETHEUS=$$(ls $(CURDIR)/.cache/prometheus/usr/bin/prometheus 2>/dev/null) \
		go test -json -timeout 60m ./... | ./bin/testreport

test-influx: bin/testreport ## The tests on a real InfluxDB 1.8, which it builds; on 2.7 too where that was built
	set -o pipefail; cd test/influx && go test -json -timeout 25m ./... | ../../bin/testreport

test-influx2: ## Build InfluxDB 2.7 (about four minutes, needs cargo), then run the tests on both
	./test/influx/build.sh 2.7
	$(MAKE) --no-print-directory test-influx

test-hpa: bin/testreport ## The brain beside the HPA controller of Kubernetes, which takes three minutes of CPU to build the first time
	set -o pipefail; cd test/hpa && go test -json -timeout 30m ./... | ../../bin/testreport

test-chart: bin/testreport ## The Helm chart, rendered for many values by Helm's own library
	set -o pipefail; cd test/chart && go test -json -timeout 20m ./... | ../../bin/testreport

e2e: bin/testreport ## The tests on a real Kubernetes of two nodes, which they build (eight minutes the first time) and start; needs root
	./test/setup.sh cluster
	set -o pipefail; cd test/cluster && go test -json -timeout 40m $(E2E) ./... | ../../bin/testreport

e2e-short: ## The same without those that take longest, as CI runs them
	$(MAKE) --no-print-directory e2e E2E=-short

bench-scaling: ## ScalePolicy, HPA and boosted HPA on the same load of a real Kubernetes, and a thousand policies; needs root, an idle machine and an hour and a half
	./test/setup.sh cluster
	cd test/cluster && PLIMSOLL_TEST_STEPS=$${PLIMSOLL_TEST_STEPS:-20} PLIMSOLL_TEST_MINUTES=$${PLIMSOLL_TEST_MINUTES:-10} PLIMSOLL_TEST_DAY_MINUTES=$${PLIMSOLL_TEST_DAY_MINUTES:-20} \
		go test -v -timeout 3h -run 'TestDay|TestReaction|TestSteadyNoise|TestManyPolicies' .

cluster: ## Bring up a real Kubernetes of two nodes with Plimsoll and a workload on it, until Ctrl-C; needs root
	./test/setup.sh cluster
	cd test/cluster && go run ./cluster up

bin/testreport: $(wildcard internal/house/testreport/*.go)
	@mkdir -p bin && go build -o bin/testreport ./internal/house/testreport

test-web: build $(WEB)/node_modules/.package-lock.json
	cd $(WEB) && npm test

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund

fuzz: ## Fuzz every parser of outside input, ten minutes in all; what fails is kept in testdata/fuzz (FOR=1h for longer, ONLY=cgroup for some)
	go run ./internal/house/fuzzing -deep -for $(or $(FOR),10m) -only '$(ONLY)'

fuzz-short: ## The same for ten seconds each, two at a time: five minutes and the building, twelve in all at most (MOST=1h for longer)
	go run ./internal/house/fuzzing -each $(or $(FOR),10s) -most $(or $(MOST),12m) -only '$(ONLY)'

hostile: build ## Attack all doors at once for two minutes, beside a service that is scaled; prints figures and bars (FOR=20s for less)
	cd test/hostile && go run . -plimsoll ../../bin/plimsoll -for $(or $(FOR),2m)

lint: $(LINT) ## Run the linter
	$(LINT) run ./...
	for m in $(MODULES); do (cd test/$$m && ../../$(LINT) run --config ../../.golangci.yml ./...) || exit 1; done
	cd tools && ../$(LINT) run --config ../.golangci.yml ./...

$(LINT): tools/go.mod
	@mkdir -p bin
	cd tools && go build -o ../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

bin/linked: tools/go.mod $(wildcard tools/linked/*.go)
	@mkdir -p bin
	cd tools && go test ./linked && go build -o ../bin/linked ./linked

licenses: bin/linked $(WEB)/node_modules/.package-lock.json ## Check the licences of all that ships, and NOTICE
	./bin/linked -root . -check

sbom: build bin/linked $(WEB)/node_modules/.package-lock.json ## Write what is in bin/plimsoll as CycloneDX JSON, bin/plimsoll.cdx.json
	./bin/linked -root . -sbom bin/plimsoll -version $(VERSION) > bin/plimsoll.cdx.json

# Where known faults of modules are told. Where that cannot be reached nothing is known of them, which is said and no failure.
VULNDB := https://vuln.go.dev

bin/govulncheck: tools/go.mod
	@mkdir -p bin
	cd tools && go build -o ../bin/govulncheck golang.org/x/vuln/cmd/govulncheck

vulns: bin/govulncheck ## Look for known vulnerabilities in what the binary calls; needs the network
	@if timeout 60 ./bin/govulncheck -db $(VULNDB) -version | grep '^DB updated'; then ./bin/govulncheck -db $(VULNDB) ./cmd/plimsoll; \
		else printf '%s\n' '' '*** NOT CHECKED: known vulnerabilities. $(VULNDB) cannot be reached from here. ***' '*** Run "make vulns" where it can, or with VULNDB=file:///copy ***' '' >&2; fi

verify: lint licenses vulns ## Check formatting, modules, licences, known vulnerabilities and everything generated; fails on a difference
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "not formatted: run 'make update'"; exit 1; }
	go mod tidy -diff
	for m in $(MODULES); do (cd test/$$m && go mod tidy -diff) || exit 1; done
	@$(MAKE) --no-print-directory generated
	@git diff --exit-code --stat -- docs/metrics.md $(OPENAPI) $(WEB)/dist || { echo "generated files differ: run 'make update' and commit"; exit 1; }

update: ## Bring formatting, modules and everything generated up to date
	gofmt -w $$(git ls-files '*.go')
	go mod tidy
	for m in $(MODULES); do (cd test/$$m && go mod tidy) || exit 1; done
	@$(MAKE) --no-print-directory generated bin/linked
	./bin/linked -root .

.PHONY: generated
generated: $(WEB)/node_modules/.package-lock.json
	go run ./internal/metric/docgen > docs/metrics.md
	cd $(OPENAPI) && go run k8s.io/kube-openapi/cmd/openapi-gen@$$(go list -m -f '{{.Version}}' k8s.io/kube-openapi) \
		--go-header-file /dev/null --report-filename /dev/null --output-dir . --output-pkg plimsoll.dev/plimsoll/$(OPENAPI) --output-file openapi.go \
		k8s.io/metrics/pkg/apis/metrics/v1 k8s.io/metrics/pkg/apis/metrics/v1beta1 k8s.io/apimachinery/pkg/apis/meta/v1 \
		k8s.io/apimachinery/pkg/api/resource k8s.io/apimachinery/pkg/version k8s.io/apimachinery/pkg/runtime
	cd $(WEB) && npm run --silent build

bench: build ## Measure Plimsoll beside its peers; prints figure, bar and ratio
	cd test/bench && go test . && go run . -plimsoll ../../bin/plimsoll

clean: ## Remove what was built, downloaded or written here
	rm -rf bin .cache $(WEB)/node_modules plimsoll-data
