# What people do with this repository. `make help` lists it.

CARGO        ?= cargo
CORPUS       ?= corpus
CORPUS_SCALE ?= 1.0
CORPUS_SEED  ?= 1
RESULTS      ?= results
PYTHON       ?= python3
VENV         ?= .venv

# Reach the programs where they are set; unset means the program's own default.
NUM_SLOTS ?=
SLOT_SIZE ?=
IO        ?=
LEVEL     ?=
THREADS   ?=
ONLY      ?=
# For make compare.
CACHES     ?=
CONTENDERS ?=

# For the criterion suites: a name to keep figures under, a filter, and whether a part is enough.
BASE   ?=
FILTER ?=
QUICK  ?=

# For `make tune`: the tree to measure with (a generated one if there is none), and the time for it.
TREE      ?=
BUDGET    ?=

RUN_FLAGS = $(if $(NUM_SLOTS),--slots $(NUM_SLOTS)) $(if $(SLOT_SIZE),--slot-size $(SLOT_SIZE)) \
            $(if $(IO),--io $(IO)) $(if $(LEVEL),--level $(LEVEL)) $(if $(THREADS),--threads $(THREADS)) \
            $(if $(ONLY),--only $(ONLY))

COMPARE_FLAGS = $(if $(LEVEL),--level $(LEVEL)) $(if $(THREADS),--threads $(THREADS)) $(if $(ONLY),--only $(ONLY)) \
                $(if $(CACHES),--caches $(CACHES)) $(if $(CONTENDERS),--contenders '$(CONTENDERS)')

SUITES = $(if $(QUICK),CARRACK_BENCH_QUICK=1) $(CARGO) bench -p carrack-bench --bench suites --
# A regular expression for names of benchmarks, which must fit from the start of one of their parts on: ring, not uring.
SELECT = $(if $(FILTER),'(^|/)($(FILTER))')

# For `make fuzz`: how long it takes, and which targets (all, unless some are named).
FUZZ_HOURS   ?= 2
FUZZ_SECONDS ?= $(shell expr $(FUZZ_HOURS) '*' 3600)
FUZZ_TARGETS ?=
# Changed archives, for make mutate.
ARCHIVES     ?= 1000000
# One of the planted bugs, for make mutants; all without it.
MUTANT       ?=

RELEASE = target/release
REPORT  = $(RELEASE)/carrack-bench report --results $(RESULTS)
# Behind a measurement: the page shows it too, unless there was none; what make says is what the measurement said.
REFRESH = status=$$?; [ $$status -gt 1 ] || $(REPORT) || true; exit $$status

# libFuzzer's coverage on the stable toolchain, in what is fuzzed and not in what builds it, which --target tells apart.
HOST       := $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_FLAGS  = --cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
              -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
              -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Clink-dead-code
FUZZED      = fuzz/target/$(HOST)/fuzz

.PHONY: help build corpus run compare aa tune report test test-rust test-fuzz test-loom test-shuttle test-interop sweep asan tsan miri bench bench-quick bench-compare \
        lint mutants fuzz fuzz-quick fuzz-build fuzz-seeds mutate advisories doc clean fault-test crash-test

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16
	@echo
	@echo 'Variables: CORPUS_SCALE=$(CORPUS_SCALE) CORPUS_SEED=$(CORPUS_SEED) ONLY=source,tiny IO=uring|pool|pread|mmap'
	@echo '           NUM_SLOTS=n SLOT_SIZE=4MiB LEVEL=n THREADS=n'
	@echo '           of the bench targets: BASE=name FILTER=pack/uring, of bench-compare also QUICK=1'
	@echo '           CACHES=hot,data-cold,cold CONTENDERS="tar|zstd,naive,carrack" (compare)'
	@echo '           TREE=dir BUDGET=5m (tune)'
	@echo '           FUZZ_HOURS=2 or FUZZ_SECONDS=n, FUZZ_TARGETS="index archive" (fuzz), ARCHIVES=n (mutate), MUTANT=name (mutants)'

build: ## build the programs, optimised
	$(CARGO) build --release --workspace --bins

corpus: build ## generate the corpora that are not there yet
	$(RELEASE)/carrack-corpus --out $(CORPUS) --scale $(CORPUS_SCALE) --seed $(CORPUS_SEED) $(if $(ONLY),--only $(ONLY))

run: corpus ## pack, verify, unpack and compare every corpus with every backend
	$(RELEASE)/carrack-bench run --corpus $(CORPUS) --results $(RESULTS) $(RUN_FLAGS); $(REFRESH)

compare: corpus ## time carrack against every archiver that is installed, interleaved
	$(RELEASE)/carrack-bench compare --corpus $(CORPUS) --results $(RESULTS) $(COMPARE_FLAGS); $(REFRESH)

aa: corpus ## time carrack against itself: how many 95% intervals hold 1?
	$(RELEASE)/carrack-bench aa --corpus $(CORPUS) --results $(RESULTS); $(REFRESH)

tune: build ## find the settings that suit this machine (ONLY=slots,io,... restricts it) and remember them
	$(RELEASE)/carrack tune $(TREE) --work $(RESULTS) --results $(RESULTS) \
	    $(if $(BUDGET),--budget $(BUDGET)) $(if $(ONLY),--only $(ONLY))

report: build ## show all that was measured as one page: results/report.html
	$(REPORT)

test: test-rust test-fuzz test-loom test-shuttle test-interop ## run every test

test-rust:
	$(CARGO) test --workspace
	@echo 'Every benchmark of the quick part, once each:'
	CARRACK_BENCH_QUICK=1 $(CARGO) test --workspace --bench suites >/dev/null

# What fuzzing starts from and what it ever found, once more; what the main workspace has built is used again.
test-fuzz:
	$(CARGO) test --locked --manifest-path fuzz/Cargo.toml --target-dir target

# Every interleaving of the lock-free parts, in a target folder of its own because the flag rebuilds everything.
test-loom:
	RUSTFLAGS="--cfg loom" $(CARGO) test --profile loom --target-dir target/loom -p carrack-engine --lib ring::

# Whole packs in many an interleaving: threads, locks and atomics become models, in the engine alone.
test-shuttle:
	$(CARGO) test -p carrack-engine --features shuttle --lib shuttle_tests

# Every harm at every place of small archives, of which `make test` does a part: some minutes.
sweep: ## change every bit, byte, length and sector of small archives: noticed and contained?
	CARRACK_SWEEP=all $(CARGO) test --release -p carrack-engine --test it sweep -- --nocapture

test-interop:
	$(CARGO) build --workspace --bins
	PYTHON=$(PYTHON) VENV=$(VENV) interop/run.sh target/debug

# Which tests the sanitizers run besides those of the libraries themselves: what goes through every thread, and every error path.
SANITIZED   = round_trip failures faults unread damage hostile evil refusals changes:: salvag threads
# Rust code and the C libraries under it: sanitizer, flags for Rust, flags for C.
SANITIZE    = RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$(1)$(2)" CFLAGS="-fsanitize=$(1)$(3)" \
              $(CARGO) test --locked --target $(HOST) --target-dir target/$(1)
# GCC takes constants that it made static for variables that are gone (false alarms in zstd). Requests that are
# too large are refused, as ever.
ASAN        = ASAN_OPTIONS=allocator_may_return_null=1 $(call SANITIZE,address,, -fno-sanitize-address-use-after-scope)
# What the standard library does between its threads has to be seen too (`rustup component add rust-src`), and that memory is
# unmapped, or what comes to the same address later is taken for the same.
TSAN        = TSAN_OPTIONS=allocator_may_return_null=1:suppressions=$(CURDIR)/engine/tests/tsan.txt $(call SANITIZE,thread, --cfg=rustix_use_libc) -Zbuild-std
MIRI        = MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --target-dir target/miri

# Left out: a leak that has to be, and what zstd's tables take, which is more with its own marks between them.
asan: ## run tests under AddressSanitizer, C libraries included (some ten minutes)
	$(ASAN) -p carrack-backends --lib -- --skip a_broken_ring_leaks
	$(ASAN) -p carrack-engine --lib -- --skip no_tables_take_more
	$(ASAN) -p carrack-engine --test it -- $(SANITIZED)

tsan: ## run tests under ThreadSanitizer, the standard library and C libraries included (needs rust-src)
	$(TSAN) -p carrack-backends --lib
	$(TSAN) -p carrack-engine --lib
	$(TSAN) -p carrack-engine --test it -- $(SANITIZED)

miri: ## run the tests of the ring and the arena under Miri (needs a nightly toolchain with miri)
	$(MIRI) -p carrack-engine --lib -- ring::
	$(MIRI) -p carrack-backends --lib -- arena::

fault-test: ## have system calls of the real binary fail, each of many, one after the other (needs strace)
	CARRACK_REQUIRE_STRACE=1 CARRACK_FAULTS=all $(CARGO) test -p carrack --test it -- injected --nocapture

crash-test: build ## cut the power under carrack 1,000 times, and kill it (root, Linux, some minutes); CUTS=n SEED=n
	$(PYTHON) bench/crash.py --carrack $(RELEASE)/carrack --cuts $(or $(CUTS),1000) --seed $(or $(SEED),1)

bench: ## run the criterion suites, some 15 minutes; BASE=name keeps the figures under that name
	$(SUITES) $(if $(BASE),--save-baseline '$(BASE)') $(SELECT)

# Kept under a name of its own: it must not be what the next full run is compared with.
bench-quick: ## run a part of the suites, each benchmark briefly: less than three minutes
	@$(MAKE) --no-print-directory bench QUICK=1 BASE='$(or $(BASE),quick)'

bench-compare: ## run the suites and list what changed since BASE=name was kept
	@$(if $(QUICK),CARRACK_BENCH_QUICK=1) CARGO='$(CARGO)' bench/compare.sh '$(BASE)' $(SELECT)

lint: ## formatting, clippy with warnings denied, documentation, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target --all-targets --features libfuzzer -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then $(CARGO) deny check bans licenses sources; \
	 else echo 'lint: cargo-deny is not installed, so licences and versions of dependencies were NOT CHECKED'; fi
	@if $(PYTHON) -c 'import tomllib' 2>/dev/null; then $(PYTHON) mutants/run.py --check; \
	 else echo 'lint: $(PYTHON) is not 3.11 or newer, so whether the planted bugs still fit was NOT CHECKED'; fi

# Each is built and tried by itself.
mutants: ## plant known bugs, one by one (MUTANT=name: one): does the test suite notice each?
	CARGO='$(CARGO)' $(PYTHON) mutants/run.py $(MUTANT)

fuzz-build:
	RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --locked --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --target $(HOST) \
	    --profile fuzz --features libfuzzer $(addprefix --bin fuzz-,$(notdir $(basename $(wildcard fuzz/targets/*.rs))))

fuzz-quick: fuzz-build ## fuzz every target, two minutes in all
	fuzz/run.sh 120 $(FUZZED)

fuzz: fuzz-build ## fuzz on all cores for FUZZ_HOURS=2 (or FUZZ_SECONDS); what is found is in fuzz/artifacts
	fuzz/run.sh $(FUZZ_SECONDS) $(FUZZED) $(FUZZ_TARGETS)

fuzz-seeds: ## make what fuzzing starts from anew, after a change of the format
	rm -rf fuzz/seeds
	$(CARGO) run --locked --manifest-path fuzz/Cargo.toml --target-dir target --bin seeds -- fuzz/seeds

mutate: ## change ARCHIVES=1000000 archives as disks do, and count who notices; what is silent is in fuzz/found
	$(CARGO) run --locked --release --manifest-path fuzz/Cargo.toml --target-dir target --bin mutate -- \
	    --count $(ARCHIVES) --found fuzz/found

advisories: ## look the dependencies up in the advisory database (needs the network)
	$(CARGO) deny check advisories

doc: ## build the documentation
	$(CARGO) doc --workspace --no-deps

clean: ## remove what was built and generated
	$(CARGO) clean
	rm -rf $(CORPUS) $(VENV)
	find $(RESULTS) -mindepth 1 ! -name README.md -delete
