"""`optimize` from the outside: what is written, what is proven, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from optimize_nets import forms, outputs, save_chain, save_residual, slopes
from running import Outcome, cli
from text_nets import npz, save
from versions import fused_add, infinities

from prelu_tools.backends.onnxruntime.running.racing import Run, Times
from prelu_tools.commands.optimize import command
from prelu_tools.commands.optimize.tuning import Bench
from prelu_tools.core.targets import RUNTIMES
from prelu_tools.graph.passes import writing as declared
from prelu_tools.graph.targets.forecast import TARGETS

NO_TUNE = ("--no-tune", "--format", "json")


def optimize(source: Path, output: Path, *options: object) -> Outcome:
    return cli("optimize", source, "-o", output, *options)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_chain(tmp_path_factory.mktemp("optimize") / "chain.onnx")


def test_each_layer_gets_a_form_that_equals_it(chain: Path, tmp_path: Path) -> None:
    fast = tmp_path / "fast.onnx"
    found = optimize(chain, fast, *NO_TUNE)
    assert found.code == 0, found.err
    written = {layer["name"]: layer["form"] for layer in found.json["layers"]}
    assert written == {
        "mixed": "relu_mul",  # one is above 1
        "small": "relu_mul",
        "none": "relu",
        "uniform": "leaky_relu",
    }
    assert forms(fast) == written
    assert slopes(fast) == slopes(chain)
    np.testing.assert_allclose(outputs(fast), outputs(chain), rtol=1e-5, atol=1e-6)


def test_what_held_is_told(chain: Path, tmp_path: Path) -> None:
    found = optimize(chain, tmp_path / "fast.onnx", *NO_TUNE)
    held = found.json["held"]
    assert (held["layer"], held["max_ulps"]) == (True, 0)
    assert held["special"] is False  # Relu of -inf is 0, and 0 * -inf is NaN
    assert held["runtime"].count(".") == 2
    assert found.json["verification"]["verdict"] == "pass"
    assert found.json["latency"]["ratio"]["n_rounds"] >= 15


def test_no_tune_is_the_same_every_time(chain: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    assert optimize(chain, first, *NO_TUNE).code == 0
    assert optimize(chain, second, *NO_TUNE).code == 0
    assert first.read_bytes() == second.read_bytes()


def test_choices_are_replayed_byte_for_byte(chain: Path, tmp_path: Path) -> None:
    report, first, second = (tmp_path / name for name in ("r.json", "a.onnx", "b.onnx"))
    options = ("--tune", "--tune-seconds", 0.5, "--report", f"json={report}", "-q")
    found = optimize(chain, first, *options)
    assert found.code == 0, found.err
    again = optimize(chain, second, "--choices", report, "--format", "json")
    assert again.code == 0, again.err
    assert first.read_bytes() == second.read_bytes()
    assert {layer["chosen"] for layer in again.json["layers"]} == {"choices"}


def test_there_and_back(chain: Path, tmp_path: Path) -> None:
    fast, back = tmp_path / "fast.onnx", tmp_path / "back.onnx"
    assert optimize(chain, fast, "--no-tune", "-q").code == 0
    found = optimize(fast, back, "--target", "portable", "--format", "json")
    assert found.code == 0, found.err
    assert set(forms(back).values()) == {"prelu"}
    assert slopes(back) == slopes(chain)
    assert found.json["latency"] is None


@pytest.mark.parametrize("target", [name for name in RUNTIMES if name != "onnxruntime-cpu"])
def test_other_runtimes_get_the_operator(
    chain: Path, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "runtime_of", lambda _: ())
    fast = tmp_path / "fast.onnx"
    found = optimize(chain, fast, "--target", target, "--format", "json")
    assert found.code == 0, found.err
    assert set(forms(fast).values()) == {"prelu"}
    assert {layer["chosen"] for layer in found.json["layers"]} == {"target"}
    assert any("not measured here" in note for note in found.json["notes"]) == (
        TARGETS[target].measured is None
    )


def test_what_a_runtime_would_misread_is_rewritten_as_export_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "runtime_of", lambda _: ())
    slopes = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    tensor = "float[N,3,4,5]"
    known = {"inputs": f"{tensor} x", "outputs": f"{tensor} y", "a": slopes}
    source = save(tmp_path / "net.onnx", "[act] y = PRelu(x, a)", **known)
    found = optimize(source, tmp_path / "ncnn.onnx", "--target", "ncnn", "--format", "json")
    assert found.code == 0, found.err
    assert "ncnn: a written as Relu, Neg, Mul and Add" in found.json["notes"]
    (layer,) = found.json["layers"]
    assert (layer["form"], layer["chosen"]) == ("relu_neg", "target")
    assert found.json["held"]["layer"]
    last = np.array([[0.25, -0.5, 0.125]], np.float32)
    known = {"inputs": "float[N,7,3] x", "outputs": "float[N,7,3] y", "a": last}
    source = save(tmp_path / "last.onnx", "[act] y = PRelu(x, a)", **known)
    found = optimize(source, tmp_path / "moved.onnx", "--target", "ncnn", "--format", "json")
    assert found.code == 0, found.err
    operators = [node.op_type for node in onnx.load(tmp_path / "moved.onnx").graph.node]
    assert operators == ["Transpose", "PRelu", "Transpose"]


@infinities
def test_special_keeps_infinities(chain: Path, tmp_path: Path) -> None:
    found = optimize(chain, tmp_path / "fast.onnx", *NO_TUNE, "--exact", "special")
    assert found.code == 0, found.err
    assert found.json["layers"][2]["form"] == "leaky_relu"
    assert found.json["held"]["special"] is True


@fused_add
def _fusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels in which the convolutions of two forms of `mixed` fuse with the sum behind them.

    Which forms change bits in a model depends on the processor: here it is these, on any.
    """
    loaded = Bench.open

    def opened(bench: Bench, forms: Mapping[str, str]) -> Run:
        plain = loaded(bench, {})
        if forms.get("mixed") not in ("relu_mul", "depthwise"):
            return plain
        return lambda feeds: [np.nextafter(y, np.float32(np.inf)) for y in plain(feeds)]

    monkeypatch.setattr(Bench, "open", opened)


def test_a_layer_that_changes_bits_takes_another_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fusing(monkeypatch)
    source = save_residual(tmp_path / "residual.onnx")
    loose = optimize(source, tmp_path / "loose.onnx", *NO_TUNE)
    assert loose.code == 0, loose.err
    assert loose.json["held"]["bitwise"] is False
    assert loose.json["layers"][0]["form"] == "relu_mul"
    exact = optimize(source, tmp_path / "exact.onnx", *NO_TUNE, "--exact", "bitwise")
    assert exact.code == 0, exact.err
    assert exact.json["held"]["bitwise"] is True
    first, second = exact.json["layers"]
    assert (first["chosen"], second["chosen"]) == ("exactness", "cost model")
    assert first["form"] not in ("relu_mul", "depthwise")
    np.testing.assert_allclose(outputs(tmp_path / "exact.onnx"), outputs(source), rtol=1e-5)


def test_the_users_inputs_are_timed(chain: Path, tmp_path: Path) -> None:
    inputs = npz(tmp_path / "x.npz", x=np.ones((1, 16, 12, 12), np.float32))
    found = optimize(chain, tmp_path / "fast.onnx", *NO_TUNE, "--inputs", inputs)
    assert found.code == 0, found.err
    assert found.json["held"]["n_inputs"] == 9


def test_sizes_that_the_model_leaves_open(tmp_path: Path) -> None:
    source = save_chain(tmp_path / "open.onnx", "float[n,16,h,w]")
    found = optimize(source, tmp_path / "fast.onnx", *NO_TUNE, "--input", "x:2,16,12,12")
    assert found.code == 0, found.err
    assert found.json["latency"]["shapes"] == [["x", [2, 16, 12, 12]]]
    assert found.json["layers"][0]["shape"] == [2, 16, 12, 12]


def test_a_form_that_is_wrong_is_never_written(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(declared.WRITTEN["relu_mul"], text="scaled = Mul(x, -a); Max(x, scaled)")
    monkeypatch.setitem(declared.WRITTEN, "relu_mul", wrong)  # type: ignore[arg-type]
    output = tmp_path / "fast.onnx"
    found = optimize(chain, output, "--no-tune")
    assert found.code == 1
    assert "differs from its source, so" in found.err
    assert list(tmp_path.iterdir()) == []


def test_infinities_that_come_out_otherwise_are_told_where_that_is_asked(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form that claims to keep them: Relu gives 0 for -inf, and 0 times -inf is NaN."""
    claimed = replace(declared.WRITTEN["relu"], special=True)
    monkeypatch.setitem(declared.WRITTEN, "relu", claimed)  # type: ignore[arg-type]
    found = optimize(chain, tmp_path / "fast.onnx", "--no-tune", "--exact", "special")
    assert found.code == 1
    assert "infinities or NaN give results that differ" in found.words
    assert list(tmp_path.iterdir()) == []


def test_what_is_slower_is_taken_back(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(runs: Any, *_: Any) -> Times:
        seconds = {n: [2.0 if n in ("after", "relu_mul") else 1.0] * 20 for n in runs}
        return Times(seconds, "wall", 0.0)

    monkeypatch.setattr(command, "race", slow)
    found = optimize(chain, tmp_path / "fast.onnx", "--tune", "--tune-seconds", 0.01,
                     "--format", "json")  # fmt: skip
    assert found.code == 0, found.err
    assert {layer["form"] for layer in found.json["layers"]} == {"prelu"}
    assert {layer["chosen"] for layer in found.json["layers"]} == {"speed"}
    assert "2.00 times as long" in found.json["notes"][-1]


def test_groups_that_time_does_not_reach_keep_the_cost_model(chain: Path, tmp_path: Path) -> None:
    found = optimize(chain, tmp_path / "fast.onnx", "--tune", "--tune-seconds", 1e-9,
                     "--format", "json")  # fmt: skip
    assert found.code == 0, found.err
    assert {layer["chosen"] for layer in found.json["layers"]} <= {"cost model", "speed"}
    assert "groups of layers were not timed" in found.json["notes"][0]


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--exact", "nearly"), 2, "expected layer, bitwise, special or approximate=ULPS"),
        (("--exact", "approximate"), 2, "expected layer, bitwise"),
        (("--exact", "approximate=0"), 2, "expected layer, bitwise"),
        (("--target", "phone"), 2, "'phone' is not one of"),
        (("--target", "opnvino"), 2, "did you mean openvino?"),
        (("--threads", "0"), 2, "0 is not in the range"),
        (("--input", "x:1,16,12"), 2, "--input x has 3 dimensions; the model's input has 4"),
        (("--input", "x:1,15,12,12"), 2, "chain.onnx takes x:1,16,12,12"),
        (("--choices", "missing.json"), 3, "missing.json cannot be read"),
        (("--inputs", "missing.npz"), 3, "missing.npz"),
    ],
)
def test_what_makes_no_sense_is_refused(
    chain: Path, tmp_path: Path, options: tuple[str, ...], code: int, sentence: str
) -> None:
    found = optimize(chain, tmp_path / "fast.onnx", *options)
    assert found.code == code, found.err
    assert sentence in found.words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("nothing", "is not a JSON document"),
        ('{"kind": "inspect", "layers": []}', "is not a report of optimize"),
        ('{"kind": "optimize", "layers": [{"name": "mixed"}]}', "is not a report of optimize"),
        ('{"kind": "optimize", "layers": []}', "it has no layer 'mixed'"),
        ('{"kind": "optimize", "layers": [{"name": "other", "form": "max"}]}', "a layer 'other'"),
    ],
)
def test_choices_of_something_else(
    chain: Path, tmp_path: Path, document: str, sentence: str
) -> None:
    choices = tmp_path / "choices.json"
    choices.write_text(document)
    found = optimize(chain, tmp_path / "fast.onnx", "--choices", choices)
    assert found.code == 3
    assert sentence in found.words


def test_a_choice_that_does_not_equal_prelu(chain: Path, tmp_path: Path) -> None:
    names = ("mixed", "small", "none", "uniform")
    choices = tmp_path / "choices.json"
    layers = [{"name": name, "form": "max"} for name in names]
    choices.write_text(json.dumps({"kind": "optimize", "layers": layers}))
    found = optimize(chain, tmp_path / "fast.onnx", "--choices", choices)
    assert found.code == 3
    assert "mixed cannot be written as 'max'" in found.words


def test_an_output_that_exists_is_kept(chain: Path, tmp_path: Path) -> None:
    there = tmp_path / "fast.onnx"
    there.write_bytes(b"mine")
    assert optimize(chain, there).code == 2
    assert there.read_bytes() == b"mine"
    assert optimize(chain, there, "--no-tune", "--force", "-q").code == 0


def test_a_model_without_prelu(tmp_path: Path) -> None:
    source = save(tmp_path / "none.onnx", "y = Relu(x)")
    found = optimize(source, tmp_path / "fast.onnx")
    assert found.code == 3
    assert "there is nothing to optimize" in found.words


@pytest.mark.torch
def test_a_source_that_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"")
    found = optimize(Path("samples/torch_layers.py:Mlp"), tmp_path / "fast.onnx")
    assert found.code == 2
    assert "export it first" in found.words


def _arcface(path: Path, width: int) -> Path:
    """A slope [C] on a map, as MXNet's exports have it."""
    constants = {
        "w": np.random.default_rng(0).normal(size=(6, 3, 1, 1)).astype(np.float32),
        "a": np.linspace(-0.5, 0.5, 6, dtype=np.float32),
    }
    body = "c = Conv(x, w) [act] y = PRelu(c, a)"
    shapes = (f"float[1,{n},5,{width}] {name}" for n, name in ((3, "x"), (6, "y")))
    return save(path, body, *shapes, **constants)


def test_slopes_are_repaired_where_that_is_asked(tmp_path: Path) -> None:
    source, fast = _arcface(tmp_path / "mxnet.onnx", 4), tmp_path / "fast.onnx"
    refused = optimize(source, fast)
    assert refused.code == 3
    assert "belongs on axis 1" in refused.words
    assert "--repair-slopes moves it there" in refused.words
    assert not fast.exists()
    found = optimize(source, fast, *NO_TUNE, "--repair-slopes")
    assert found.code == 0, found.err
    assert "its slope of shape [6] was moved to axis 1 as [6, 1, 1]" in found.json["notes"][0]
    assert forms(fast) != {"a": "prelu"}


def test_slopes_of_two_readings_need_an_axis(tmp_path: Path) -> None:
    source, fast = _arcface(tmp_path / "mxnet.onnx", 6), tmp_path / "fast.onnx"
    refused = optimize(source, fast, "--repair-slopes")
    assert refused.code == 3
    assert "--slope-axis 1" in refused.words
    found = optimize(source, fast, *NO_TUNE, "--repair-slopes", "--slope-axis", 1)
    assert found.code == 0, found.err
    assert "as --slope-axis says" in found.json["notes"][0]
