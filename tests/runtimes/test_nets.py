"""Whole nets on every runtime: right files pass, exchanged slopes in converted files are named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.nets.build import build
from benchmarks.nets.write import write_torch
from prelu_tools.api import export, verify
from prelu_tools.backends.registry import open_source, run_by
from prelu_tools.core.options import SourceOptions

pytestmark = [pytest.mark.runtimes, pytest.mark.torch]
RUNTIMES = ("ncnn", "openvino", "mnn")
NETS = {
    "pnet": (3, 48, 64), "onet": (3, 48, 48), "fsrcnn": (1, 24, 32), "srvgg": (3, 24, 24),
    "mobilefacenet": (3, 112, 112), "convtasnet": (512, 50),
}  # fmt: skip
"""The sizes of their inputs; those of MTCNN are trained."""


@pytest.fixture(scope="module", params=NETS)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net as torch's own exporter writes it."""
    path = tmp_path_factory.mktemp("nets") / f"{request.param}.onnx"
    write_torch(build(request.param), (1, *NETS[request.param]), path)
    return path


def _source(path: Path) -> Any:
    return open_source(str(path), SourceOptions())


def test_a_right_net_passes_on_every_runtime(net: Path) -> None:
    result = verify(net, net, runtime=RUNTIMES, samples=2, search_seconds=0.0, power=False)
    found = {c.provider.requested: c.verdict for c in result.candidates if c.provider is not None}
    assert found == dict.fromkeys(("cpu", *RUNTIMES), "pass"), result.reasons


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_exchanged_slopes_in_its_file_are_named(net: Path, tmp_path: Path, runtime: str) -> None:
    source = _source(net)
    layer = next((x for x in source.layers() if np.unique(x.slopes).size > 1), None)
    if layer is None:
        assert net.stem == "convtasnet"  # the only one
        pytest.skip("its slopes are shared by all channels: there is nothing to exchange")
    made: Any = run_by(runtime, source.graph)
    main = tmp_path / f"net{made.model.file.suffix}"
    weights = made.model.file.with_suffix(".bin")
    weights = weights if weights.exists() else made.model.file
    shutil.copy(made.model.file, main)
    copy = shutil.copy(weights, main.with_suffix(weights.suffix))
    _exchange(Path(copy), layer.slopes)
    result = verify(net, main, samples=2, search_seconds=0.0, power=False)
    assert result.verdict == "fail"
    failed = [x for x in result.candidates[0].layers if x.verdict == "fail"]
    assert [x.name for x in failed] == [layer.name]
    assert "exchanged" in str(failed[0].difference)


def _exchange(weights: Path, slopes: Any) -> None:
    """Exchange the first two slopes that differ, where they are in the file."""
    data, flat = weights.read_bytes(), slopes.reshape(-1)
    raw = flat.tobytes()
    assert data.count(raw) == 1
    other = flat.copy()
    place = int(np.flatnonzero(flat != flat[0])[0])
    other[[0, place]] = other[[place, 0]]
    weights.write_bytes(data.replace(raw, other.tobytes()))


@pytest.mark.keras
def test_a_keras_net_with_a_slope_for_each_element(tmp_path: Path) -> None:
    """Its `.tflite` passes; as ONNX, ncnn misreads it, and what `--target` writes passes."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    start = keras.initializers.RandomUniform(-0.5, 1)
    model = keras.Sequential([
        keras.Input((12, 12, 3), name="x"),
        keras.layers.Conv2D(5, 3, padding="same"), keras.layers.PReLU(start, name="act"),
        keras.layers.Conv2D(2, 1, name="y"),
    ])  # fmt: skip
    model.save(tmp_path / "net.keras")
    lite = tmp_path / "net.tflite"
    lite.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    options: dict[str, Any] = {"samples": 2, "search_seconds": 0.0, "power": False}
    assert verify(tmp_path / "net.keras", lite, **options).verdict == "pass"
    slopes = np.asarray(model.get_layer("act").weights[0])
    _exchange(lite, slopes)
    wrong = verify(tmp_path / "net.keras", lite, **options)
    assert wrong.verdict == "fail"
    assert "act" in [layer.name for layer in wrong.candidates[0].layers if layer.verdict == "fail"]
    plain = tmp_path / "plain.onnx"
    export(tmp_path / "net.keras", plain, quick=True)
    result = verify(plain, plain, runtime=RUNTIMES, **options)
    found = {c.provider.requested: c.verdict for c in result.candidates if c.provider is not None}
    assert found == {"cpu": "pass", "ncnn": "fail", "openvino": "pass", "mnn": "pass"}
    made = export(tmp_path / "net.keras", tmp_path / "ncnn.onnx", target="ncnn", quick=True)
    assert made.verification is not None
    assert [c.verdict for c in made.verification.candidates] == ["pass", "pass"]
