"""Nothing that lies beside a model, or is called like Python, is ever run."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import cli, environment

from prelu_tools import inspect
from prelu_tools.backends.files import isolated
from prelu_tools.backends.source_spec import FileName, parse_source_spec
from prelu_tools.batch.lists.models import expand
from prelu_tools.batch.lists.pairs import pairs_of
from prelu_tools.batch.worker import Worker
from prelu_tools.core.errors import PReLUToolsError, UsageError

COMMAND = Path(sys.executable).with_name("prelu-tools")
ODD = ("evil.py:Net@w.pt", "evil.py:Net@w.onnx", "evil.py:Net.onnx", "evil.py:Net(1).keras")


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which every module that a reader may want says that it was run."""
    monkeypatch.chdir(tmp_path)
    for name in ("json", "numpy", "h5py", "pickle", "ml_dtypes", "psutil", "multiprocessing"):
        Path(f"{name}.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'a').write('{name} ')\n")
    with zipfile.ZipFile("model.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    Path("model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return tmp_path


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("more", [[], ["--jobs", "2"]], ids=["one", "workers"])
def test_no_module_of_the_folder_is_imported(name: str, more: list[str], stranger: Path) -> None:
    arguments = [COMMAND, "inspect", name, *more]
    done = subprocess.run(arguments, capture_output=True, env=environment(), check=False)
    assert done.returncode == 3, done.stderr
    assert not (stranger / "RAN").exists()


def test_a_reader_does_not_look_in_pythonpath(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(stranger))
    monkeypatch.setattr(isolated, "launch", isolated.in_new_process)
    with pytest.raises(PReLUToolsError, match="cannot be read: it is not an HDF5 file"):
        isolated.run_isolated("prelu_tools.backends.files.keras.h5:read", Path("model.h5"))
    assert not (stranger / "RAN").exists()


def test_a_worker_does_not_look_in_the_current_folder(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("")
    worker = Worker()
    try:
        worker._ready()
    finally:
        worker.stop()
    assert not (stranger / "RAN").exists()


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of links to nothing, called like Python sources; the Python is there."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "batch"
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'RAN')!r}, 'w')\n")
    for name in ODD:
        (folder / name).symlink_to("nowhere")
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "batch", "--each"],
        ["inspect", "batch/*", "--each"],
        ["inspect", "batch/evil.py:Net@w.pt"],
        ["export", "batch", "-o", "out/", "--no-verify"],
        ["export", "batch/*.keras", "-o", "out/"],
        ["verify", "batch", "batch"],
        ["verify", "batch/*.keras", "batch/{stem}.onnx"],
        ["verify", "batch/{stem}.keras", "batch/{stem}.onnx"],
        ["verify", "batch/evil.py:Net(1).keras", "batch/*"],
    ],
    ids=" ".join,
)
def test_what_a_folder_or_a_pattern_gives_is_a_file(arguments: list[str], odd: Path) -> None:
    assert cli(*arguments).code == 3
    assert not (odd / "RAN").exists()
    assert "evil" not in sys.modules


def test_a_file_that_goes_away_meanwhile_stays_a_file(odd: Path) -> None:
    for name in ODD:
        (odd / "batch" / name).unlink()
        (odd / "batch" / name).touch()
    found = expand(["batch", "batch/*.onnx"], "inspect")
    for name in ODD:
        (odd / "batch" / name).unlink()
    assert len(found) == len(ODD)
    for one in found:
        spelling = parse_source_spec(one.text)
        assert (spelling.file, spelling.module) == (Path(one.text), None)


def test_a_path_of_pathlib_is_a_file(odd: Path) -> None:
    with pytest.raises(PReLUToolsError, match="no such file"):
        inspect(Path("batch/evil.py:Other"))
    assert not (odd / "RAN").exists()


def test_names_of_files_are_no_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "os.mkdir('RAN').pt").touch()
    with pytest.raises(UsageError, match="not a name in Python"):
        pairs_of("nets.py:{stem}@w/{stem}.pt", ["out/{stem}.onnx"])
    with pytest.raises(UsageError, match="not a name in Python"):
        pairs_of("w/*.pt", ["nets.py:{stem}@x.pt"])
    (pair,) = pairs_of("w/*.pt", ["nets.py:Net@w/{name}"])
    assert isinstance(pair.reference, FileName)
    assert pair.candidates == ("nets.py:Net@w/os.mkdir('RAN').pt",)
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "evil.py:Net@x.pt").touch()
    ((candidate,),) = (one.candidates for one in pairs_of("v/*.pt", ["out/{stem}.onnx"]))
    assert candidate == "out/evil.py:Net@x.onnx"
    assert parse_source_spec(candidate).module is None


def test_a_list_names_sources(odd: Path) -> None:
    with (odd / "batch/evil.py").open("a") as file:
        file.write("Other = 3\n")  # what is not there is refused before anything runs
    (odd / "list.txt").write_text("batch/evil.py:Other\n")
    assert cli("inspect", "list.txt").code == 3
    assert (odd / "RAN").exists()
    sys.modules.pop("evil", None)


def test_a_named_module_finds_its_neighbours_and_hides_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("mine_a", "mine_b"):
        (tmp_path / f"{name}.py").write_text("import neighbour\n\ndef net():\n    return 3\n")
    (tmp_path / "neighbour.py").touch()
    (tmp_path / "colorsys.py").write_text("raise SystemExit\n")
    for name in ("mine_a", "mine_b"):
        with pytest.raises(PReLUToolsError, match="is of type int"):
            inspect(f"{tmp_path}/{name}.py:net")
        assert sys.path[-1] == str(tmp_path)
    import colorsys

    assert colorsys.__file__ is not None
    assert not colorsys.__file__.startswith(str(tmp_path))
    for name in ("mine_a", "mine_b", "neighbour"):
        sys.modules.pop(name, None)


def _model(path: Path) -> None:
    slope = numpy_helper.from_array(np.array([0.25], np.float32), "a")
    values = [helper.make_tensor_value_info(name, 1, ["N", 3]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "a"], ["y"])], "g", values[:1], values[1:], [slope]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


@pytest.mark.parametrize("source", ["batch", "batch/**/*.onnx", "batch/*/*.onnx"])
def test_a_folder_that_cannot_be_listed_is_an_error_of_the_run(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("batch/a.onnx", "batch/open/b.onnx", "batch/shut/c.onnx"):
        _model(Path(place))
    assert cli("inspect", source, "--each").code == 0
    listed, scanned = os.listdir, os.scandir

    def refuse(path: str | int) -> None:
        if not isinstance(path, int) and Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", lambda path=".": refuse(path) or listed(path))
    monkeypatch.setattr(os, "scandir", lambda path=".": refuse(path) or scanned(path))
    found = cli("inspect", source, "--each")
    assert found.code == 3
    assert "batch/shut" in found.words
    assert "batch/open/b.onnx" in found.words


def test_links_to_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for place in ("batch/run/a.onnx", "batch/.store/b.onnx", "other/c.onnx"):
        _model(Path(place))
    Path("batch/latest").symlink_to("run")
    Path("batch/round").symlink_to(".")
    Path("batch/shown").symlink_to(".store")
    assert [one.text for one in expand(["batch"], "inspect")] == [
        "batch/run/a.onnx",
        "batch/shown/b.onnx",
    ]
    Path("batch/outside").symlink_to("../other")
    found = cli("inspect", "batch", "--each")
    assert found.code == 3
    assert "batch/outside is a link to the folder" in found.words
