# Everything runs from .venv in this checkout; `make` alone lists the commands.
PYTHON ?= python3
BIN := .venv/bin
# Seconds between two runs of the sandbox's on-prem client; 0: only when somebody runs it.
CLIENT_EVERY ?= 15
PACKAGES := contract lambdas stacks onprem_client site_cli sandbox generate bench tests

# The CDK's runtime warns about Node 20 in eleven lines; the README says which versions work.
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION := 20

.PHONY: help site demo demo-lifecycle demo-fleet test test-long test-windows test-browser check synth sandbox generate bench dist audit mutants lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

demo: .venv/installed ## tell the whole story on an embedded AWS and a stand-in VBR server
	@$(BIN)/python -m sandbox demo

demo-lifecycle: .venv/installed ## tell what happens to a site over the years
	@$(BIN)/python -m sandbox demo-lifecycle

demo-fleet: .venv/installed ## tell the story of 25 accounts: a hub, a StackSet, one account that fails
	@$(BIN)/python -m sandbox demo-fleet

test: .venv/installed .ministack/installed tests/node/node_modules/installed ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not long'

test-long: .venv/installed .ministack/installed tests/node/node_modules/installed ## run the tests that take minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long

test-windows: .venv/installed ## run the client on a real Windows Python, inside wine (installs it; needs root once)
	@$(BIN)/python -m tests.windows test

test-browser: .venv/installed ## press the button in a real browser (installs Debian's Chromium; needs root once)
	@$(BIN)/python -m tests.browser install
	$(BIN)/python -m pytest tests/browser

.PHONY: screenshots
screenshots: .venv/installed ## draw the pictures of docs/images anew, with the same browser
	@$(BIN)/python -m tests.browser screenshots

check: .venv/installed ## lint, types, template
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 onprem_client contract tests/windows bench/in_windows.py
	$(BIN)/mypy packaging/dist.py packaging/bills.py packaging/sbom.py
	$(BIN)/mypy packaging/audit.py
	$(MAKE) --no-print-directory synth
	$(BIN)/cfn-lint cdk.out/*.template.json

synth: .venv/installed ## synthesize the stack into cdk.out, with cdk-nag
	rm -rf cdk.out
	CDK_OUTDIR=cdk.out $(BIN)/python app.py

sandbox: .venv/installed ## keep an embedded AWS and a stand-in VBR server running in .sandbox
	@$(BIN)/python -m sandbox up --state .sandbox --client-every $(CLIENT_EVERY)

generate: .venv/installed ## write what is made from the code: the settings' schemas, pictures
	$(BIN)/python -m generate
	$(BIN)/python -m tests.proofs.documents

site: .venv-docs/installed ## build the documentation as a site, into site
	@NO_MKDOCS_2_WARNING=true .venv-docs/bin/mkdocs build --strict --quiet

bench: .venv/installed .bench/installed ## measure the product against what people would use instead
	@$(BIN)/python -m bench

dist: .venv/installed ## build the client's wheel, and its Windows folder inside wine, into dist
	@PYTHONPATH=. $(BIN)/python packaging/dist.py

audit: .venv/installed .audit/installed ## look for known vulnerabilities of all locked packages (needs the network)
	@$(BIN)/python packaging/audit.py .audit/bin/pip-audit

mutants: .venv/installed .mutants/installed ## plant mistakes into the core and see whether its tests notice (an hour)
	@$(BIN)/python -m tests.mutation .mutants/bin/mutmut $(GROUP)

lock: .venv/installed ## lock the dependencies again after a change of requirements*.in
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements-dev.in \
	  -c requirements.txt -o requirements-dev.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements-uv.in -o requirements-uv.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 \
	  requirements-ministack.in -o requirements-ministack.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 \
	  requirements-bench.in -o requirements-bench.txt
	$(BIN)/uv pip compile -q --generate-hashes --python-platform windows --python-version 3.11 \
	  requirements-windows.in -c requirements-dev.txt -o requirements-windows.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements-docs.in \
	  -o requirements-docs.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements-audit.in \
	  -o requirements-audit.txt
	$(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 requirements-mutants.in \
	  -c requirements-dev.txt -o requirements-mutants.txt

clean: ## remove everything that the other commands made
	rm -rf .venv .venv-docs site .ministack .bench .audit .mutants cdk.out .sandbox .windows dist tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/installed: requirements-dev.txt requirements-uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null || \
	  { echo "Node.js 20 or later is needed: the AWS CDK runs on it"; exit 1; }
	@echo "installing the locked dependencies into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.audit/installed: requirements-audit.txt .venv/installed
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .audit
	@$(BIN)/uv pip install --quiet --python .audit/bin/python --require-hashes -r requirements-audit.txt
	@touch $@

.mutants/installed: requirements-mutants.txt requirements-dev.txt .venv/installed
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .mutants
	@$(BIN)/uv pip install --quiet --python .mutants/bin/python --require-hashes -r requirements-dev.txt -r requirements-mutants.txt
	@touch $@

tests/node/node_modules/installed: tests/node/package-lock.json
	@npm ci --prefix tests/node --ignore-scripts --silent
	@touch $@

.ministack/installed: requirements-ministack.txt .venv/installed
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .ministack
	@$(BIN)/uv pip install --quiet --python .ministack/bin/python --require-hashes -r requirements-ministack.txt
	@touch $@

.venv-docs/installed: .venv/installed requirements-docs.txt
	@$(PYTHON) -m venv .venv-docs
	@$(BIN)/uv pip install --quiet --python .venv-docs/bin/python --require-hashes -r requirements-docs.txt
	@touch $@

.bench/installed: requirements-bench.txt .venv/installed
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .bench
	@$(BIN)/uv pip install --quiet --python .bench/bin/python --require-hashes -r requirements-bench.txt
	@touch $@
