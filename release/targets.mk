# What belongs to a release: kills, other versions of everything, the wheel.

KILLS ?= 100
VERSION ?= 1.26.0
EXTRAS ?= all
PIP_IN = $(1)/bin/python -m pip --disable-pip-version-check -q

.PHONY: test-kill test-python test-matrix-python test-oldest test-newest test-onnxruntime \
  dist check-dist audit release-check

test-kill: $(READY)
	@PRELU_KILLS=$(KILLS) PRELU_REQUIRED_MARKERS="kill" $(BIN)/python -m pytest -q -s -m kill tests/faults

# The tests that meet the frameworks and onnxruntime where versions differ: a part of make test.
COMPATIBILITY := tests/core tests/graph tests/cli tests/reports \
  tests/commands/export/test_export_onnx.py tests/commands/optimize/test_optimize_command.py \
  tests/commands/verify/layers/test_slope_tampering.py tests/commands/verify/layers/test_verify_special.py \
  tests/commands/export/test_export_torch_files.py tests/commands/export/test_export_torch_result.py \
  tests/commands/export/test_export_keras_files.py tests/commands/export/test_export_keras_sources.py \
  tests/backends/torch/files/test_torch_program.py \
  tests/backends/torch/conversion/test_torch_conversion.py \
  tests/backends/keras/test_keras_conversion.py tests/backends/onnxruntime/test_onnxruntime_runner.py
COMPATIBLE = $(1)/bin/python -m pytest -q -n 2 -m "not browser and not real_models" $(COMPATIBILITY)

# Another Python, with the versions of the lock: make test-python PYTHON=python3.13 EXTRAS=keras;
# TensorFlow has no build for 3.14: EXTRAS=torch there; EXTRAS= is no framework.
PYTHON_ENV := .venv-$(notdir $(PYTHON))
test-python:
	@test -e $(PYTHON_ENV)/.ready || { rm -rf $(PYTHON_ENV) && $(PYTHON) -m venv $(PYTHON_ENV) && \
	  $(call PIP_IN,$(PYTHON_ENV)) install -c $(LOCK) -r requirements/compat.in -e '.$(if $(EXTRAS),[$(EXTRAS)])' && \
	  touch $(PYTHON_ENV)/.ready; }
	@$(call COMPATIBLE,$(PYTHON_ENV))

test-matrix-python:
	@ran=; for python in python3.11 python3.12 python3.13 python3.14; do \
	  extras=$(EXTRAS); test $$python != python3.14 || extras=torch; \
	  if $$python -c '' 2>/dev/null; then ran="$$ran $$python"; \
	    $(MAKE) test-python PYTHON=$$python EXTRAS=$$extras || exit 1; \
	  else echo "$$python is not here"; fi; done; \
	echo "tested on:$$ran"; test -n "$$ran"

.venv-oldest/.ready .venv-newest/.ready: .venv-%/.ready: requirements/%.txt requirements/compat.in pyproject.toml
	@rm -rf .venv-$*
	@$(PYTHON) -m venv .venv-$*
	@$(call PIP_IN,.venv-$*) install -c requirements/$*.txt -r requirements/compat.in -e '.$(if $(EXTRAS),[$(EXTRAS)])'
	@touch $@

test-oldest test-newest: test-%: .venv-%/.ready
	@$(call COMPATIBLE,.venv-$*)

# One onnxruntime, and no framework.
.venv-onnxruntime-%/.ready: requirements/compat.in pyproject.toml
	@rm -rf .venv-onnxruntime-$*
	@$(PYTHON) -m venv .venv-onnxruntime-$*
	@$(call PIP_IN,.venv-onnxruntime-$*) install -r requirements/compat.in onnxruntime==$* -e .
	@touch $@

test-onnxruntime: .venv-onnxruntime-$(VERSION)/.ready
	@$(call COMPATIBLE,.venv-onnxruntime-$(VERSION))

.venv-dist/.ready: requirements/dist.txt
	@rm -rf .venv-dist
	@$(PYTHON) -m venv .venv-dist
	@$(call PIP_IN,.venv-dist) install -r requirements/dist.txt
	@touch $@

dist: .venv-dist/.ready
	@.venv-dist/bin/python release/build_dist.py dist

audit: .venv-dist/.ready
	@.venv-dist/bin/python release/audit.py $(LOCK)

# The wheel alone, with nothing but what it asks for, in a new environment.
check-dist: dist
	@.venv-dist/bin/twine check --strict dist/*
	@.venv-dist/bin/python release/check_same.py dist
	@rm -rf build/wheel && $(PYTHON) -m venv build/wheel
	@$(call PIP_IN,build/wheel) install dist/*.whl
	@cd build && wheel/bin/python ../release/check_wheel.py

# All that a release needs, up to the upload: docs/releasing.md.
release-check: $(READY)
	@$(MAKE) lint
	@$(MAKE) test-all
	@$(MAKE) docs check-dist
	@.venv-dist/bin/python release/ready.py dist $(LOCK)
