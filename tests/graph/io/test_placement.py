"""A model and the file of its weights are put in place together, or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import Array, initializers, model, numbers, run

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.writer import refuse_existing, write_model

X = numbers(2, 3, 4, 5)
DATA = {1: "net.onnx.b53b729baac252b7.data", 2: "net.onnx.2a8320e7008ae767.data"}
"""What the weights of seeds 1 and 2 are called: after their content."""


def _model(seed: int) -> OnnxModel:
    made = OnnxModel(model("y = Conv(x, w)", outputs="float[N,40,H,W] y"), None)
    made.proto.graph.initializer.append(made.tensor("w", numbers(40, 3, 3, 3, seed=seed)))
    return made


def _put(path: Path, seed: int, external: str, force: bool = False) -> None:
    with placing(path, force) as temporary:
        write_model(_model(seed), temporary, external)  # type: ignore[arg-type]


def _weight(path: Path) -> Array:
    return initializers(onnx.load(path))["w"]


def _entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


BEFORE_AND_AFTER = [
    (before, after) for before in (None, "never", "always") for after in ("never", "always")
]


@pytest.mark.parametrize(("before", "after"), BEFORE_AND_AFTER)
def test_the_new_model_is_there_with_what_it_needs(
    before: str | None, after: str, tmp_path: Path
) -> None:
    target = tmp_path / "net.onnx"
    if before is not None:
        _put(target, 1, before)
    with placing(target, force=True) as temporary:
        write_model(_model(2), temporary, after)  # type: ignore[arg-type]
        # It runs where it is, and the old one is as it was.
        assert np.array_equal(_weight(temporary), numbers(40, 3, 3, 3, seed=2))
        assert before is None or np.array_equal(_weight(target), numbers(40, 3, 3, 3, seed=1))
    data = [DATA[2]] if after == "always" else []
    assert _entries(tmp_path) == ["net.onnx", *data]
    assert run(onnx.load(target), x=X)[0].shape == (2, 40, 2, 3)
    assert np.array_equal(_weight(target), numbers(40, 3, 3, 3, seed=2))


@pytest.mark.parametrize("error", [PReLUToolsError, RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(("before", "after"), BEFORE_AND_AFTER)
def test_an_error_leaves_things_as_they_were(
    error: type[BaseException], before: str | None, after: str, tmp_path: Path
) -> None:
    target = tmp_path / "net.onnx"
    if before is not None:
        _put(target, 1, before)
    entries = _entries(tmp_path)
    with pytest.raises(error), placing(target, force=True) as temporary:  # noqa: PT012
        write_model(_model(2), temporary, after)  # type: ignore[arg-type]
        raise error("stop")
    assert _entries(tmp_path) == entries
    assert before is None or np.array_equal(_weight(target), numbers(40, 3, 3, 3, seed=1))


@pytest.mark.parametrize("before", [None, "never", "always"])
@pytest.mark.parametrize("same", [False, True])
def test_an_error_between_the_two_renames_is_undone(
    before: str | None, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the weights are the same ones, too."""
    target = tmp_path / "net.onnx"
    if before is not None:
        _put(target, 1, before)
    entries = _entries(tmp_path)
    replace = Path.replace

    def failing(self: Path, other: Path) -> Path:
        if other == target:
            raise OSError(28, "No space left on device")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(PReLUToolsError, match=r"net\.onnx cannot be written: No space left"):
        _put(target, 1 if same else 2, "always", force=True)
    monkeypatch.undo()
    assert _entries(tmp_path) == entries
    assert before is None or np.array_equal(_weight(target), numbers(40, 3, 3, 3, seed=1))


def test_what_was_made_in_the_meantime_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    with pytest.raises(UsageError, match=r"net\.onnx already exists: use --force"):  # noqa: PT012, SIM117
        with placing(target, force=False) as temporary:
            write_model(_model(2), temporary, "always")
            target.write_text("precious")
    assert _entries(tmp_path) == ["net.onnx"]
    assert target.read_text() == "precious"


def test_data_of_an_older_name_go_with_their_model(tmp_path: Path) -> None:
    """As torch's exporter calls them."""
    target = tmp_path / "net.onnx"
    _put(target, 1, "never")
    old = onnx.load(target)
    onnx.save(old, target, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    _put(target, 2, "always", force=True)
    assert _entries(tmp_path) == ["net.onnx", DATA[2]]


@pytest.mark.parametrize("after", ["never", "always"])
def test_data_that_another_model_uses_stay(after: str, tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    _put(target, 1, "always")
    (tmp_path / "kept.onnx").write_bytes(target.read_bytes())
    (tmp_path / "odd.onnx").write_bytes(b"no model")
    _put(target, 2, after, force=True)
    assert DATA[1] in _entries(tmp_path)
    assert np.array_equal(_weight(tmp_path / "kept.onnx"), numbers(40, 3, 3, 3, seed=1))


def test_the_same_weights_may_be_there_already(tmp_path: Path) -> None:
    _put(tmp_path / "net.onnx", 1, "always")
    (tmp_path / "net.onnx").replace(tmp_path / "kept.onnx")
    _put(tmp_path / "net.onnx", 1, "always")
    assert _entries(tmp_path) == ["kept.onnx", "net.onnx", DATA[1]]
    for name in ("net.onnx", "kept.onnx"):
        assert np.array_equal(_weight(tmp_path / name), numbers(40, 3, 3, 3, seed=1))


def test_a_file_of_that_name_that_is_no_ones_data_stays(tmp_path: Path) -> None:
    _put(tmp_path / "net.onnx", 1, "never")
    (tmp_path / "net.onnx.data").write_text("notes")
    _put(tmp_path / "net.onnx", 2, "never", force=True)
    assert (tmp_path / "net.onnx.data").read_text() == "notes"


@pytest.mark.parametrize("content", [b"", b"no model"])
def test_a_file_that_is_no_model_can_be_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(content)
    _put(tmp_path / "net.onnx", 2, "always", force=True)
    assert _entries(tmp_path) == ["net.onnx", DATA[2]]


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError, match="cannot be written: No such file"):
        _put(tmp_path / "nowhere" / "net.onnx", 1, "never")


def test_the_modes_are_those_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        _put(tmp_path / "net.onnx", 1, "always")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"net.onnx": 0o640, DATA[1]: 0o640}


def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files, which the system answers as it does a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        for external in ("never", "always"):
            with pytest.raises(PReLUToolsError, match="cannot be written: File too large"):
                _put(tmp_path / "net.onnx", 1, external)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _entries(tmp_path) == []


def test_a_folder_that_takes_no_files_is_a_sentence() -> None:
    """Not even from root, whom no permission stops."""
    with pytest.raises(PReLUToolsError, match=r"/proc/net\.onnx cannot be written"):
        _put(Path("/proc/net.onnx"), 1, "never")


def test_a_folder_without_permission_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PReLUToolsError, match="no permission to write in its folder"):
        refuse_existing(tmp_path / "net.onnx", force=False)
