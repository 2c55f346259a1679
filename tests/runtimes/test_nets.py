"""Whole nets on every runtime: right files pass, exchanged slopes in converted files are named."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.runtimes.nets import (
    NETS,
    OPTIONS,
    Net,
    answers,
    keras_model,
    runtimes,
    save,
    save_lite,
    sizes,
)
from prelu_tools.api import export, verify
from prelu_tools.backends.registry import open_source, run_by
from prelu_tools.core.arrays import Array
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer

pytestmark = [pytest.mark.runtimes, pytest.mark.torch, pytest.mark.keras]
RUNTIMES = runtimes()
OF_KERAS = [net for net in NETS if net.name == "elementwise" or net.keras]


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_a_right_net_passes_on_every_runtime_that_reads_its_slopes(
    net: Net, tmp_path: Path
) -> None:
    found = {name: report.verdict for name, report in answers(net, RUNTIMES, tmp_path)}
    expected = dict.fromkeys(("cpu", *RUNTIMES, *(["litert"] if net in OF_KERAS else [])), "pass")
    if net.name == "elementwise":
        expected["ncnn"] = "fail"
        made = export(tmp_path / "elementwise.onnx", tmp_path / "for.onnx", target="ncnn")
        assert made.verification is not None
        assert [x.verdict for x in made.verification.candidates] == ["pass", "pass"]
    assert found == expected


@pytest.fixture(scope="module", params=NETS, ids=lambda net: net.name)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each net as an ONNX file."""
    return save(request.param, tmp_path_factory.mktemp("nets"))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_exchanged_slopes_in_its_file_are_named(path: Path, tmp_path: Path, runtime: str) -> None:
    if (path.stem, runtime) == ("elementwise", "ncnn"):
        pytest.skip("ncnn misreads it as it is")
    source: Any = open_source(str(path), SourceOptions())
    made: Any = run_by(runtime, source.graph)
    files = [made.model.file, made.model.file.with_suffix(".bin")]
    copies = [tmp_path / f"net{file.suffix}" for file in files if file.exists()]
    for file, copy in zip(files, copies, strict=False):
        shutil.copy(file, copy)
    names = _exchange(copies, source.layers())
    runs = {"runtime": runtime} if copies[0].suffix == ".onnx" else {}
    result = verify(path, copies[0], **runs, **OPTIONS)
    _named(result.candidates[-1], names)


@pytest.mark.parametrize("net", OF_KERAS, ids=lambda net: net.name)
def test_exchanged_slopes_in_its_tflite_file_are_named(net: Net, tmp_path: Path) -> None:
    model = keras_model(net)
    lite = save_lite(model, tmp_path / "net.tflite")
    names = _exchange([lite], open_source(model, SourceOptions()).layers())
    for report in verify(model, lite, **OPTIONS, **sizes(net, model)).candidates:
        _named(report, names)


def _named(report: Any, names: Sequence[str]) -> None:
    assert report.verdict == "fail"
    assert [layer.name for layer in report.layers if layer.verdict == "fail"] == names
    if len(names) == 1:
        assert any("exchanged" in str(layer.difference) for layer in report.layers)


def _exchange(files: Sequence[Path], layers: Sequence[PReLULayer]) -> list[str]:
    """Exchange two slopes where they are in the files; the names of the layers that have them.

    They are of one layer, or of two where each has one slope only.
    """
    names, changes = _exchanged(layers)
    for file in files:
        data = file.read_bytes()
        for write in (_bits, _digits):
            found = [(data.find(write(old)), write(old), write(new)) for old, new in changes]
            if min(place for place, _, _ in found) < 0:
                continue
            for place, old, new in sorted(found, reverse=True):
                assert data.count(old) == 1
                file.write_bytes(data := data[:place] + new + data[place + len(old) :])
            return names
    raise AssertionError(f"the slopes of {names} are in none of {files}")


def _exchanged(layers: Sequence[PReLULayer]) -> tuple[list[str], list[tuple[Array, Array]]]:
    for layer in layers:
        old = layer.slopes.reshape(-1)
        others = np.flatnonzero(old != old[0])
        if others.size:
            new = old.copy()
            new[[0, others[0]]] = old[[others[0], 0]]
            return [layer.name], [(old, new)]
    first, *rest = layers
    second = next(layer for layer in rest if not np.array_equal(layer.slopes, first.slopes))
    pair = first.slopes.reshape(-1), second.slopes.reshape(-1)
    return [first.name, second.name], [pair, pair[::-1]]


def _bits(slopes: Array) -> bytes:
    return slopes.tobytes()


def _digits(slopes: Array) -> bytes:
    """As ncnn's `.param` has a single one."""
    return f"{slopes[0]:e}".encode()
