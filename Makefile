# Every target is a plain go command; Go is the only tool needed.

GO      ?= go
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags=-s
FUZZ    ?= 10s
# Not a tool of go.mod: it would bring some two hundred modules there.
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
MAIN    := ./cmd/seaworthy
AGENT   := ./cmd/seaworthy-agent

.DEFAULT_GOAL := help
.PHONY: help up demo build cross test lab lint fuzz docs bench peers clean

help: ## show these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -e 's/:[^#]*## /\t/' | expand -t 10

up: build ## build, then scan this host and show it in a collector until Ctrl-C
	@exec ./bin/seaworthy up

demo: build ## the same with recorded nodes instead of this host
	@exec ./bin/seaworthy up --demo

build: ## build both programs into ./bin
	@echo "building ./bin/seaworthy and ./bin/seaworthy-agent"
	@$(BUILD) -o bin/ $(MAIN) $(AGENT)

cross: ## build for the other systems that people use
	GOOS=darwin GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null $(MAIN)
	GOOS=windows GOARCH=amd64 CGO_ENABLED=0 $(GO) build -o NUL.exe $(MAIN) && rm -f NUL.exe
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null $(MAIN)
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null $(AGENT)

# The guests of test/lab are slow machines: they run when nothing else does.
test: ## everything that CI tests
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) $$($(GO) list ./... | grep -v /test/lab)
	$(GO) test $(TESTFLAGS) -count=1 ./test/lab/...

lab: ## boot every guest of test/lab under QEMU and hold what is seen against docs/proven.md (root); UPDATE=1 writes it
	$(GO) test ./test/lab -full $(if $(UPDATE),-update) -count=1 -timeout 3h -v

lint: ## formatting, vet, the linters of .golangci.yml, known vulnerabilities where they can be looked up
	@found=$$(gofmt -l .); test -z "$$found" || { echo "not formatted by gofmt: $$found"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(GOLANGCI) run ./...
	@$(GO) tool govulncheck ./...; case $$? in 0) ;; 3) exit 1 ;; *) echo "govulncheck could not look up its data: left out" ;; esac

fuzz: ## run every fuzz test for FUZZ (10s) each
	@grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		for f in $$($(GO) test "$$dir" -list '^Fuzz' | grep '^Fuzz'); do \
			$(GO) test "$$dir" -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ) || exit 1; \
		done; \
	done

docs: ## write docs/checks.md and docs/standards anew
	@mkdir -p docs/standards
	$(GO) run $(MAIN) checks -o markdown > docs/checks.md.new && mv docs/checks.md.new docs/checks.md
	@for s in cis-kubernetes kubernetes-stig; do \
		$(GO) run $(MAIN) checks --standard $$s -o markdown > docs/standards/$$s.md.new && mv docs/standards/$$s.md.new docs/standards/$$s.md || exit 1; \
	done

bench: ## run the benchmarks
	$(GO) test ./... -run '^$$' -bench . -benchmem

peers: ## run Seaworthy, kube-bench and Lynis on this machine and print what each costs (root)
	@$(GO) test ./test/peers -run '^$$' -bench BesideOthers -benchtime 3x -timeout 30m

clean: ## remove what was built; reports in .seaworthy stay
	rm -rf bin
