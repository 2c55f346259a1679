"""What has to hold of every random net, from the file to the optimized file and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import oracle
from hypothesis import reject
from onnx import numpy_helper
from random_nets import Array, Layer, Net
from writing_nets import save

from prelu_tools.backends.onnxruntime.running.session import newest_opset
from prelu_tools.commands.export.command import export
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.optimize.command import optimize
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.verify.command import verify
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.optimization import Exactness
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.io.writer import write_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.lowering import fitting_forms, lower, lowerable
from prelu_tools.graph.passes.opset import newest_known
from prelu_tools.graph.passes.portable import to_portable

NEWEST = min(newest_known(), newest_opset())
_ROUNDINGS = 16  # units in the last place a step, of what could come out if nothing cancelled


@dataclass(frozen=True)
class Way:
    """How a net goes through the tool."""

    external: bool
    """Whether its file has its tensors beside it, and the one that is written too."""
    raised: bool
    """Whether it is exported to the newest opset."""
    depth: str
    """`graph`: the graphs alone; `verified`: verify looks at them too, and at a copy with a wrong
    slope; `commands`: export, optimize and verify as they are, each with its own checks."""
    exact: str
    """`--exact` of optimize."""
    seed: int
    """Of the inputs that are given to the oracle, of the forms to write, and of the wrong slope."""


def travel(net: Net, way: Way, folder: Path) -> None:
    """Write, recognise, export, lower, and take back; compare each with the oracle."""
    source = save(net, folder / "source.onnx", way.external)
    found = [layer.form for layer in read_layers(read_model(source))]
    if len(found) - found.count("expression") == len(net.layers) < len(found):
        reject()  # other operators of the net happen to be one more PReLU: x + relu(-0.75 x)
    _has_slopes(net, source, {layer.name: layer.form for layer in net.layers})
    _computes(net, way, source)
    exported = folder / "exported.onnx"
    export(
        ExportRequest(
            str(source),
            exported,
            opset=NEWEST if way.raised else None,
            external_data="always" if way.external else "auto",
            verify=way.depth == "commands",
        ),
        lambda _stage: None,
    )
    _is_canonical(net, exported)
    _computes(net, way, exported)
    if way.depth == "commands":
        _optimize_and_verify(net, way, source, exported)
        return
    fast = _lowered(way, exported, folder / "fast.onnx")
    _has_slopes(net, fast)
    _computes(net, way, fast)
    back = folder / "back.onnx"
    write_model(to_portable(read_model(fast)), back)
    _is_canonical(net, back)
    if way.depth == "verified":
        _passes(source, exported, fast, back)
        _is_noticed(source, with_a_wrong_slope(exported, folder / "wrong.onnx", way.seed))


def _optimize_and_verify(net: Net, way: Way, source: Path, exported: Path) -> None:
    fast, back = exported.with_name("fast.onnx"), exported.with_name("back.onnx")
    exact = Exactness(way.exact)  # type: ignore[arg-type]
    optimize(OptimizeRequest(str(exported), fast, exact=exact, tune=False, timed=False))
    _has_slopes(net, fast)
    _computes(net, way, fast)
    optimize(OptimizeRequest(str(fast), back, "portable"))
    _is_canonical(net, back)
    _computes(net, way, back)
    _passes(source, exported, fast, back)


def _lowered(way: Way, exported: Path, target: Path) -> Path:
    """A file with every layer in one of the forms that can stand there, whatever it costs."""
    random = np.random.default_rng(way.seed)
    model = to_portable(read_model(exported))
    model.take_in()
    forms = {}
    for item in lowerable(model):
        fitting = list(fitting_forms(item, special=False, rounding=True))
        forms[item.layer.name] = fitting[random.integers(len(fitting))]
    lower(model, forms)
    write_model(model, target)
    assert {layer.name: layer.form for layer in read_layers(read_model(target))} == forms
    return target


def _passes(reference: Path, *candidates: Path) -> None:
    found = check(reference, *candidates)
    assert found.verdict == "pass", found.reasons


def _is_noticed(reference: Path, wrong: Path) -> None:
    """A file with a wrong slope never passes: the sentence that says so names a layer."""
    found = check(reference, wrong)
    assert found.verdict == "fail", (found.verdict, found.reasons)
    assert any("act" in reason or "val" in reason or "/" in reason for reason in found.reasons)


def with_a_wrong_slope(path: Path, target: Path, seed: int) -> Path:
    """The same file, but for one slope."""
    random = np.random.default_rng(seed)
    model = onnx.load(path)
    used = sorted({node.input[1] for node in model.graph.node if node.op_type == "PRelu"})
    name = used[random.integers(len(used))]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(tensor).copy()
    place = np.unravel_index(random.integers(values.size), values.shape)
    right = values[place]
    wrong = [right + 0.5, -right if right else 1.0, right * 1.125 + 0.125]
    values[place] = wrong[random.integers(3)]
    if values[place] == right:  # -1, and what rounds to it
        values[place] = wrong[0]
    tensor.CopyFrom(numpy_helper.from_array(values, name))
    onnx.save(model, target)
    return target


def check(reference: Path, *candidates: Path) -> VerifyResult:
    """Verify, with few inputs."""
    return verify(
        VerifyRequest(
            str(reference),
            tuple(map(str, candidates)),
            samples=4,
            search_seconds=0.0,
            power=False,
            layouts={"reference": "nchw", "candidate": "nchw"},
        )
    )


def _has_slopes(net: Net, path: Path, forms: Mapping[str, str] | None = None) -> None:
    """Every layer is there, with its calls, its slopes to the bit, and its form if one is given."""
    unmatched = list(read_layers(read_model(path)))
    assert len(unmatched) == len(net.layers), [(u.name, u.form) for u in unmatched]
    for number, layer in enumerate(net.layers):
        n_calls = len(net.calls(number))
        twins = [u for u in unmatched if same_slopes(layer, u) and len(u.nodes) == n_calls]
        twins = [u for u in twins if forms is None or u.form == forms[layer.name]]
        assert twins, (layer, n_calls, unmatched)
        unmatched = [u for u in unmatched if u is not twins[0]]


def same_slopes(layer: Layer, found: PReLULayer) -> bool:
    """Whether these are the slopes of a layer, channels first or last: to the bit."""
    row = found.slopes
    while row.ndim > layer.slopes.ndim and row.shape[0] == 1:
        row = row[0]
    if row.size == layer.slopes.size == 1:
        row = row.reshape(layer.slopes.shape)
    orders = [layer.slopes, np.moveaxis(layer.slopes, 0, -1)]
    return any(
        row.dtype == laid.dtype and row.shape == laid.shape and row.tobytes() == laid.tobytes()
        for laid in map(np.ascontiguousarray, orders)
    )


def _is_canonical(net: Net, path: Path) -> None:
    """One PRelu node a call and no other; the slopes as above."""
    model = onnx.load(path)
    nodes = [node for node in model.graph.node if node.op_type == "PRelu"]
    assert len(nodes) == sum(len(net.calls(i)) for i in range(len(net.layers)))
    _has_slopes(net, path)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert {node.input[1] for node in nodes} <= set(held)
    for layer in net.layers:
        assert any(_same_values(layer, values) for values in held.values()), layer.name
    onnx.checker.check_model(str(path), full_check=True)


def _same_values(layer: Layer, values: Array) -> bool:
    """Whether a tensor of the file, read by onnx alone, holds the slopes in either order."""
    wanted = [layer.slopes.reshape(-1), np.moveaxis(layer.slopes, 0, -1).reshape(-1)]
    return any(values.reshape(-1).tobytes() == slopes.tobytes() for slopes in wanted)


def _computes(net: Net, way: Way, path: Path) -> None:
    """The outputs are the oracle's, but for rounding."""
    feeds = draw_inputs(net, way.seed)
    found = run(path, feeds)
    expected = oracle.outputs(net, list(feeds.values()))
    assert list(found) == [f"value{n}" for n in net.outputs]
    for values, (right, size) in zip(found.values(), expected, strict=True):
        assert values.shape == right.shape
        assert values.dtype == net.dtype
        information = np.finfo(net.dtype)
        steps = _ROUNDINGS * (1 + len(net.steps))
        room = steps * (float(information.eps) * size + float(information.tiny))
        assert (np.abs(values.astype(np.float64) - right) <= room).all(), (values, right)


def draw_inputs(net: Net, seed: int) -> dict[str, Array]:
    """A batch of two rows of both signs, with zeros."""
    random = np.random.default_rng(seed)
    found = {}
    for number, shape in enumerate(net.inputs):
        values = random.normal(0.0, 2.0, (2, *shape)) * (random.random((2, *shape)) < 0.9)
        found[f"x{number}"] = values.astype(net.dtype)
    return found


def run(path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs that onnxruntime gives, by name."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names: Sequence[str] = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(feeds)), strict=True))
