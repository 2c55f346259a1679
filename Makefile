# Everything here builds .venv first; it needs python3 (with venv) and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements/lock.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: help demo docs test test-all test-browser pictures test-cuda test-dask test-docs test-matrix test-onnx test-openvino \
  test-properties test-runtimes test-wandb runtimes mutants fuzz fuzz-files bench bench-attacks bench-exporters bench-fleet \
  bench-bound bench-honest bench-int8 bench-openvino bench-training bench-web schema web test-web web-pictures webgpu-operators \
  site test-first-steps lint lock clean

help:
	@echo "make demo   export, verify and inspect real models; results in build/demo/"
	@echo "make test   run the tests"
	@echo "make lint   ruff and mypy"
	@echo "make web    the page that verifies models in the browser, in build/web"
	@echo "make docs   the site, in build/site; warnings are errors; make site serves it"
	@echo
	@echo "More tests; make test runs some of each:"
	@echo "  test-all         everything that needs no separate environment"
	@echo "  test-browser     the HTML page of inspect in a headless Chromium"
	@echo "  pictures         pictures of every page and plot: light, dark, narrow, printed; in build/pictures"
	@echo "  web-pictures     the same of the page of docs/web, and the picture in docs/howto/web.md"
	@echo "  test-dask        batches on Dask clusters, with real schedulers and workers"
	@echo "  test-docs        every command in the docs"
	@echo "  test-first-steps what a new user types, on an installed wheel, and how long it takes"
	@echo "  test-matrix      exports of every combination of layer type, slope sharing, rank, form, opset and dtype"
	@echo "  test-onnx        read every model of onnx's own tests, at every opset"
	@echo "  test-cuda        every sample on CUDA, in a separate environment; needs a GPU"
	@echo "  test-openvino    the OpenVINO provider, in a separate environment"
	@echo "  test-runtimes    ncnn, MNN, OpenVINO, LiteRT and onnxruntime-web run the models, in a separate environment"
	@echo "  test-web         onnxruntime-web in node, and the page of docs/web in a browser"
	@echo "  test-wandb       a training run logged to W&B, offline, in a separate environment"
	@echo "  test-properties  5,000 random nets, compared with numpy (GRAPHS=, SEED=)"
	@echo "  test-kill        kill -9 at random moments of export, optimize and reports (KILLS=100)"
	@echo "  fuzz-files       inspect, export and verify on 20,000 broken files (COUNT=, GENERATOR=structures, models, saved)"
	@echo "  fuzz             coverage-guided fuzzing of the ONNX reader (FUZZ_SECONDS=)"
	@echo "  mutants          mutation tests of the verification code (MODULE=)"
	@echo
	@echo "Other versions, and releases:"
	@echo "  test-oldest, test-newest   the oldest and the newest version of everything"
	@echo "  test-onnxruntime VERSION=1.26.0   one onnxruntime, without a framework"
	@echo "  test-python PYTHON=python3.13 [EXTRAS=keras]; test-matrix-python: every installed Python"
	@echo "  dist         the sdist and the wheel, in dist/"
	@echo "  check-dist   reproducible builds, twine check, the wheel without any extra"
	@echo "  release-check   everything before the upload of a release (docs/releasing.md)"
	@echo "  audit        known vulnerabilities of the locked packages (pip-audit; needs its service)"
	@echo
	@echo "Speed, compared with other tools:"
	@echo "  bench             PReLU's latency on two versions of onnxruntime (QUICK=1 to try)"
	@echo "  bench-bound       where the time goes in the files that bench made: docs/performance.md"
	@echo "  bench-exporters   the same models through the raw exporters and through export"
	@echo "  bench-fleet       many small models: in one process, in two, on Dask, and one command each"
	@echo "  bench-int8        int8 speed of PReLU in integers, of plain quantization, and of the same net with ReLU (QUICK=1, NETS=rnet)"
	@echo "  bench-training    the cost of logging slopes, per training step"
	@echo "  runtimes          which slope shapes runtimes read correctly: docs/runtimes.md"
	@echo "  webgpu-operators  which operators have a WebGPU kernel in onnxruntime-web"
	@echo "  bench-web         the cost of each form of PReLU in WebAssembly"
	@echo "  bench-openvino    speed of PRelu nodes, and of the forms that optimize writes for the CPU, on OpenVINO's provider"
	@echo
	@echo "Verdicts of verify on realistic nets (NETS=torch/IResNet,... QUICK=1 to try):"
	@echo "  bench-honest      correct files of 110 nets, from every exporter: no false alarm (SEEDS=3)"
	@echo "  bench-attacks     twenty faults in each of them: at least 99% caught"
	@echo
	@echo "schema: update the schema of prelu-tools.toml; lock: update $(LOCK); clean: remove .venv* and build"

$(READY): $(LOCK) requirements/real-models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else \
	"Python %d.%d found, 3.11 to 3.13 expected (TensorFlow has no build for 3.14): make PYTHON=python3.12" % v[:2])'
	@echo "Setting up $(VENV) (TensorFlow and PyTorch: a few minutes)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -r $(LOCK)
	@$(PIP) install --no-deps -r requirements/real-models.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)
	@$(BIN)/python samples/demo.py build/demo

test: $(READY)
	@PRELU_REQUIRED_MARKERS="torch keras real_models dask tensorboard lightning" $(BIN)/python -m pytest -q -n 2 \
	  -m "not (dask and slow) and not thorough"

# All that needs no other environment than .venv; test-browser where chromium is here.
test-all: $(READY)
	@PRELU_REQUIRED_MARKERS="torch keras real_models dask tensorboard lightning thorough" $(BIN)/python -m pytest -q -n 2
	@$(MAKE) test-docs test-matrix test-onnx test-properties test-kill test-first-steps
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then \
	  $(MAKE) test-browser; else echo "no chromium here: test-browser was left out"; fi

test-browser: $(READY)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  echo "chromium or chromedriver is missing: apt-get install chromium chromium-driver"; exit 1; }
	@PRELU_REQUIRED_MARKERS="browser" $(BIN)/python -m pytest -q -m browser

# What a new user types, on a wheel that is installed outside this folder.
test-first-steps: $(READY)
	@$(BIN)/python tests/first_steps/run.py

pictures: $(READY)
	@$(BIN)/python tests/reports/pictures.py build/pictures

test-dask: $(READY)
	@PRELU_REQUIRED_MARKERS="dask" $(BIN)/python -m pytest -q -m dask tests/batch

test-matrix: $(READY)
	@PRELU_REQUIRED_MARKERS="matrix torch keras" $(BIN)/python -m pytest -q -n 2 -m matrix tests/matrix

test-onnx: $(READY)
	@$(BIN)/python -m pytest -q -m onnx_suite tests/specification

GRAPHS ?= 5000
SEED ?= 0
test-properties: $(READY)
	@PRELU_GRAPHS=$(GRAPHS) PRELU_SEED=$(SEED) $(BIN)/python -m pytest -q -n 2 --dist worksteal \
	  tests/properties

# An environment of its own, with the package in it; FURTHER are more packages.
FURTHER =
define OWN_ENVIRONMENT
@rm -rf $(@D)
@$(PYTHON) -m venv $(@D)
@$(@D)/bin/python -m pip --disable-pip-version-check -q install -r $< $(FURTHER)
@$(@D)/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
@touch $@
endef

.venv-mutation/.ready .venv-openvino/.ready .venv-cuda/.ready .venv-docs/.ready: \
  .venv-%/.ready: requirements/%.txt pyproject.toml
	$(OWN_ENVIRONMENT)

# The packages of .venv are seen from another environment too.
define WITH_BASE
@$(BIN)/python -c "import sysconfig; print('import site; site.addsitedir(%r)' % \
  sysconfig.get_path('purelib'))" > \
  "$$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/base.pth"
endef

# Runtimes beside the packages of .venv; or two optimizers.
.venv-runtimes/.ready .venv-honest/.ready: .venv-%/.ready: requirements/%.txt | $(READY)
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	@$(@D)/bin/python -m pip --disable-pip-version-check -q install --no-deps -r $<
	$(WITH_BASE)
	@touch $@

# W&B takes what it needs from .venv.
.venv-wandb/.ready: requirements/wandb.txt | $(READY)
	@rm -rf $(@D)
	@$(BIN)/python -m venv $(@D)
	$(WITH_BASE)
	@$(@D)/bin/python -m pip --disable-pip-version-check -q install -r $<
	@touch $@

mutants: .venv-mutation/.ready
	@.venv-mutation/bin/python tests/mutation/run.py $(MODULE) $(MUTANT_OPTIONS)

test-openvino: .venv-openvino/.ready
	@PRELU_REQUIRED_MARKERS="openvino" .venv-openvino/bin/python -m pytest -q -m openvino \
	  tests/backends/onnxruntime/test_openvino.py

# What onnxruntime-web needs from npm, in the locked versions; no script of a package is run.
NPM := PRELU_TOOLS_ONNXRUNTIME_WEB="$(CURDIR)/build/npm"
build/npm/.ready: requirements/npm/package-lock.json
	@rm -rf build/npm && mkdir -p build/npm && cp requirements/npm/package*.json build/npm
	@npm ci --prefix build/npm --ignore-scripts --no-audit --no-fund --silent
	@touch $@

runtimes: .venv-runtimes/.ready build/npm/.ready
	@$(NPM) .venv-runtimes/bin/python -m benchmarks.runtimes.run $(if $(AGAIN),--again)

# The page that verifies models in the browser, with the files of onnxruntime-web that it needs.
ORT_FILES := ort.wasm.min.mjs ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm \
  ort.webgpu.min.mjs ort-wasm-simd-threaded.asyncify.mjs ort-wasm-simd-threaded.asyncify.wasm
build/web/.ready: build/npm/.ready $(wildcard docs/web/*)
	@rm -rf build/web && mkdir -p build/web/ort && cp docs/web/* build/web
	@cd build/npm/node_modules/onnxruntime-web && \
	  cp $(addprefix dist/,$(ORT_FILES)) package.json "$(CURDIR)/build/web/ort"
	@touch $@

web: build/web/.ready
	@echo "build/web: python3 -m http.server --bind 127.0.0.1 --directory build/web 8001"

test-web: $(READY) build/npm/.ready build/web/.ready
	@$(NPM) PRELU_REQUIRED_MARKERS="web browser" $(BIN)/python -m pytest -q -m web \
	  tests/backends/runtimes/onnxruntime_web tests/backends/test_registry.py tests/web

# The picture in docs/howto/web.md, drawn again; others for a look in build/pictures.
web-pictures: $(READY) build/web/.ready
	@$(BIN)/python tests/web/pictures.py docs/howto/web.png build/pictures

# Needs chromium with WebGPU (in software), chromedriver and selenium; takes some ten minutes.
webgpu-operators: $(READY) build/web/.ready
	@$(BIN)/python -m benchmarks.web.operators build/web

bench-web: $(READY) build/npm/.ready
	@$(NPM) $(BIN)/python -m benchmarks.web --page docs/performance.md $(BENCH_OPTIONS)

test-runtimes: .venv-runtimes/.ready build/npm/.ready
	@$(NPM) PRELU_REQUIRED_MARKERS="runtimes" .venv-runtimes/bin/python -m pytest -q -m runtimes \
	  tests/runtimes tests/backends
	@.venv-runtimes/bin/python -m pytest -q tests/backends/runtimes/litert

test-wandb: .venv-wandb/.ready
	@PRELU_REQUIRED_MARKERS="wandb" .venv-wandb/bin/python -m pytest -q -m wandb tests/training

# The samples are exported and recorded here; what runs on the GPU needs neither framework. Without
# a GPU it stops before it installs anything (3).
test-cuda:
	@command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null || { \
	  echo "no CUDA here: nvidia-smi names no GPU; nothing was checked"; exit 3; }
	@$(MAKE) $(READY) .venv-cuda/.ready
	@$(BIN)/python -m benchmarks.cuda prepare build/cuda
	@.venv-cuda/bin/python -m benchmarks.cuda check build/cuda

test-docs: $(READY)
	@PRELU_REQUIRED_MARKERS="docs" $(BIN)/python -m pytest -q -n 2 -m docs tests/docs

# With --quiet, mkdocs counts no warning: --strict would not see it.
docs: .venv-docs/.ready
	@mkdir -p build; NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build >build/docs.log 2>&1 || \
	  { grep -v "^INFO" build/docs.log; exit 1; }
	@echo "build/site/index.html (make site serves it, with search)"

site: docs
	@echo "http://127.0.0.1:8000 (Ctrl-C ends it)"
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/site 8000

# What was done is kept in build/fuzz: the same command goes on where it was stopped.
START ?= 0
COUNT ?= 20000
JOBS ?= 1
GENERATOR ?= mutations
fuzz-files: $(READY)
	@$(BIN)/python -m fuzz.files --generator $(GENERATOR) --start $(START) --count $(COUNT) --jobs $(JOBS)

.venv-fuzz/.ready: requirements/fuzz.txt
	@rm -rf .venv-fuzz
	@$(PYTHON) -m venv .venv-fuzz
	@.venv-fuzz/bin/python -m pip --disable-pip-version-check -q install -r requirements/fuzz.txt
	@touch $@

FUZZ_SECONDS ?= 600
fuzz: .venv-fuzz/.ready
	@.venv-fuzz/bin/python -m fuzz.coverage --seconds $(FUZZ_SECONDS)

# One environment for each onnxruntime that is measured: the locked one, and the last before PRelu's
# kernel became slow.
ORT_NOW := $(shell sed -n 's/^onnxruntime==//p' $(LOCK))
ORT_BEFORE := 1.26.0
BENCH_OUT := $(if $(QUICK),build/bench/quick,docs/latency)

.venv-bench-%/.ready: FURTHER = onnxruntime==$*
.venv-bench-%/.ready: requirements/bench.txt pyproject.toml
	$(OWN_ENVIRONMENT)

build/bench/batch-%/.ready: $(wildcard benchmarks/nets/*.py) | $(READY)
	@$(BIN)/python -m benchmarks.nets.write build/bench/batch-$* --batch $*
	@touch $@

bench: $(READY) .venv-bench-$(ORT_NOW)/.ready .venv-bench-$(ORT_BEFORE)/.ready \
  build/bench/batch-1/.ready build/bench/batch-8/.ready
	@.venv-bench-$(ORT_NOW)/bin/python -m benchmarks.latency.run build/bench \
	  --output $(BENCH_OUT) $(if $(QUICK),--quick) $(BENCH_OPTIONS)
	@.venv-bench-$(ORT_BEFORE)/bin/python -m benchmarks.latency.run build/bench \
	  --output $(BENCH_OUT) $(if $(QUICK),--quick,--short) $(BENCH_OPTIONS)
	@rm -f $(filter-out %-$(ORT_NOW).json %-$(ORT_BEFORE).json,$(wildcard $(BENCH_OUT)/onnxruntime-*.json))
	@$(BIN)/python -m benchmarks.latency.report $(BENCH_OUT)
	@$(if $(QUICK),,$(MAKE) --no-print-directory bench-bound)

# Where the time goes, of the files that `make bench` made.
bench-bound: .venv-bench-$(ORT_NOW)/.ready
	@.venv-bench-$(ORT_NOW)/bin/python -m benchmarks.latency.kernels build/bench \
	  pnet onet iresnet50 fsrcnn --page docs/performance.md
	@.venv-bench-$(ORT_NOW)/bin/python -m benchmarks.latency.bound build/bench --page docs/performance.md
	@.venv-bench-$(ORT_NOW)/bin/python -m benchmarks.prelu_kernel --page docs/performance.md

INT8_PAGE := $(if $(QUICK)$(NETS),,--page docs/howto/int8.md)
bench-int8: $(READY)
	@mkdir -p build/int8
	@$(BIN)/python -m benchmarks.int8.run build/int8 $(NETS) --seconds $(if $(QUICK),2,8) \
	  --output $(if $(QUICK),build/int8/int8.json,docs/int8.json) $(INT8_PAGE)
	@$(if $(NETS),,$(BIN)/python -m benchmarks.int8.trained build/int8 $(INT8_PAGE))

bench-training: $(READY)
	@$(BIN)/python -m benchmarks.training --rounds $(if $(QUICK),5,15)

bench-openvino: $(READY) .venv-openvino/.ready build/bench/batch-1/.ready
	@$(BIN)/prelu-tools optimize build/bench/batch-1/mobilefacenet.onnx --no-tune --force -q \
	  -o build/bench/mobilefacenet.fast.onnx
	@.venv-openvino/bin/python -m benchmarks.openvino build/bench/batch-1/mobilefacenet.onnx \
	  build/bench/mobilefacenet.fast.onnx

FLEET := $(BIN)/python -m benchmarks.fleet.run build/fleet --output $(if $(QUICK),build/fleet/fleet.json,docs/fleet.json)

bench-fleet: $(READY)
	@$(FLEET) --models $(if $(QUICK),20,500)
	@$(FLEET) --models $(if $(QUICK),10,50) --ways one,two,dask
	@$(FLEET) --models $(if $(QUICK),40,5000) --ways one,two,dask
	@$(FLEET) --models $(if $(QUICK),10,500) --command verify
	@$(BIN)/python -m benchmarks.fleet.report $(if $(QUICK),build/fleet/fleet.json,docs/fleet.json)

HONEST_PAGE = $(if $(QUICK)$(NETS)$(SEEDS),build/honest/$@.md,docs/honest.md)
HONEST := --jobs 2 $(if $(QUICK),--quick) $(if $(NETS),--nets $(NETS))

bench-honest: .venv-honest/.ready
	@.venv-honest/bin/python -m benchmarks.honest.run $(HONEST) $(if $(SEEDS),--seeds $(SEEDS)) \
	  --json build/honest/results.json --page $(HONEST_PAGE)

bench-attacks: .venv-honest/.ready
	@.venv-honest/bin/python -m benchmarks.honest.attacks $(HONEST) \
	  --json build/honest/attacks.json --page $(HONEST_PAGE)

bench-exporters: $(READY)
	@$(BIN)/python -m benchmarks.exporters.run build/exporters \
	  $(if $(QUICK),--quick,--output docs/exporters.md)

schema: $(READY)
	@$(BIN)/python -m prelu_tools.batch.lists.schema > build.schema.json
	@mv build.schema.json prelu_tools/prelu-tools.schema.json

include release/targets.mk

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock:
	@rm -rf build/lock
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check -q install -r requirements/dev.in
	@{ echo "# Made by 'make lock' from requirements/dev.in; do not edit."; \
	  build/lock/bin/python -m pip --disable-pip-version-check freeze --exclude-editable --all \
	  | grep -v '^pip==' | sed 's/+cpu$$//'; } > $(LOCK)
	@rm -rf build/lock
	@echo "wrote $(LOCK)"

clean:
	rm -rf $(VENV) .venv-* build dist
