# A4NN: `make demo` and `make test` each do all set-up that is still to be done. Needs Python 3.11+, a C++ compiler.
PYTHON ?= python3
WORKERS ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.a4nn
# what the installed package is made of; the list itself is remembered, so that a deleted file counts too
SOURCES := $(shell find a4nn_core flows cpp -type f -not -name '*.pyc' -not -path '*/__pycache__/*') CMakeLists.txt pyproject.toml README.md

CPP := $(shell find cpp benchmarks -name '*.hpp' -o -name '*.cpp')

# A file's tests share what is made for them, so a file is one worker's; the long ones come first (tests/conftest.py).
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test check lint install clean help
help:
	@echo "make demo     set up, then search networks on simulated protein diffraction (two to five minutes)"
	@echo "make test     set up, then run all tests against the installed package (about twenty-five minutes)"
	@echo "make check    style, types and the quick tests: for every day (about a minute)"
	@echo "make lint     style and types"
	@echo "make install  set up only"
	@echo "make clean    remove what was built and installed"

demo: install
	$(BIN)/a4nn run quick

test: install $(STAMPS)/test
	$(PYTEST)

check: lint $(STAMPS)/test
	$(PYTEST) -m "not slow and not integration"

lint: install $(STAMPS)/lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(CPP)
	$(BIN)/mypy
	$(BIN)/python tools/report.py

install: $(STAMPS)/package

# Dependencies first and apart from the package: they change rarely, the package with every edit. A torch that
# is installed already and new enough is used as it is.
$(STAMPS)/dependencies: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "A4NN needs Python 3.11 or newer, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python tools/requirements.py > $(VENV)/requirements.txt
	$(BIN)/python -m pip install --quiet --progress-bar off -r $(VENV)/requirements.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/package: $(STAMPS)/dependencies $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
	@touch $@

$(STAMPS)/test: $(STAMPS)/dependencies
	$(BIN)/python tools/requirements.py test > $(VENV)/requirements-test.txt
	$(BIN)/python -m pip install --quiet --progress-bar off -r $(VENV)/requirements-test.txt
	@# its reader of stored histories is what is tested, which needs none of xgboost, NCCL and the rest
	$(BIN)/python -m pip install --quiet --progress-bar off --no-deps "syne-tune>=0.16"
	@touch $@

$(STAMPS)/lint: $(STAMPS)/dependencies
	$(BIN)/python tools/requirements.py lint > $(VENV)/requirements-lint.txt
	$(BIN)/python -m pip install --quiet --progress-bar off -r $(VENV)/requirements-lint.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist
