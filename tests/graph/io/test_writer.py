"""A file is written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from graph_text import model, whole

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.graph.io.writer import refuse_existing, replacing, write_model


@pytest.fixture(params=[0o022, 0o077, 0o002])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def _entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_is_there_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    with replacing(target) as temporary:
        assert not target.exists()
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert _entries(tmp_path) == ["net.onnx"]


def test_the_old_file_stays_until_then(tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    target.write_bytes(b"old")
    with replacing(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [PReLUToolsError, RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_things_as_they_were(
    error: type[BaseException], old: bytes | None, tmp_path: Path
) -> None:
    target = tmp_path / "net.onnx"
    if old is not None:
        target.write_bytes(old)
    with pytest.raises(error), replacing(target) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise error("stop")
    assert _entries(tmp_path) == ([] if old is None else ["net.onnx"])
    assert old is None or target.read_bytes() == old


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    with pytest.raises(PReLUToolsError, match=r"net\.onnx cannot be written: No space left"), \
            replacing(target):  # fmt: skip
        raise OSError(28, "No space left on device")
    assert _entries(tmp_path) == []


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "net.onnx"
    with pytest.raises(PReLUToolsError, match="cannot be written: No such file"), \
            replacing(target):  # fmt: skip
        pass


def test_the_mode_is_that_of_any_new_file(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "net.onnx"
    monkeypatch.setattr(os, "umask", None)  # it is of all threads: nobody may ask for it
    with replacing(target):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~umask


def test_the_bytes_of_a_model_depend_on_nothing_else(tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)")
    sizes = [write_model(whole(proto), tmp_path / name).n_bytes for name in ("a.onnx", "b.onnx")]
    first, second = ((tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert first == second
    assert sizes == [len(first)] * 2
    assert onnx.load(tmp_path / "a.onnx") == proto


@pytest.mark.parametrize("force", [False, True])
def test_a_free_name_is_accepted(force: bool, tmp_path: Path) -> None:
    refuse_existing(tmp_path / "net.onnx", force)


def test_an_existing_file_is_refused_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    target.write_bytes(b"old")
    with pytest.raises(UsageError, match="already exists: use --force"):
        refuse_existing(target, force=False)
    refuse_existing(target, force=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("net", "ends in .onnx"),
        ("net.pt", "ends in .onnx"),
        ("nowhere/net.onnx", "there is no folder"),
        ("", "is a folder"),
        ("folder.onnx", "is a folder"),
    ],
)
@pytest.mark.parametrize("force", [False, True])
def test_a_name_that_cannot_be_written_is_refused(
    name: str, words: str, force: bool, tmp_path: Path
) -> None:
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(UsageError, match=words):
        refuse_existing(tmp_path / name, force)
