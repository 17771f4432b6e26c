# make run · make test · make help

PYTHON  ?= python3
VENV    := target/venv/bin/python
PROFILE := $(if $(RELEASE),release,debug)
BINARY  := $(CURDIR)/target/$(PROFILE)/avain

export AVAIN_BINARY ?= $(BINARY)

.PHONY: help build run stop test contract bench soak lint fmt clean tools run-tools

help:
	@echo 'make run       build, and start avain with nginx in front and a stand-in backend behind; prints what to try'
	@echo 'make stop      end what make run started'
	@echo 'make test      everything: formatting, lints, tests on both stores, the gateway, the contract'
	@echo 'make contract  replay the recorded answers of the real stacks  [CONTRACT=folder] [SYSTEM=name] [DATABASE=postgresql]'
	@echo 'make bench     the gate against a bare server and gunicorn; whether sign-ins and resets tell who exists; a crowd that signs in; a million accounts listed  [QUICK=1]'
	@echo 'make soak      the tests that take long'
	@echo 'make build     the binary: target/$(PROFILE)/avain'
	@echo 'make lint      formatting, clippy, documentation; cargo-deny where it is installed'
	@echo 'make fmt       format'
	@echo 'make clean     stop, and remove what was built'
	@echo
	@echo 'RELEASE=1 builds and uses target/release/avain (thin LTO: about four minutes the first time).'

build:
	cargo build --locked $(if $(RELEASE),--release) --bin avain

run: run-tools build
	@$(PYTHON) tests/setup/stack.py run

stop:
	@$(PYTHON) tests/setup/stack.py stop

run-tools:
	@tests/setup/install.sh run

tools:
	@tests/setup/install.sh
	@tests/setup/install.sh pages
	@tests/setup/install.sh venv

lint:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --quiet
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --offline check bans licenses sources; fi

fmt:
	cargo fmt

test: tools lint build
	cargo test --locked
	$(VENV) tests/backend/test_backend.py
	$(VENV) tests/nginx/test_gateway.py --engine both
	$(VENV) tests/nginx/test_doctor.py
	$(VENV) tests/nginx/test_cases.py
	$(VENV) tests/nginx/test_caddy.py
	$(VENV) tests/nginx/test_traefik.py
	$(VENV) tests/nginx/test_django.py
	$(VENV) tests/pages/test_pages.py
	$(VENV) tests/interop/test_interop.py
	$(VENV) tests/contract/test_rules.py
	$(MAKE) --no-print-directory contract

# CONTRACT=<folder> SYSTEM=<name> DATABASE=postgresql reach the runner through the environment.
export CONTRACT SYSTEM DATABASE
contract: tools build
	$(VENV) tests/contract/replay.py

bench: tools
	@tests/setup/install.sh bench
	$(VENV) -m pip install --quiet --disable-pip-version-check --no-input -r tests/bench/requirements.txt
	cargo build --locked --release --bin avain
	cargo build --locked --release --examples
	$(VENV) tests/bench/bench.py $(if $(QUICK),--quick)
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(PYTHON) tests/bench/timing.py --what sign-in $(if $(QUICK),--calls 100)
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(PYTHON) tests/bench/timing.py --what reset $(if $(QUICK),--calls 100)
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(PYTHON) tests/bench/crowd.py $(if $(QUICK),--seconds 5)
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(PYTHON) tests/bench/revocation.py $(if $(QUICK),--revocations 100)
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(PYTHON) tests/bench/accounts.py $(if $(QUICK),--accounts 100000)

soak: tools build
	PROPTEST_CASES=$${PROPTEST_CASES:-100000} cargo test --locked --release -- --include-ignored
	cargo build --locked --release --bin avain
	AVAIN_BINARY=$(CURDIR)/target/release/avain $(VENV) tests/interop/rotation.py
	$(VENV) tests/nginx/test_cases.py --cases 100000
	for nginx in target/nginx-*/sbin/nginx; do [ ! -x $$nginx ] || for what in gateway cases doctor; do \
	    NGINX_BINARY=$(CURDIR)/$$nginx $(VENV) tests/nginx/test_$$what.py || exit 1; done; done

clean: stop
	cargo clean
