"""What is installed, what works, and what to install."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from prelu_tools.backends.onnxruntime.running.session import PROVIDERS, Session, available_providers
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.registry import RUNTIMES, Row, find_outside
from prelu_tools.core.errors import EXTRAS, MissingToolError, PReLUToolsError, remedy
from prelu_tools.core.results.export import DoctorItem, DoctorResult

_REMOTE = "AzureExecutionProvider"  # in every build; it runs nothing on this machine
_CORE = ("click", "rich", "numpy", "onnx", "onnxruntime")
_INSTEAD = {"pytorch_lightning": "lightning"}
"""A package that is as good as the one that the extra brings."""


def doctor() -> DoctorResult:
    """Import every package, and run one PRelu node on every execution provider."""
    others = [extra for extra in EXTRAS if extra not in {row.extra for row in RUNTIMES}]
    return DoctorResult(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        core=tuple(_package(name, "pip install prelu-tools") for name in _CORE),
        extras=tuple(_of_extra(name, extra) for extra in others for name in EXTRAS[extra]),
        providers=_providers(),
        runtimes=tuple(item for row in RUNTIMES for item in _runtime(row)),
    )


def _of_extra(name: str, extra: str) -> DoctorItem:
    other = _INSTEAD.get(name)
    if other and find_spec(other) is not None and find_spec(name) is None:
        name = other
    return _package(name, remedy(name, extra), f"{extra}: {name}")


def _runtime(row: Row) -> Iterator[DoctorItem]:
    """A runtime by the name of its extra, and what converts models for it."""
    if row.extra is None:
        yield _outside(row)
        return
    first, *others = row.packages
    yield _package(first, remedy(first, row.extra), row.extra, row.package)
    for name in others:
        yield _package(name, remedy(name, row.extra), f"{row.extra}: {name}")


def _outside(row: Row) -> DoctorItem:
    """A runtime that pip does not bring."""
    try:
        return DoctorItem(row.name, "ok", find_outside(row, f"for --runtime {row.name}"))
    except MissingToolError as error:
        missing = "not installed" if error.name == row.name else f"needs {error.name}"
        return DoctorItem(row.name, "missing", missing, error.advice)
    except PReLUToolsError as error:
        found, _, advice = str(error).partition(": ")
        return DoctorItem(row.name, "broken", found, advice)


def _package(name: str, advice: str, label: str = "", package: str = "") -> DoctorItem:
    """A module that is imported.

    Args:
        name: the module.
        advice: how to get it.
        label: what to call it.
        package: what it is called where packages are installed from; "" for the same name.
    """
    label = label or name
    try:
        with quiet(show=False):
            module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == name:
            return DoctorItem(label, "missing", "not installed", advice)
        return DoctorItem(label, "broken", f"needs {error.name}", advice)
    except Exception as error:
        return DoctorItem(label, "broken", f"{type(error).__name__}: {error}", f"{advice} again")
    if vars(module).get("__file__") is None:  # a folder of that name
        return DoctorItem(label, "missing", "not installed", advice)
    version = vars(module).get("__version__") or importlib.metadata.version(package or name)
    return DoctorItem(label, "ok", str(version))


def _providers() -> tuple[DoctorItem, ...]:
    """Each provider that is known here or that this build names."""
    try:
        _, available = available_providers()
    except ImportError:
        return ()
    names = {full: short for short, full in PROVIDERS.items()}
    wanted = [name for name in dict.fromkeys([*PROVIDERS.values(), *available]) if name != _REMOTE]
    return tuple(_try_provider(names.get(full, full)) for full in wanted)


def _try_provider(name: str) -> DoctorItem:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prelu.onnx"
        path.write_bytes(_one_prelu().SerializeToString())
        try:
            runner = Session(path, name, "a model of one PRelu node")
            result = runner.run({"x": np.array([[-2.0, 2.0]], np.float32)})["y"]
        except PReLUToolsError as error:
            found, _, advice = str(error).partition(": ")
            missing = "is not in this build" in found
            state = "not in this build of onnxruntime" if missing else str(error)
            return DoctorItem(name, "missing" if missing else "broken", state, advice)
    if runner.report.nodes_elsewhere:
        ran = ", ".join(runner.report.actual)
        detail = f"loads, but the node ran on {ran}"
        return DoctorItem(name, "broken", detail, "see onnxruntime's log for why it did not load")
    if not np.array_equal(result, np.array([[-0.5, 2.0]], np.float32)):
        return DoctorItem(name, "broken", f"PReLU([-2, 2]) with slope 0.25 is {result.tolist()}")
    return DoctorItem(name, "ok", "runs PRelu")


def _one_prelu() -> onnx.ModelProto:
    node = helper.make_node("PRelu", ["x", "slope"], ["y"], name="prelu")
    slope = numpy_helper.from_array(np.array([0.25], np.float32), "slope")
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", 2]) for n in "xy")
    graph = helper.make_graph([node], "prelu", [x], [y], [slope])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8)
