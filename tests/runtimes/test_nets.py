"""Whole nets on every runtime: right files pass, exchanged slopes in converted files are named."""

from __future__ import annotations

import re
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
from prelu_tools.backends.opening import open_object, open_source, run_by
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


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.name)
def test_exchanged_slopes_in_its_files_are_named(net: Net, tmp_path: Path) -> None:
    path = save(net, tmp_path)
    source: Any = open_source(str(path), SourceOptions())
    changed = []
    for runtime in RUNTIMES:
        if (net.name, runtime) == ("elementwise", "ncnn"):
            continue  # it fails as it is
        made: Any = run_by(runtime, source.graph)
        files = [made.model.file, made.model.file.with_suffix(".bin")]
        files = [file for file in files if file.exists()]
        copies = [tmp_path / f"{runtime}{file.suffix}" for file in files]
        for file, copy in zip(files, copies, strict=True):
            shutil.copy(file, copy)
        names = _exchange(copies, source.layers())
        changed.append(copies[0])
    of_node = [file for file in changed if file.suffix == ".onnx"]
    others = [file for file in changed if file not in of_node]
    found = list(verify(path, *others, **OPTIONS).candidates)
    for file in of_node:
        found += verify(path, file, runtime="onnxruntime-web", **OPTIONS).candidates[1:]
    assert len(found) == len(changed)
    for report in found:
        _named(report, names)


@pytest.mark.parametrize("net", OF_KERAS, ids=lambda net: net.name)
def test_exchanged_slopes_in_its_tflite_file_are_named(net: Net, tmp_path: Path) -> None:
    model = keras_model(net)
    lite = save_lite(model, tmp_path / "net.tflite")
    names = _exchange([lite], open_object(model, "model", SourceOptions()).layers())
    for report in verify(model, lite, **OPTIONS, **sizes(net, model)).candidates:
        _named(report, names)


def _named(report: Any, names: Sequence[str]) -> None:
    assert report.verdict == "fail"
    assert [layer.name for layer in report.layers if layer.verdict == "fail"] == names
    if len(names) == 1:
        assert any("swapped" in str(layer.difference) for layer in report.layers)


def _exchange(files: Sequence[Path], layers: Sequence[PReLULayer]) -> list[str]:
    """Exchange two slopes where they are in the files; the names of the layers that have them.

    They are of one layer, or of two where each has one slope only.
    """
    names, changes = _exchanged(layers)
    for file in files:
        data = file.read_bytes()
        found = [(_written(old, data), _written(new, data)) for old, new in changes]
        places = [data.find(old) for old, _ in found]
        if min(places) < 0:
            continue
        assert all(data.count(old) == 1 for old, _ in found)
        for place, (old, new) in sorted(zip(places, found, strict=True), reverse=True):
            data = data[:place] + new + data[place + len(old) :]
        file.write_bytes(data)
        return names
    raise AssertionError(f"the slopes of {names} are in none of {files}")


def _written(slopes: Array, data: bytes) -> bytes:
    """Slopes as a file has them: in binary, or a single one as a `.param` has it."""
    raw = slopes.tobytes()
    if slopes.size > 1 or raw in data:
        return raw
    numbers = re.findall(rb"[=,]([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)\s", data)
    return next((text for text in numbers if np.float32(float(text)) == slopes[0]), raw)


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
