"""MTCNN in two frameworks: the same trained weights have to give the same answers everywhere."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from running import cli
from sample_list import Sample, sample

Exports = Callable[[Sample], Path]
pytestmark = [pytest.mark.torch, pytest.mark.keras, pytest.mark.real_models]

_LAYOUTS = {"torch": "nchw", "keras": "nhwc"}
_LIMITS = {"PNet": 2e-5, "RNet": 2e-6, "ONet": 2e-6}
_SLOPES = {"PNet": 58, "RNet": 268, "ONet": 544}
_SIDES = ("torch source", "keras source", "torch export", "keras export")


def _path(net: str, side: str, exports: Exports) -> str:
    framework, kind = side.split()
    one = sample(f"mtcnn_{framework}.py:{net}")
    return one.source if kind == "source" else str(exports(one))


@pytest.mark.parametrize("net", _LIMITS)
@pytest.mark.parametrize(
    ("left", "rights"),
    [
        ("torch source", ("keras source", "torch export", "keras export")),
        ("keras source", ("torch source", "keras export", "torch export")),
        ("torch export", ("keras export",)),
    ],
)
def test_outputs_agree_to_rounding_and_slopes_bit_by_bit(
    net: str, left: str, rights: tuple[str, ...], exports: Exports
) -> None:
    paths = {side: _path(net, side, exports) for side in (left, *rights)}
    layouts = [f"--layout={path}={_LAYOUTS[side.split()[0]]}" for side, path in paths.items()]
    options = ("--format=json", "--input-range=-1,1", "--quick")
    found = cli("verify", *paths.values(), *layouts, *options)
    assert found.code == 0, found.out + found.err
    assert len(found.json["candidates"]) == len(rights)
    for candidate in found.json["candidates"]:
        assert candidate["verdict"] == "pass"
        assert max(output["max_abs_diff"] for output in candidate["outputs"]) <= _LIMITS[net]
        assert len(candidate["outputs"]) == (3 if net == "ONet" else 2)
        assert len(candidate["layers"]) == {"PNet": 3, "RNet": 4, "ONet": 5}[net]
        assert all(layer["slopes_equal"] for layer in candidate["layers"])


@pytest.mark.parametrize("side", _SIDES)
def test_inspect_counts_the_slopes_of_the_papers_nets(side: str, exports: Exports) -> None:
    counts, negative, above_one = {}, 0, 0
    for net in _LIMITS:
        layers = cli("inspect", _path(net, side, exports), "--format", "json").json["layers"]
        statistics = [layer["statistics"] for layer in layers]
        counts[net] = sum(found["count"] for found in statistics)
        negative += sum(found["n_negative"] for found in statistics)
        above_one += sum(found["n_above_one"] for found in statistics)
    assert counts == _SLOPES
    assert (sum(counts.values()), negative, above_one) == (870, 535, 3)


def test_keras_images_of_any_size_run(exports: Exports) -> None:
    session = onnxruntime.InferenceSession(exports(sample("mtcnn_keras.py:PNet")))
    for height, width in ((12, 12), (33, 50)):
        x = np.zeros((2, height, width, 3), np.float32)
        box, probability = session.run(None, {"image": x})
        size = (-(-(height - 2) // 2) - 4, -(-(width - 2) // 2) - 4)
        assert box.shape == (2, *size, 4)
        assert probability.shape == (2, *size, 2)


def test_torch_images_of_any_size_run_once_they_are_named(tmp_path: Path) -> None:
    path, source = tmp_path / "pnet.onnx", sample("mtcnn_torch.py:PNet").source
    dims = "--input=image:batch,3,height,width"
    found = cli("export", source, "-o", path, dims, "-q")
    assert found.code == 0, found.err
    session = onnxruntime.InferenceSession(path)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    box, _ = session.run(None, {"image": np.zeros((1, 3, 33, 50), np.float32)})
    assert box.shape == (1, 4, 12, 20)
    keras = sample("mtcnn_keras.py:PNet").source
    layouts = ("--layout", "reference=nhwc", "--layout", "candidate=nchw")
    assert cli("verify", keras, path, *layouts).code == 0


def test_nets_that_are_not_twins_do_not_pass(exports: Exports) -> None:
    keras, torch = sample("mtcnn_keras.py:RNet"), sample("mtcnn_torch.py:ONet")
    found = cli("verify", keras.source, exports(torch))
    assert found.code == 3
    assert "has shape" in found.words


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_missing_weights_say_what_to_install(
    framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    found = cli("inspect", sample(f"mtcnn_{framework}.py:RNet").source)
    assert found.code == 3
    package = "facenet-pytorch==2.5.3" if framework == "torch" else "mtcnn==1.0.0"
    assert f"pip install --no-deps {package}" in found.err
