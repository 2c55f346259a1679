"""Nets that random drawing found to fail, as small as they became."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from pipeline import Way, travel
from random_nets import Layer, Net, Step
from writing_nets import has_two_readings, save

from prelu_tools.commands.export.command import export
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.verify.command import verify
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError

_VERIFIED = Way(False, False, "verified", "layer", 0)


def _net(layer: Layer, shape: tuple[int, ...], sources: tuple[int, ...] = (0,)) -> Net:
    """Calls of one layer, each of an earlier value."""
    steps = [Step("prelu", (source,), layer=0) for source in sources]
    shapes = [shape] * (1 + len(steps))
    return Net("float32", 16, [shape], [layer], steps, shapes, list(range(len(steps), 0, -1)))


def _slopes(*shape: int) -> np.ndarray:
    return np.linspace(-0.7, 0.3, int(np.prod(shape)), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("form", ["prelu", "leaky_relu", "max_min"])
def test_calls_keep_their_numbers_in_whatever_order_the_graph_has_them(
    form: str, tmp_path: Path
) -> None:
    """The exported graph has call 2 before call 1; optimize renumbered them."""
    slopes = np.full((2, 1), 0.3, np.float32) if form == "leaky_relu" else _slopes(2, 1)
    travel(_net(Layer("act0", form, slopes, "few"), (2, 3), (0, 0, 1)), _VERIFIED, tmp_path)


def test_a_reference_that_doubles_the_largest_numbers_is_told_and_passes(tmp_path: Path) -> None:
    """X - |x| is infinite for the largest x, where PReLU is not; a Max form gives what it is."""
    travel(_net(Layer("act0", "abs", _slopes(1, 1, 2), "row"), (1, 3, 2)), _VERIFIED, tmp_path)


def test_axes_that_an_export_states_say_nothing_of_what_is_made_of_it(tmp_path: Path) -> None:
    """Sizes are such that the slopes could lie as the stated axes say, once more."""
    layer = Layer("act0", "relu", np.zeros((2, 1, 1, 1), np.float32), "few", last=True)
    travel(_net(layer, (2, 2, 2, 4)), Way(False, False, "commands", "bitwise", 1), tmp_path)


def test_axes_of_two_files_of_one_source_are_compared_with_each_other(tmp_path: Path) -> None:
    """The export's and the optimized file's were moved the same way: between them nothing was."""
    layer = Layer("act0", "max_neg", _slopes(2, 1, 1), "row", last=True)
    travel(_net(layer, (2, 2, 3)), Way(False, False, "commands", "layer", 0), tmp_path)


def test_calls_of_one_layer_may_have_their_channels_first_and_last(tmp_path: Path) -> None:
    """Export takes the Transposes around the first call away, and leaves those of the second."""
    layers = [
        Layer("act0", "clip", _slopes(3, 1, 1, 1), "row", last=True),
        Layer("act1", "linear", np.ones((1, 1, 1, 1), np.float32), "few", last=True),
    ]
    steps = [
        Step("prelu", (0,), layer=0), Step("relu", (1,)), Step("prelu", (2,), layer=0),
        Step("prelu", (3,), layer=1), Step("relu", (4,)),
    ]  # fmt: skip
    shape = (3, 1, 3, 1)
    net = Net("float32", 21, [shape], layers, steps, [shape] * 6, [2, 5])
    travel(net, Way(False, False, "commands", "layer", 0), tmp_path)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3), (4, 4, 3)])
def test_slopes_that_are_square_are_turned_for_each_call(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    """Export gave both calls the first one's tensor: by its shape it fitted the second as well."""
    layers = [
        Layer("act0", "max_neg", _slopes(*[1] * len(shape)), "batch", last=True),
        Layer("act1", "max_min", _slopes(*shape), "few", last=True),
    ]
    steps = [
        Step("prelu", (0,), layer=0), Step("add", (1, 0)), Step("prelu", (2,), layer=1),
        Step("prelu", (1,), layer=1), Step("add", (3, 4)),
    ]  # fmt: skip
    net = Net("float32", 20, [shape], layers, steps, [shape] * 6, [5], "nobody", 2)
    travel(net, Way(False, False, "verified", "layer", 0), tmp_path)


def test_power_is_measured_where_calls_have_their_channels_first_and_last(tmp_path: Path) -> None:
    layers = [
        Layer("act0", "clip", _slopes(3, 1, 1), "row", last=True),
        Layer("act1", "linear", np.ones((1, 1, 1), np.float32), "row", last=True),
    ]
    steps = [
        Step("prelu", (0,), layer=0), Step("add", (0, 1)), Step("prelu", (2,), layer=0),
        Step("prelu", (3,), layer=1), Step("relu", (4,)),
    ]  # fmt: skip
    shape, exported = (3, 5, 4), tmp_path / "exported.onnx"
    source = save(
        Net("float32", 20, [shape], layers, steps, [shape] * 6, [2, 5]),
        tmp_path / "net.onnx",
        external=False,
    )
    export(ExportRequest(str(source), exported), lambda _stage: None)
    found = verify(
        VerifyRequest(
            str(source), (str(exported),), layouts={"reference": "nchw", "candidate": "nchw"}
        )
    )
    power = found.candidates[0].power
    assert power is not None
    assert (power.detected, power.planted > 3) == (power.planted, True)


def test_a_slope_with_two_readings_is_refused(tmp_path: Path) -> None:
    layer = Layer("act0", "prelu", _slopes(2, 1, 1), "few", last=True)
    net = _net(layer, (2, 2, 1))
    assert has_two_readings(net, layer)
    path = save(net, tmp_path / "net.onnx", external=False)
    export(ExportRequest(str(path), tmp_path / "exported.onnx"), lambda _stage: None)
    model = _with_one_axis(path)
    with pytest.raises(PReLUToolsError, match="is ambiguous"):
        export(ExportRequest(str(model), tmp_path / "refused.onnx"), lambda _stage: None)


def _with_one_axis(path: Path) -> Path:
    model = onnx.load(path)
    tensor = next(t for t in model.graph.initializer if t.name == "act0.weight")
    assert list(tensor.dims) == [1, 2]
    tensor.dims[:] = [2]
    onnx.save(model, path.with_name("one_axis.onnx"))
    return path.with_name("one_axis.onnx")
