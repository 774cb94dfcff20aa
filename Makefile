# meshcert: every command a developer or a user runs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
ARGS ?=
STORY ?=
MESH ?=
STARTED := $(shell date +%s.%N)
PIP_FLAGS := --disable-pip-version-check --no-input --progress-bar off
# What another index, or a file uploaded again, has under the same name and version is refused.
LOCKED := --require-hashes --only-binary=:all:
# Installs take minutes: a line every ten seconds, everything only if one fails.
PATIENTLY := $(PYTHON) tools/patiently.py

# A stamp carries the hash of what was installed: another pin, another stamp, and the step runs again. When the file was
# written says nothing, so the rules below do not ask.
hash = $(shell cat $(1) | sha256sum | cut -c1-16)
VENV := .venv/.stamp-$(call hash,requirements.lock)
LOCAL := build/venv-local/.stamp-$(call hash,local/requirements.lock)
FUNCTION := build/venv-lambda/.stamp-$(call hash,local/functions.lock)
NODE := build/node/.stamp-$(call hash,local/package.json local/package-lock.json)
SETUP := $(VENV) $(LOCAL) $(FUNCTION) $(NODE)
LOAD := build/load/.stamp-$(call hash,local/load/package.json local/load/package-lock.json)
BROWSER := build/browser/.stamp-$(call hash,local/browser/package.json local/browser/package-lock.json)

# make itself ends with 2 whatever failed, so it says which code it was.
say-code = code=$$?; echo "meshcert: exit code $$code; make makes it 2, so scripts call .venv/bin/meshcert" >&2; exit $$code

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/build/node/node_modules/.bin:$(PATH)

# Python compiles each module once, whatever the environment says: a demo starts a hundred Pythons, the tests thousands.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(SETUP) ## Install everything the other targets need (they do it themselves)

$(VENV): | requirements.lock
	@echo "[setup] Python packages: the CDK, boto3, cryptography, checks and tests (a minute to five)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "meshcert needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@$(PATIENTLY) "[setup]" .venv/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r requirements.lock
	@$(PATIENTLY) "[setup]" .venv/bin/python -m pip install $(PIP_FLAGS) --no-deps --no-build-isolation -e .
	@rm -f .venv/.stamp-*; touch $@

$(LOCAL): | local/requirements.lock
	@echo "[setup] the local AWS and Envoy"
	@$(PYTHON) -m venv build/venv-local
	@$(PATIENTLY) "[setup]" build/venv-local/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r local/requirements.lock
	@rm -f build/venv-local/.stamp-*; touch $@

# What a function finds on AWS before its bundle: boto3 and nothing else. A dependency missing from the bundle fails.
$(FUNCTION): | local/functions.lock
	@echo "[setup] the functions' own Python"
	@$(PYTHON) -m venv build/venv-lambda
	@$(PATIENTLY) "[setup]" build/venv-lambda/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r local/functions.lock
	@rm -f build/venv-lambda/.stamp-*; touch $@

# npm climbs to a parent folder when there is no package.json where it is told to install.
$(NODE): | local/package-lock.json $(VENV)
	@echo "[setup] the CDK CLI"
	@mkdir -p build/node && cp local/package.json local/package-lock.json build/node/
	@$(PATIENTLY) "[setup]" .venv/bin/npm ci --prefix build/node --no-audit --no-fund --loglevel=error
	@rm -f build/node/.stamp-*; touch $@

# The package holds the browser compressed, and unpacks it into the folder for temporary files.
$(BROWSER): | local/browser/package-lock.json $(VENV)
	@echo "[setup] a headless Chromium, for the tests of meshcert map (70 MB)"
	@rm -rf build/browser && mkdir -p build/browser/chromium
	@cp local/browser/package.json local/browser/package-lock.json build/browser/
	@$(PATIENTLY) "[setup]" .venv/bin/npm ci --prefix build/browser --no-audit --no-fund --loglevel=error
	@cd build/browser && TMPDIR="$$PWD/chromium" node --input-type=module \
		--eval 'import chromium from "@sparticuz/chromium"; await chromium.executablePath()'
	@touch $@

$(LOAD): | local/load/package-lock.json $(VENV)
	@echo "[setup] the load generator of the benchmarks (7 MB)"
	@mkdir -p build/load && cp local/load/package.json local/load/package-lock.json build/load/
	@$(PATIENTLY) "[setup]" .venv/bin/npm ci --prefix build/load --no-audit --no-fund --loglevel=error
	@rm -f build/load/.stamp-*; touch $@

.PHONY: browser
browser: $(BROWSER) ## Install the browser that make test opens pages in (make test does it itself)

.PHONY: demo
demo: $(SETUP) ## The whole thing on this machine, no AWS account: deploy, mutual TLS, a renewal (MESH=FILE: your mesh; STORY=rollback, STORY=lost-event, STORY=sds; ARGS=--keep leaves it up)
	@python -m local.demo --started $(STARTED) $(if $(STORY),--story "$(STORY)") $(if $(MESH),--mesh "$(MESH)") $(ARGS)

.PHONY: test
test: $(SETUP) $(BROWSER) ## All tests, against the local AWS and the real Envoy
	@python -m pytest --numprocesses 3 --no-loadscope-reorder $(ARGS)

.PHONY: check
check: $(VENV) ## Lint, formatting, types, who imports whom, Dockerfiles
	@ruff check .
	@ruff format --check .
	@mypy .
	@PYTHONPATH=.:envoy-image lint-imports --no-logo --no-cache
	@hadolint envoy-image/Dockerfile examples/*/*/Dockerfile local/demo/applications/*/Dockerfile

.PHONY: bench
bench: $(SETUP) $(LOAD) ## Measure what we claim about speed; writes build/bench.json
	@PYTHONPATH=envoy-image python -m evidence.bench $(ARGS)

.PHONY: soak
soak: $(SETUP) ## Lifetimes, every crash boundary, a fleet, spoiled input, rotations: hours; writes docs/soak.json (ARGS="lifetimes")
	@PYTHONPATH=envoy-image python -m evidence.soak $(ARGS)

.PHONY: meshcert
meshcert: $(VENV) ## The operator's command line (ARGS="plan", ARGS="renew NAME --wait 300"); scripts call .venv/bin/meshcert
	@meshcert $(ARGS) || { $(say-code); }

.PHONY: mesh
mesh: $(VENV) ## Check a mesh file, or print its JSON Schema (ARGS="check my-mesh.yaml", ARGS=schema)
	@meshcert $(ARGS) || { $(say-code); }

.PHONY: synth
synth: $(VENV) $(NODE) ## Write the CloudFormation templates to cdk.out (ARGS="-c mesh=my-mesh.yaml")
	@cdk synth --quiet $(ARGS)

.PHONY: diff
diff: $(VENV) $(NODE) ## Say in words what a deploy would do to the mesh that runs: nothing, new tasks, a replacement (ARGS="-c mesh=my-mesh.yaml")
	@cdk synth --quiet $(ARGS)
	@python -m tools.deploy_diff $(if $(CELL),--cell $(CELL))

.PHONY: deploy
deploy: $(VENV) $(NODE) ## Deploy to the AWS account of your current credentials (ARGS="-c mesh=my-mesh.yaml"); wants the digests of make pin-images
	@python -m tools.pin_images --check
	@python -m tools.first_deploy cdk deploy --all $(ARGS)

.PHONY: deploy-cell
deploy-cell: $(VENV) $(NODE) ## Deploy one cell of a mesh over several accounts, with that account's credentials, and say what comes next (CELL=NAME, MESH=FILE)
	@python -m tools.pin_images --check
	@python -m tools.deploy_cell $(CELL) $(if $(MESH),--mesh $(MESH)) $(ARGS)

.PHONY: cdk
cdk: $(VENV) $(NODE) ## Run any other command of the pinned CDK CLI (ARGS="destroy NAME-services")
	@cdk $(ARGS)

.PHONY: verify-aws
verify-aws: $(VENV) ## After a deploy: confirm, read-only, what only AWS can tell (ARGS="--json")
	@python -m tools.verify_aws $(ARGS)

.PHONY: trial
trial: $(VENV) $(NODE) ## The first hour on AWS: the smallest mesh deployed, judged, renewed and removed; says the price and asks first
	@[[ "$(ARGS)" == *--tear-down* || "$(ARGS)" == *--help* ]] || python -m tools.pin_images --check
	@python -m tools.trial $(ARGS)

.PHONY: pin-images
pin-images: $(VENV) ## Write the digests of the base images into the Dockerfiles, as their registry names them
	@python -m tools.pin_images $(ARGS)

.PHONY: lock
lock: $(VENV) ## Write the lock files anew after a change of requirements or constraints
	@$(PYTHON) -m venv build/venv-lock
	@build/venv-lock/bin/python -m pip install $(PIP_FLAGS) $(LOCKED) -r tools/supply_chain/requirements.lock
	@python -m tools.supply_chain.lock
	@cd local && npm install --package-lock-only --no-audit --no-fund --loglevel=error
	@cd local/browser && npm install --package-lock-only --no-audit --no-fund --loglevel=error
	@cd local/load && npm install --package-lock-only --no-audit --no-fund --loglevel=error

.PHONY: sbom
sbom: $(VENV) ## List what the image and the functions hold, as CycloneDX in build/sbom
	@python -m tools.supply_chain.sbom

.PHONY: audit
audit: $(VENV) ## Compare every pin with the advisories that are known; says what it could not ask
	@python -m tools.supply_chain.audit || { $(say-code); }

.PHONY: rooms
rooms: $(VENV) ## Draw the picture in docs/architecture.md from the imports, and print it
	@python -m tools.rooms

.PHONY: clean
clean: ## Remove everything the build made
	@rm -rf .venv build cdk.out .mypy_cache .ruff_cache .pytest_cache
