"""Export cells of the matrix, and compare the files with what their nets are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from cells import FEATURES, Group, drawn_slopes
from onnx import numpy_helper
from running import cli

Array = np.ndarray[Any, Any]

_ELEMENTS = {"float32": onnx.TensorProto.FLOAT, "float16": onnx.TensorProto.FLOAT16}
_ROOM = {"float32": 1e-5, "float16": 2e-2}


@dataclass(frozen=True)
class Framework:
    """What the matrix has to know of a framework."""

    source: str
    """FILE.py:NAME of what makes a net of forms, sharing, rank and size."""
    slopes: str
    """Name of a layer's slope tensor, with {} for the layer."""
    channels_last: bool
    """Whether its inputs are [N, ..., C]."""
    around: Mapping[int, frozenset[str]]
    """By the rank, the operators that a net needs besides PRelu."""
    run: Callable[[Sequence[str], Group, Array], Mapping[str, Array]]
    """Runs a net of these forms: its outputs by their forms."""
    options: Callable[[Group], Sequence[str]] = lambda group: ()
    """What the command line has to be told of its inputs."""


def problems_of(framework: Framework, group: Group, forms: Sequence[str], folder: Path) -> str:
    """Export these forms in one file, and say what is wrong with it; nothing if all is well."""
    path = folder / "net.onnx"
    arguments = f"{tuple(forms)}, {group.sharing!r}, {group.rank}, {group.size!r}"
    source = f"{framework.source}({arguments})"
    found = cli(
        "export", source, "-o", path, "-q", "--force", *group.options, *framework.options(group)
    )
    if found.code != 0:
        return f"exit code {found.code}: {found.words}"
    model = onnx.load(path)
    wrong = [*_wrong_graph(model, framework, group, forms), *_wrong_slopes(model, framework, group)]
    return "; ".join(wrong or _wrong_values(path, framework, group, forms))


def _wrong_graph(
    model: onnx.ModelProto, framework: Framework, group: Group, forms: Sequence[str]
) -> list[str]:
    graph = model.graph
    operators = [node.op_type for node in graph.node]
    values = [*graph.input, *graph.output]
    transposes = 1 + len(forms) if framework.channels_last and group.rank > 2 else 0
    checks = {
        "opset": ({entry.version for entry in model.opset_import}, {group.opset}),
        "types": (
            {value.type.tensor_type.elem_type for value in values},
            {_ELEMENTS[group.dtype]},
        ),
        "outputs": ([value.name for value in graph.output], list(forms)),
        "PRelu nodes": ([n.name for n in graph.node if n.op_type == "PRelu"], list(forms)),
        "other operators": (set(operators) - framework.around[group.rank], {"PRelu"}),
        "Transposes": (operators.count("Transpose"), transposes),
    }
    return [f"{what}: {found}, not {due}" for what, (found, due) in checks.items() if found != due]


def _wrong_slopes(model: onnx.ModelProto, framework: Framework, group: Group) -> list[str]:
    """Slopes are the source's to the bit, under its names, along the axes of [N, C, ...]."""
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    wrong = []
    for node in model.graph.node:
        if node.op_type != "PRelu":
            continue
        name = node.input[1]
        slopes = drawn_slopes(node.name, group.sharing, group.rank, group.size)
        due, found = slopes.astype(group.dtype), tensors[name]
        if due.size == 1:
            due = due.reshape(1)
        if name != framework.slopes.format(node.name):
            wrong.append(f"the slopes of {node.name} are called {name}")
        due = due.reshape(unpadded(due.shape))
        found = found.reshape(unpadded(found.shape))  # how many stand before: test_slope_shapes.py
        if (found.dtype, found.shape) != (due.dtype, due.shape):
            wrong.append(f"{name}: {found.dtype}{found.shape}, not {due.dtype}{due.shape}")
        elif found.tobytes() != due.tobytes():
            wrong.append(f"{name}: {found.tolist()}, not {due.tolist()}")
    return wrong


def unpadded(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the leading axes of size 1; but two axes stay where there were two or more."""
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _wrong_values(
    path: Path, framework: Framework, group: Group, forms: Sequence[str]
) -> list[str]:
    """The file computes what the net does, for another batch and other dynamic sizes."""
    sizes = zip(group.places, group.free, strict=True)
    places = tuple(size + 3 * free for size, free in sizes)
    shape = (3, *places, FEATURES) if framework.channels_last else (3, FEATURES, *places)
    x = np.random.default_rng(0).normal(size=shape).astype(group.dtype)
    due = framework.run(forms, group, x.astype(np.float32))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    results = session.run(list(forms), {session.get_inputs()[0].name: x})
    differences = {
        form: float(np.abs(found.astype(np.float32) - due[form]).max())
        for form, found in zip(forms, results, strict=True)
    }
    room = _ROOM[group.dtype]
    return [f"{form} is off by {by}" for form, by in differences.items() if not by <= room]


def report_each(
    framework: Framework, group: Group, forms: Sequence[str], folder: Path
) -> dict[str, str]:
    """What is wrong with which form of a group; where something is, each is tried by itself."""
    together = problems_of(framework, group, forms, folder)
    if not together:
        return {}
    alone = {form: problems_of(framework, group, [form], folder) for form in forms}
    return {form: problem for form, problem in alone.items() if problem} or {"all": together}
