# Everything runs in .venv, which `make setup` builds from the locked requirements.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup setup-all check fix test test-all soak campaign fuzz docs bench bench-pairs sbom lock

$(BIN)/pytest: requirements/test.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/test.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

setup: $(BIN)/pytest

$(BIN)/playwright: $(BIN)/pytest requirements/test-all.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/test-all.txt
	touch $@

setup-all: $(BIN)/playwright

check: setup  ## format, lint, types, floors, the ordinary tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto

fix: setup  ## what the tools can mend by themselves
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## the ordinary tests (README's second command): minutes, with nothing but Python
	$(BIN)/pytest -n auto

test-all: setup-all  ## the ordinary tests and the long ones; those whose tools are missing skip
	$(BIN)/pytest -n auto -m "long or not long"

soak: setup  ## kill -9 at many moments, and at every call that makes something durable (some hours)
	TEST_TCIAD_CRASHES=$(or $(CRASHES),60) TEST_TCIAD_CRASH_POINTS=100000 $(BIN)/pytest -n auto tests/acceptance/test_crash.py tests/acceptance/test_crash_points.py tests/acceptance/test_relayout.py tests/acceptance/test_change_points.py

campaign: setup  ## ITERATIONS (500) random lives of a library, the first of them by SEED (1); about an hour
	$(BIN)/python -m tests.campaign --iterations $(or $(ITERATIONS),500) --seed $(or $(SEED),1) --keep build/campaign

docs: setup-all  ## the documents and the Python API as pages, in build/docs
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs build/docs

$(VENV)-fuzz/ready: requirements/fuzz.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)-fuzz
	$(VENV)-fuzz/bin/pip install --quiet --require-hashes -r requirements/fuzz.txt
	$(VENV)-fuzz/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

fuzz: $(VENV)-fuzz/ready  ## feed ZIP reader, DICOM scanner, wire decoders and manifest parser, SECONDS each (60)
	for target in zip dicom catalogue manifest; do $(VENV)-fuzz/bin/python -m tests.fuzz $$target $(or $(SECONDS),60) || exit 1; done

$(VENV)-bench/ready: requirements/bench.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --quiet --require-hashes -r requirements/bench.txt
	$(VENV)-bench/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

bench: $(VENV)-bench/ready  ## measure beside the peers (half an hour, 20 GB) and write docs/performance.md
	$(VENV)-bench/bin/python -m benchmarks --report docs/performance.md

bench-pairs: $(VENV)-bench/ready  ## measure this checkout beside another one, AGAINST=folder, in turns: what a change costs
	$(VENV)-bench/bin/python -m benchmarks $(or $(CORPORA),normal tiny huge) --against $(AGAINST) --rounds $(or $(ROUNDS),7)

sbom:  ## what an installation of the locked requirements consists of, as CycloneDX, in build/sbom.cdx.json
	$(PYTHON) -m venv build/sbom-venv
	build/sbom-venv/bin/pip install --quiet --require-hashes -r requirements/build.txt
	build/sbom-venv/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir build/sbom-wheel .
	rm -rf build/sbom-venv && $(PYTHON) -m venv build/sbom-venv
	build/sbom-venv/bin/pip install --quiet --require-hashes -r requirements/runtime.txt
	build/sbom-venv/bin/pip install --quiet --no-deps --no-index build/sbom-wheel/tciad-*.whl
	build/sbom-venv/bin/pip uninstall --yes --quiet pip setuptools
	build/sbom-venv/bin/python docker/sbom.py requirements/runtime.txt > build/sbom.cdx.json
	rm -rf build/sbom-venv build/sbom-wheel

lock:  ## resolve the newest versions that the bounds allow, with hashes and without addresses
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet uv
	$(VENV)-lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --output-file requirements/runtime.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --extra test-all --constraint requirements/runtime.txt --output-file requirements/test-all.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --extra test --constraint requirements/test-all.txt --output-file requirements/test.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --extra bench --constraint requirements/runtime.txt --output-file requirements/bench.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --extra fuzz --constraint requirements/runtime.txt --output-file requirements/fuzz.txt pyproject.toml
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --upgrade --constraint requirements/test.txt --output-file requirements/build.txt requirements/build.in
