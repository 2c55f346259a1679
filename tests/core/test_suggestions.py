"""Files that are not there are answered with what lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prelu_tools.core.suggestions import no_such_file


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Nets/speach.onnx", "Nets/speech.onnx"),
        ("Nets/Speech.onxx", "Nets/speech.onnx"),
        ("nets/speech.onnx", "Nets/speech.onnx"),
        ("Netz/other.onnx", "Nets"),
        ("Nets/final.weights.hd5", "Nets/final.weights.h5"),
        ("Nets/speech.keras", None),
        ("Nets/vision.onnx", None),
        ("far/away/speech.onnx", None),
    ],
)
def test_the_nearest_file_of_the_same_kind_is_named(
    typed: str, meant: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Nets").mkdir()
    for name in ("speech.onnx", "final.weights.h5", "readme.md"):
        (tmp_path / "Nets" / name).touch()
    end = f"; did you mean {Path(meant)}?" if meant else ""
    assert no_such_file(typed) == f"{Path(typed)} cannot be read: no such file{end}"
