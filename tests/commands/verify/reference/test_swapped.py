"""Sides that are evidently swapped are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense

from prelu_tools import verify
from prelu_tools.core.results.reasons import code_of


def test_an_export_in_the_place_of_its_source_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_dense(Path("net.onnx"))
    assert cli("export", "net.onnx", "-o", "made.onnx", "--no-verify").code == 0
    found = verify("made.onnx", "net.onnx", quick=True)
    (note,) = [note for note in found.notes if code_of(note) == "sides_swapped"]
    assert note.startswith("made.onnx was exported from net.onnx, which is the candidate here: ")
    assert note.endswith("(verify net.onnx made.onnx)")
    assert found.verdict == "pass"
    for pair in (("net.onnx", "made.onnx"), ("made.onnx", "made.onnx")):
        assert "sides_swapped" not in map(code_of, verify(*pair, quick=True).notes)
