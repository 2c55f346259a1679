"""Temporary files: gone at the end, and gone after a kill, but never another run's."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, environment

from prelu_tools.core.files import scratch
from prelu_tools.core.files.scratch import locked, scratch_file, scratch_folder

_KILLED = """
import os, signal, sys
from pathlib import Path
from prelu_tools.core.files.scratch import scratch_file, scratch_folder
path = Path(sys.argv[1])
with scratch_file(path), scratch_folder(path) as folder:
    (folder / "large").write_bytes(bytes(1000))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def _entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _kill_one(path: Path) -> None:
    env = environment(PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", _KILLED, path], env=env, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_nothing_stays(error: type[BaseException] | None, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    try:
        with scratch_file(path) as file, scratch_folder(path) as folder:
            assert file.parent == folder.parent == tmp_path
            (folder / "sub").mkdir()
            (folder / "sub" / "file").write_text("x")
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt):
        pass
    assert _entries(tmp_path) == []


def test_what_a_killed_run_left_goes_with_the_next_one_to_that_path(tmp_path: Path) -> None:
    path = tmp_path / "[net].onnx"
    _kill_one(path)
    left = _entries(tmp_path)
    assert len(left) == 2
    with scratch_file(tmp_path / "other.onnx"):
        pass
    assert _entries(tmp_path) == left
    seen = []
    with scratch_folder(path, seen.append):
        assert not set(_entries(tmp_path)) & set(left)
    assert sorted(found.name for found in seen) == left
    assert _entries(tmp_path) == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with scratch_folder(path) as folder, scratch_file(path) as file:
        with scratch_folder(path), scratch_file(path):
            pass
        assert folder.is_dir()
        assert file.is_file()


def test_what_goes_while_another_run_looks_is_not_made_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its owner removed it between the moment it was found and the moment it is opened."""
    gone = tmp_path / ".net.onnx.prelu-tools-gone"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    with scratch_folder(tmp_path / "net.onnx", lambda left: (left / "under-way").unlink()):
        assert not gone.exists()
    assert not list(tmp_path.iterdir())


def test_files_that_are_only_called_alike_stay(tmp_path: Path) -> None:
    for name in (".net.onnx.previous", ".net.onnx.data", "net.onnx.prelu-tools-x"):
        (tmp_path / name).touch()
    (tmp_path / "precious").write_text("x")
    (tmp_path / ".net.onnx.prelu-tools-link").symlink_to(tmp_path / "precious")
    before = _entries(tmp_path)
    with scratch_folder(tmp_path / "net.onnx"):
        pass
    assert (tmp_path / "precious").read_text() == "x"
    assert set(before) - set(_entries(tmp_path)) <= {".net.onnx.prelu-tools-link"}


def test_a_long_name_has_temporary_files_too(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / ("é" * 120 + ".onnx")) as folder:
        assert folder.is_dir()


def test_a_file_system_without_locks_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    _kill_one(path)
    left = _entries(tmp_path)

    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with scratch_file(path), locked(tmp_path):
        pass
    assert _entries(tmp_path) == left


def test_a_lock_that_is_never_let_go_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "PATIENCE", 0.05)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(OSError, match="another process holds a lock"), locked(tmp_path):
            pass
    finally:
        os.close(descriptor)


def test_writing_within_a_scratch_folder_does_not_wait_for_itself(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "out") as folder, scratch_file(folder / "in") as file:
        assert file.exists()
