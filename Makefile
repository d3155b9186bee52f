# Thin names for what the project does; every target sets .venv up first where it needs it. ARGS goes to the program.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup run serve test test-flink test-dataflow check kubeflow doctor bench lock clean

BIN := .venv/bin
FLINK ?= runs/flink
PYTEST := $(BIN)/python -m pytest
BENCHMARKS := training pipeline time_to_accuracy serving kubeflow doctor bulk
TWO_FILES := -n 2 --dist loadfile --no-loadscope-reorder
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile pyproject.toml --quiet \
	--python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes --no-emit-index-url
GPU := --extra gpu --overrides requirements/gpu-overrides.txt

help:  ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' Makefile
	@echo 'For example: make run ARGS="--profile smoke", make test ARGS="-k registry"'

setup:  ## Make .venv with all that is needed (EXTRA=gpu adds CUDA, EXTRA=cpu goes back)
	@bash setup.sh

run: setup  ## Train, compare and publish the models
	@$(BIN)/mnist-tfx run $(ARGS)

serve: setup  ## Answer over REST with the model that was pushed, and show the page for drawing
	@$(BIN)/mnist-tfx serve $(ARGS)

# Two files at a time, in the order of collection. ARGS="-n 0" has them in one process.
# Pytest leaves with 5 where nothing was selected, as one tier may be under ARGS; both together may not.
test: setup  ## Run the quick tests, then, if they pass, the slow ones
	@SECONDS=0; $(PYTEST) -m "not slow" $(TWO_FILES) $(ARGS); code=$$?; \
	if [ $$code -eq 0 ] || [ $$code -eq 5 ]; then \
		$(PYTEST) -m slow $(TWO_FILES) $(ARGS); slow=$$?; [ $$slow -eq 5 ] || code=$$slow; \
	fi; \
	echo "make test: $$SECONDS s in all"; exit $$code

# The cluster of the tests has ports and logs of its own; what was fetched once is in FLINK.
test-flink: setup  ## Run smoke on a Flink cluster of several processes (needs Java 11 to 17, Maven)
	@$(BIN)/python -m pipeline.flink fetch --folder $(FLINK)
	@FLINK_FOLDER=$(FLINK) $(PYTEST) tests/flink/on_flink.py -v $(ARGS)

test-dataflow: setup  ## Build Dataflow's jobs from the graph, without a cloud
	@$(PYTEST) tests/flink/on_dataflow.py -v $(ARGS)

check: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

kubeflow: setup  ## Compile the graph for Kubeflow Pipelines into kubeflow/mnist.yaml
	@$(BIN)/mnist-tfx kubeflow compile $(ARGS)

doctor: setup  ## Look for what is wrong with this machine or installation
	@$(BIN)/mnist-tfx doctor $(ARGS)

bench: setup  ## Measure what the README quotes (BENCHMARKS=training for one of them)
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py $(ARGS) || exit; done

# The locks of the container image have the versions of the full ones, without what the dev extra brings.
lock:  ## Write the locks again from pyproject.toml (ARGS=--upgrade for newer versions)
	@[ -x $(BIN)/uv ] || bash setup.sh
	$(COMPILE) $(ARGS) --extra dev -o requirements/cpu.txt
	$(COMPILE) $(ARGS) --extra dev $(GPU) -o requirements/gpu.txt
	$(COMPILE) --constraints requirements/cpu.txt -o requirements/image-cpu.txt
	$(COMPILE) $(GPU) --constraints requirements/gpu.txt -o requirements/image-gpu.txt

clean:  ## Remove caches and build leftovers; .venv and runs stay
	rm -rf build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
