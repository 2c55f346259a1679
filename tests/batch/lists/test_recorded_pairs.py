"""Two folders: what was recorded in the first one is a reference for what the second one has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from running import cli
from tiny_models import save_dense

import prelu_tools
from prelu_tools.batch.lists.models import references_in
from prelu_tools.batch.lists.pairs import pairs_of
from prelu_tools.core.errors import PReLUToolsError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """References with a record, a model and inputs in an .npz file; and what is compared."""
    left, right = tmp_path / "references", tmp_path / "onnx"
    left.mkdir()
    right.mkdir()
    for name in ("recorded", "model"):
        save_dense(right / f"{name}.onnx")
    save_dense(left / "model.onnx")
    prelu_tools.record(right / "recorded.onnx", left / "recorded.npz")
    np.savez(left / "inputs.npz", x=np.zeros(3, np.float32))
    return left, right


def test_records_and_models_make_pairs_and_other_files_do_not(folders: tuple[Path, Path]) -> None:
    left, right = folders
    pairs = pairs_of(str(left), [str(right)])
    assert [(Path(p.reference).name, Path(p.candidates[0]).name) for p in pairs] == [
        ("model.onnx", "model.onnx"), ("recorded.npz", "recorded.onnx"),
    ]  # fmt: skip
    found = cli("verify", left, right, "--quick", "--format", "json", "--jobs", "0")
    assert found.code == 0, found.words


def test_what_a_record_fixes_is_refused_in_a_list_as_on_the_command_line(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders[0].parent)
    pair, why = ("references/recorded.npz", "onnx/recorded.onnx"), "is a record, whose inputs are"
    alone = cli("verify", *pair, "--input", "x:4,3")
    assert (alone.code, why in alone.words) == (2, True)
    row = f'[[checks]]\nreference = "{pair[0]}"\ncandidates = ["{pair[1]}"]\n'
    Path("own.toml").write_text(f'{row}input = ["x:4,3"]\n')
    listed = cli("verify", "own.toml", "--jobs", "0")
    assert (listed.code, f"input would be ignored: {pair[0]} {why}" in listed.words) == (3, True)
    Path("plain.toml").write_text(row)  # an option for all checks counts where it is needed
    assert cli("verify", "plain.toml", "--jobs", "0", "--input", "x:4,3").code == 0
    Path("own.toml").write_text(f'{row}input = ["z:4,3"]\n')
    assert "input z: no such input in" in cli("verify", "own.toml", "--jobs", "0").words


def test_a_record_is_no_candidate(folders: tuple[Path, Path]) -> None:
    left, right = folders
    (left / "model.onnx").unlink()
    with pytest.raises(PReLUToolsError, match="contains no models"):
        pairs_of(str(right), [str(left)])
    assert [Path(one.text).name for one in references_in(str(left))] == ["recorded.npz"]
