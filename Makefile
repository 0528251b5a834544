# Names only; what is longer than three lines stands in scripts/.
export CARGO_TARGET_DIR ?= $(CURDIR)/target
EXAMPLE := examples/foobar
BIN := $(CARGO_TARGET_DIR)/debug/mainstay

help:       ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/'

up: example ## install what is missing, build, start the example site (ARGS=--detach: in the background)
	$(BIN) up $(EXAMPLE)/site.toml $(ARGS)

down:       ## stop the example site
	$(BIN) down $(EXAMPLE)/site.toml

test: packages ## build everything and run every test
	scripts/nextest
	cargo build --workspace --bins --examples
	cargo nextest run --workspace --profile $(if $(CI),ci,default) $(ARGS)

check:      ## formatting, lints, licences
	scripts/check

packages:   ## install the Debian packages that are missing
	scripts/packages

example: packages ## build Mainstay and the example's application
	cargo build -p mainstay -p foobar
	install -D -m 755 $(CARGO_TARGET_DIR)/debug/foobar $(EXAMPLE)/app/bin/foobar

fuzz:       ## look for bytes that break a parser (ARGS: seconds, then targets; 60 s for each without)
	scripts/fuzz $(ARGS)

clients: packages ## clients of npm through the SQL router (those of Debian are part of `make test`)
	npm install --silent --no-fund --no-audit --prefix $(CARGO_TARGET_DIR)/tmp/npm mysql2@3
	cargo nextest run -p sql-router --test clients --run-ignored all

storage: packages ## backups to a server that speaks S3 (moto, from PyPI)
	python3 -m venv $(CARGO_TARGET_DIR)/tmp/moto
	$(CARGO_TARGET_DIR)/tmp/moto/bin/pip install --quiet 'moto[s3,server]==5.*'
	cargo nextest run -p database --test real --run-ignored only storage

bench: packages ## measure beside the peers (bench/run says what it needs)
	cargo build --release -p mainstay -p foobar --bins --examples
	bench/run $(or $(ARGS),path)

docs:       ## write docs/reference anew from the code
	cargo build -p mainstay
	UPDATE_REFERENCE=1 cargo test -p mainstay --test reference --test conformance

.PHONY: help up down test check packages example bench docs fuzz clients storage
