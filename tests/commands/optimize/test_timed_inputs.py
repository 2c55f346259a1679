"""At which sizes `optimize` times a model that leaves them free, and that it says so."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from running import Outcome, cli
from text_nets import save

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.export.provenance import example_sizes_of
from prelu_tools.commands.optimize import timed_inputs
from prelu_tools.core.results.optimization import Exactness
from prelu_tools.graph.io.metadata import EXAMPLES, stated_examples

FREE, FIXED = "float[n,2,h,w]", "float[1,2,12,12]"


def save_open(path: Path, image: str = FREE) -> Path:
    """One small layer alone: it is verified at sizes of all kinds, the larger ones too."""
    slopes = np.float32([0.1, 0.4]).reshape(2, 1, 1)
    return save(path, "[act] y = PRelu(x, slopes)", f"{image} x", f"{image} y", slopes=slopes)


@pytest.fixture(scope="module")
def open_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_open(tmp_path_factory.mktemp("timed") / "open.onnx")


def optimize(source: Path, folder: Path, *options: object) -> Outcome:
    found = cli("optimize", source, "-o", folder / "fast.onnx", "--format", "json", *options)
    assert found.code == 0, found.err
    return found


def timed_at(found: Outcome) -> tuple[list[Any], str]:
    latency = found.json["latency"]
    return latency["shapes"][0][1], latency["sizes_from"]


def _takes(monkeypatch: pytest.MonkeyPatch, seconds: Any) -> None:
    """A machine on which a run of these feeds takes so long, by the area of the image."""
    monkeypatch.setattr(
        timed_inputs,
        "shortest_time",
        lambda run, feeds, _: seconds(math.prod(feeds["x"].shape[2:])),
    )


@pytest.mark.parametrize(("microseconds", "size"), [(100, 40), (700, 24), (1000, 16), (10_000, 48)])
def test_the_largest_size_that_runs_fast_enough(
    open_net: Path, monkeypatch: pytest.MonkeyPatch, microseconds: int, size: int
) -> None:
    """The limit is half a second: a sixtieth of the 30 seconds that timing may take."""
    tried: list[int] = []
    monkeypatch.setattr(timed_inputs, "_SIZES", (8, 16, 24, 40))

    def seconds(area: int) -> float:
        tried.append(area)
        return area * microseconds * 1e-6

    _takes(monkeypatch, seconds)
    source, model = _opened(open_net)
    found = timed_inputs.draw_inputs(source, model, _request(open_net))
    assert found.feeds[0]["x"].shape == (1, 2, size, size)
    assert found.sizes_from == ("search" if size != 48 else "default")
    assert {feeds["x"].shape[2] for feeds in found.feeds[1:]} == {48}
    assert all(area * microseconds <= 5e5 for area in tried[1:])  # others must be too slow


def _opened(path: Path) -> tuple[Any, Any]:
    from prelu_tools.backends.opening import open_source
    from prelu_tools.core.options import SourceOptions

    source = open_source(str(path), SourceOptions())
    assert source.graph is not None
    return source.graph, source.graph.model


def _request(path: Path, **changed: Any) -> Any:
    from prelu_tools.commands.optimize.request import OptimizeRequest

    return OptimizeRequest(str(path), path.with_name("fast.onnx"), exact=Exactness(), **changed)


def test_a_size_that_the_model_refuses_is_left_out(
    open_net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed_inputs, "_SIZES", (8, 16, 24, 40))

    def seconds(area: int) -> float:
        if area < 24 * 24:
            raise timed_inputs.PReLUToolsError("too small")
        return 0.3

    _takes(monkeypatch, seconds)
    found = timed_inputs.draw_inputs(*_opened(open_net), _request(open_net))
    assert found.feeds[0]["x"].shape[2:] == (24, 24)


def test_without_timing_sizes_are_the_same_on_every_machine(open_net: Path, tmp_path: Path) -> None:
    found = optimize(open_net, tmp_path, "--no-tune")
    assert timed_at(found) == ([1, 2, 48, 48], "default")


def test_what_the_user_gives_is_taken(open_net: Path, tmp_path: Path) -> None:
    options = ("--no-tune", "--force")
    found = optimize(open_net, tmp_path, *options, "--input", "x:2,2,12,12")
    assert timed_at(found) == ([2, 2, 12, 12], "--input")
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.ones((1, 2, 20, 12), np.float32))
    found = optimize(open_net, tmp_path, *options, "--inputs", inputs)
    assert timed_at(found) == ([1, 2, 20, 12], "--inputs")
    fixed = save_open(tmp_path / "fixed.onnx", FIXED)
    assert timed_at(optimize(fixed, tmp_path, *options))[1] == "model"


def test_a_record_of_the_source_is_taken(open_net: Path, tmp_path: Path) -> None:
    """Its run of the fewest rows; of these the largest."""
    record = tmp_path / "open.npz"
    recorded = cli("record", open_net, "-o", record, "--input", "x:n,2,20,24")
    assert recorded.code == 0, recorded.err
    found = optimize(open_net, tmp_path, "--no-tune", "--inputs", record)
    (rows, channels, *sizes), origin = timed_at(found)
    assert (rows, channels, origin) == (1, 2, "--inputs")
    assert math.prod(sizes) >= 20 * 24
    other = save_open(tmp_path / "other.onnx", FIXED)
    model = onnx.load(other)
    model.graph.input[0].name = model.graph.node[0].input[0] = "image"
    onnx.save(model, other)
    refused = cli("optimize", other, "-o", tmp_path / "n.onnx", "--inputs", record)
    assert refused.code == 3
    assert "is a record of other inputs; expected image" in refused.words


def test_the_sizes_that_the_source_was_exported_with(open_net: Path, tmp_path: Path) -> None:
    model = onnx.load(open_net)
    model.metadata_props.add(key=EXAMPLES, value='{"x": [1, 2, 40, 24]}')
    source = tmp_path / "stated.onnx"
    onnx.save(model, source)
    found = optimize(source, tmp_path, "--no-tune")
    assert timed_at(found) == ([1, 2, 40, 24], "source")
    table = cli("optimize", source, "-o", tmp_path / "again.onnx", "--no-tune")
    assert "timed at x 1x2x40x24: the sizes that the model was exported with" in table.words


def _source(*shape: int | str, example: tuple[int, ...]) -> Any:
    spec = TensorSpec("x", "float32", shape, example)
    return SimpleNamespace(inputs=lambda: [spec])


def test_an_export_states_the_sizes_of_its_examples() -> None:
    free = _source("batch", "h", "w", 3, example=(1, 80, 120, 3))
    assert example_sizes_of(free, None) == {EXAMPLES: '{"x": [1, 80, 120, 3]}'}
    moved = example_sizes_of(free, ("nhwc", "nchw"))
    assert moved == {EXAMPLES: '{"x": [1, 3, 80, 120]}'}
    assert example_sizes_of(_source("batch", 8, example=(1, 8)), None) == {}
    assert example_sizes_of(_source("batch", "n", example=(1, 48)), None) == {}  # not known


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ('{"x": [1, 2]}', {"x": (1, 2)}),
        ('{"x": [1, 0], "y": [3]}', {"y": (3,)}),
        ('{"x": [true]}', {}),
        ('{"x": 3}', {}),
        ("[1]", {}),
        ("[" * 5000, {}),
        ("nothing", {}),
        ('{"x": [1]}' + " " * 10_000, {}),
    ],
)
def test_sizes_that_cannot_be_read_are_left_out(text: str, sizes: Any) -> None:
    model = helper.make_model(helper.make_graph([], "g", [], []))
    assert stated_examples(model) == {}
    model.metadata_props.add(key=EXAMPLES, value=text)
    assert stated_examples(model) == sizes
