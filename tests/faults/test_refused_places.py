"""Full disks, folders that take nothing, and other places where no file can be written."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from running import ROOT, Outcome, cli, environment, process
from tiny_models import save_dense, save_graph

# What writes a file, and the exit code where its place is a folder.
WRITERS = {
    "export": (2, ("export", "{net}", "-o", "{place}/out.onnx", "--force", "-q")),
    "external": (2, ("export", "{net}", "-o", "{place}/out.onnx", "--external-data", "always",
                     "--force", "-q")),
    "optimize": (2, ("optimize", "{net}", "-o", "{place}/out.onnx", "--no-tune", "--force", "-q")),
    "json": (3, ("inspect", "{net}", "--report", "json={place}/out.onnx", "-q")),
    "html": (3, ("inspect", "{net}", "--report", "html={place}/out.onnx", "-q")),
    "plot": (3, ("inspect", "{net}", "--plot", "{place}/out.png", "-q")),
    "inputs": (3, ("verify", "{net}", "{net}", "--save-inputs", "{place}/out.onnx", "--no-power",
                   "-q")),
    "junit": (3, ("verify", "{net}", "{net}", "--report", "junit={place}/out.onnx", "--no-power",
                  "-q")),
    "bundle": (3, ("verify", "{net}", "{other}", "--bundle", "{place}/out.onnx", "--no-power",
                   "-q")),
}  # fmt: skip


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two nets of 160 KB that differ by a slope."""
    folder = tmp_path_factory.mktemp("nets")
    made = {}
    for name, slope in (("net", 0.25), ("other", 0.5)):
        tensors = {
            "w": np.random.default_rng(0).normal(size=(4, 8000)).astype(np.float32),
            "a": np.full(8000, slope, np.float32),
        }
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["h"], name="dense"),
            helper.make_node("PRelu", ["h", "a"], ["y"], name="act"),
        ]
        sizes = {"x": ("n", 4)}, {"y": ("n", 8000)}
        made[name] = save_graph(folder / f"{name}.onnx", nodes, *sizes, tensors)
    return made


def _arguments(writer: str, nets: dict[str, Path], place: Path) -> list[str]:
    if writer == "plot":
        pytest.importorskip("matplotlib")
    return [part.format(place=place, **nets) for part in WRITERS[writer][1]]


def _target(writer: str, place: Path) -> Path:
    return place / ("out.png" if writer == "plot" else "out.onnx")


def _files(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _refused(found: Outcome, code: int, *words: str) -> None:
    assert found.code == code, found.words
    assert "Traceback" not in found.err
    assert "This is a bug" not in found.err
    assert any(word in found.words for word in words), found.words


@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "bundle"])
def test_a_path_that_is_a_folder(writer: str, nets: dict[str, Path], tmp_path: Path) -> None:
    _target(writer, tmp_path).mkdir()
    (_target(writer, tmp_path) / "precious").write_text("kept")
    before = _files(tmp_path)
    found = cli(*_arguments(writer, nets, tmp_path))
    _refused(found, WRITERS[writer][0], "is a folder", "Is a directory")
    assert _files(tmp_path) == before


def test_a_bundle_where_a_file_is(nets: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "out.onnx").write_text("kept")
    _refused(cli(*_arguments("bundle", nets, tmp_path)), 2, "is a file")
    assert _files(tmp_path) == {"out.onnx": b"kept"}


@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "bundle"])
def test_a_folder_that_is_not_there(writer: str, nets: dict[str, Path], tmp_path: Path) -> None:
    found = cli(*_arguments(writer, nets, tmp_path / "nowhere"))
    _refused(found, 2, "there is no folder")  # looked for before anything runs
    assert _files(tmp_path) == {}


# Every module is loaded before the rights are given up, as another user may not read them.
_AS_NOBODY = """
import contextlib, io, json, os, sys
from pathlib import Path
from prelu_tools.cli.main import run
place, *arguments = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()):
    run([part.replace(place + "/out", place + "/open/out") for part in arguments])
if os.getuid() == 0:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
sys.exit(run(arguments))
"""


@pytest.mark.parametrize("writer", WRITERS)
def test_no_permission(writer: str, nets: dict[str, Path]) -> None:
    """As another user than root, whom no permission stops."""
    with tempfile.TemporaryDirectory() as made:  # pytest's own folders are closed to others
        place = Path(made)
        (place / "open").mkdir()
        copies = {name: place / f"{name}.onnx" for name in nets}
        for name, path in nets.items():
            copies[name].write_bytes(path.read_bytes())
        before = _files(place)
        place.chmod(0o555)
        command = [sys.executable, "-c", _AS_NOBODY, str(place)]
        done = subprocess.run(
            [*command, *_arguments(writer, copies, place)],
            capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
        )  # fmt: skip
        place.chmod(0o755)
        found = Outcome(done.returncode, done.stdout, done.stderr)
        _refused(found, 3, "no permission", "Permission")
        shutil.rmtree(place / "open")
        (place / "open").mkdir()
        assert _files(place) == before


@contextlib.contextmanager
def _mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system in memory."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _fill(file: Path, but: int) -> None:
    """Fill a disk up to the last bytes."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    os.truncate(file, file.stat().st_size - but)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk(writer: str, old: bool, nets: dict[str, Path], tmp_path: Path) -> None:
    """What is there stays, and nothing is added: with no room at all, and with too little."""
    place = tmp_path / "small"
    with _mounted(place, "size=512k"):
        if old and writer == "bundle":
            _target(writer, place).mkdir()
            (_target(writer, place) / "command.txt").write_text("old")
        elif old:
            _target(writer, place).write_text("old")
        for room in (0, 8192) if writer in ("export", "external", "optimize") else (0,):
            _fill(place / "filler", room)
            before = _files(place)
            found = cli(*_arguments(writer, nets, place))
            _refused(found, 3, "No space left on device")
            made = {_target(writer, place).name: None} if writer == "bundle" else {}
            assert _files(place) == {**made, **before}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_disk_that_is_read_only(writer: str, nets: dict[str, Path], tmp_path: Path) -> None:
    place = tmp_path / "sealed"
    with _mounted(place, "size=64k,ro"):
        found = cli(*_arguments(writer, nets, place))
        _refused(found, 3, "Read-only file system", "no permission to write")
        assert _files(place) == {}


@pytest.mark.parametrize("writer", ["export", "external", "optimize", "bundle"])
def test_a_file_that_grows_too_large(writer: str, nets: dict[str, Path], tmp_path: Path) -> None:
    """As a quota answers, and a full disk where none can be mounted."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        found = cli(*_arguments(writer, nets, tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    _refused(found, 3, "File too large")
    assert _files(tmp_path) == ({"out.onnx": None} if writer == "bundle" else {})


@pytest.mark.parametrize("options", ["size=64k", "size=64k,ro"])
def test_no_room_for_temporary_files(options: str, nets: dict[str, Path], tmp_path: Path) -> None:
    place = tmp_path / "temporary"
    with _mounted(place, "size=64k"):
        _fill(place / "filler", 0)
        if options.endswith("ro"):
            remount = ["mount", "-o", "remount,ro", str(place)]
            subprocess.run(remount, check=True)
        env = environment(TMPDIR=str(place), TEMP=str(place), TMP=str(place))
        out = tmp_path / "out"
        out.mkdir()
        found = process(*_arguments("export", nets, out), cwd=place, env=env)
        assert found.code in (0, 3), found.words  # it may find another folder for them
        assert "Traceback" not in found.err
        assert "This is a bug" not in found.err
        assert list(_files(out)) == (["out.onnx"] if found.code == 0 else [])


def test_standard_output_that_is_full(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    net = save_dense(tmp_path / "net.onnx")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "prelu_tools", "inspect", net],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
            check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert "standard output cannot be written: No space left on device" in done.stderr


def test_choices_that_cannot_be_read(nets: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"schema_version": 1, "kind": "opti')
    for choices in ("missing.json", "half.json", "."):
        found = cli("optimize", nets["net"], "-o", tmp_path / "out.onnx", "--choices",
                    tmp_path / choices)  # fmt: skip
        _refused(found, 3, "cannot be read", "is not", "is no")
        assert not (tmp_path / "out.onnx").exists()
