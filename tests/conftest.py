"""Fixtures and rules for all tests: what is skipped, what is required, what is shared."""

from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from one_registry import share_registry
from running import cli
from sample_list import Sample
from warm_readers import warm

from prelu_tools.backends.files import isolated
from prelu_tools.backends.llvm import load_triton_first
from prelu_tools.backends.registry import is_installed
from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.core.errors import PReLUToolsError

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line has it; before PyTorch

isolated.launch = warm

pytest_plugins = ["required_markers"]

_NEEDS = {
    "torch": ("torch", "onnxscript", "safetensors"),
    "keras": ("tensorflow", "keras", "tf2onnx"),
    "real_models": ("joblib", "lz4"),
    "runtimes": ("ai_edge_litert", "ncnn", "pnnx", "openvino", "MNN"),
    "tensorboard": ("tensorboard",),
    "lightning": ("pytorch_lightning",),
    "wandb": ("wandb",),
    "web": (),
}
_ON_REQUEST = ("docs", "kill", "matrix", "onnx_suite")
"""Markers of tests that run only where `-m` names them: each has a make target of its own."""
_MANY = 100
"""Files with as many tests, and the tests of a framework, come before all other files."""
_DISTRIBUTIONS = {"real_models": ("facenet-pytorch", "mtcnn")}

Exports = Callable[[Sample], Path]


def _missing_packages(marker: str) -> list[str]:
    if marker == "web":
        try:
            installed("for these tests")
        except PReLUToolsError:
            return ["onnxruntime-web, or node"]
    modules = [name for name in _NEEDS[marker] if not is_installed(name)]
    wanted = _DISTRIBUTIONS.get(marker, ())
    known = {found.name for found in metadata.distributions()} if wanted else set()
    return modules + [name for name in wanted if name not in known]


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of pytest-xdist share the processor, and frameworks a process."""
    load_triton_first()  # tests import TensorFlow themselves
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Do not look for garbage in what the imports made: a million objects that all stay.

    Nor as often as usual in models and graphs: it took a tenth of the time of some tests.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(10_000, 20, 20)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests named after a framework stay in one worker, so that each imports one framework.

    Of other files those with few tests come first: most of these take seconds. So the workers end
    together.
    """
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByFramework(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            named = (framework for framework in ("keras", "torch") if framework in nodeid)
            return next(named, nodeid.partition("::")[0])

        def _assign_work_unit(self, node: Any) -> None:
            def rank(scope: str) -> tuple[bool, int]:
                count = len(self.workqueue[scope])
                return (count < _MANY, count if count < _MANY else -count)

            self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
            super()._assign_work_unit(node)

    return ByFramework(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that run on request, and skip those whose packages are missing."""
    unasked = {marker for marker in _ON_REQUEST if marker not in config.option.markexpr}
    left = [item for item in items if unasked & {mark.name for mark in item.iter_markers()}]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
    for marker in _NEEDS:
        missing = _missing_packages(marker)
        if not missing:
            if marker == "torch" and any(item.get_closest_marker(marker) for item in items):
                share_registry()
            continue
        reason = f"{marker}: {', '.join(missing)} is not installed"
        for item in (item for item in items if item.get_closest_marker(marker)):
            item.add_marker(pytest.mark.skip(reason=reason))


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def nets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nets that a module of tests writes in `_NETS`, as a Python file."""
    path = tmp_path_factory.mktemp("nets") / f"nets_of_{request.module.__name__}.py"
    path.write_text(request.module._NETS)
    return path


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """The ONNX file of a sample: exported and verified once, for all tests and workers.

    Beside it is what `export` said, `NAME.onnx.json`.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # a worker's own folder is one below
    folder = base / "exports"
    folder.mkdir(exist_ok=True)

    def exported(sample: Sample) -> Path:
        path = folder / f"{sample.key}.onnx"
        with _only_one(folder / f"{sample.key}.lock"):
            if not path.exists():
                outcome = cli(
                    "export", sample.source, "-o", path, "-q", "--report", f"json={path}.json"
                )
                assert outcome.code == 0, outcome.err
        return path

    return exported
