"""What `export` refuses, before it has read or written anything that matters."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import Outcome, cli


def _export(source: object, output: Path, *more: str) -> Outcome:
    found = cli("export", source, "-o", output, *more)
    assert found.out == ""
    assert found.err.startswith(("Error: ", "Usage: "))
    assert "bug in prelu-tools" not in found.err
    return found


def _module(folder: Path, text: str) -> Path:
    path = folder / "written_nets.py"
    path.write_text(text, encoding="utf-8")
    return path


# The output


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    there = tmp_path / "there.onnx"
    there.write_bytes(b"precious")
    found = _export("missing.py:Net", there)
    assert found.code == 2
    assert f"{there} already exists: use --force to replace it" in found.err
    assert there.read_bytes() == b"precious"


def test_force_does_not_touch_the_file_before_there_is_another(tmp_path: Path) -> None:
    there = tmp_path / "there.onnx"
    there.write_bytes(b"precious")
    assert _export("missing.py:Net", there, "--force").code == 3
    assert there.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [there]


def test_a_folder_that_is_missing_is_not_made(tmp_path: Path) -> None:
    found = _export("missing.py:Net", tmp_path / "nowhere" / "net.onnx")
    assert found.code == 2
    assert f"there is no folder {tmp_path / 'nowhere'}" in found.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["net.pb", "net", "-"])
def test_a_name_that_is_none_for_a_model_is_refused(tmp_path: Path, name: str) -> None:
    found = _export("missing.py:Net", tmp_path / name)
    assert found.code == 2
    assert ".onnx" in found.err


def test_a_folder_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    found = _export("missing.py:Net", tmp_path / "folder.onnx", "--force")
    assert found.code == 2
    assert "is a folder" in found.err


def test_an_output_has_to_be_named() -> None:
    found = cli("export", "missing.py:Net")
    assert found.code == 2
    assert "--output" in found.err


@pytest.mark.parametrize("opset", ["12", "99", "0", "-1"])
def test_an_opset_that_cannot_be_written_is_usage(tmp_path: Path, opset: str) -> None:
    found = _export("missing.py:Net", tmp_path / "net.onnx", "--opset", opset)
    assert found.code == 2
    assert f"opset {opset} cannot be written" in found.err


def test_an_opset_that_is_no_number_is_a_usage_error(tmp_path: Path) -> None:
    assert _export("missing.py:Net", tmp_path / "net.onnx", "--opset", "latest").code == 2


# The source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("missing.py:Net", "missing.py cannot be read: no such file"),
        ("missing.keras", "missing.keras cannot be read: no such file"),
        ("missing_package.nets:Net", "importing missing_package.nets failed"),
    ],
)
def test_a_source_that_is_missing_is_no_verdict(tmp_path: Path, source: str, words: str) -> None:
    found = _export(source, tmp_path / "net.onnx")
    assert found.code == 3
    assert words in found.err


def test_a_file_of_another_kind_is_no_verdict(tmp_path: Path) -> None:
    text = tmp_path / "net.bin"
    text.write_text("net")
    found = _export(text, tmp_path / "net.onnx")
    assert found.code == 3
    assert ".keras" in found.err


def test_a_python_file_needs_a_name_in_it(tmp_path: Path) -> None:
    path = _module(tmp_path, "class Net: ...\n")
    found = _export(path, tmp_path / "net.onnx")
    assert found.code == 2
    assert f"use {path}:Net" in found.err


def test_an_unknown_name_is_answered_with_what_there_is(tmp_path: Path) -> None:
    path = _module(tmp_path, "class Big: ...\nclass Small: ...\n_private = 1\n")
    found = _export(f"{path}:Medium", tmp_path / "net.onnx")
    assert found.code == 2
    assert "has no 'Medium'; it has Big, Small" in found.err
    assert "_private" not in found.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("class Net: ...\nraise RuntimeError('no luck')", "failed with RuntimeError: no luck"),
        ("import nothing_like_it\nclass Net: ...", "No module named 'nothing_like_it'"),
        ("def Net(:\n", "failed with SyntaxError"),
        ("def Net():\n    raise ValueError('too small')", "failed with ValueError: too small"),
        ("def Net(*sizes):\n    return sizes + 1", "failed with TypeError"),
    ],
)
def test_code_that_fails_is_no_verdict(tmp_path: Path, text: str, words: str) -> None:
    found = _export(f"{_module(tmp_path, text)}:Net", tmp_path / "net.onnx")
    assert found.code == 3
    assert words in found.err
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def Net(size):\n    return size", "needs its argument size: use '"),
        ("def Net():\n    return 3", "is of type int: expected a torch.nn.Module"),
        ("Net = 'text'", "is of type str: expected a torch.nn.Module"),
    ],
)
def test_what_has_to_be_named_or_called_differently_is_usage(
    tmp_path: Path, text: str, words: str
) -> None:
    found = _export(f"{_module(tmp_path, text)}:Net", tmp_path / "net.onnx")
    assert found.code == 2
    assert words in found.err
    assert not (tmp_path / "net.onnx").exists()


@pytest.mark.parametrize("text", ["Net = None\nraise SystemExit(0)", "import sys\nNet = sys.exit"])
def test_code_that_exits_does_not_decide_the_exit_code(tmp_path: Path, text: str) -> None:
    found = _export(f"{_module(tmp_path, text)}:Net", tmp_path / "net.onnx")
    assert found.code == 3


@pytest.mark.parametrize("call", ["Net(size)", "Net(1 + n)", "Net(**{'a': 1})", "Net(open('x'))"])
def test_arguments_that_are_no_literals_are_a_usage_error(tmp_path: Path, call: str) -> None:
    path = _module(tmp_path, "def Net(*args, **kwargs): return args\n")
    found = _export(f"{path}:{call}", tmp_path / "net.onnx")
    assert found.code == 2
    assert "literal arguments" in found.err


@pytest.mark.parametrize(
    "text", ["x", "x:", ":batch,3", "x:batch,,3", "x:batch,-2", "x:batch,0", "x:3.5", "x:a b"]
)
def test_an_input_that_is_none_is_a_usage_error(tmp_path: Path, text: str) -> None:
    found = _export("missing.py:Net", tmp_path / "net.onnx", "--input", text)
    assert found.code == 2
    assert "x:batch,3,112,112" in " ".join(found.err.split())


def test_weights_belong_to_python_sources_only(tmp_path: Path) -> None:
    archive = tmp_path / "net.keras"
    archive.write_bytes(b"")
    found = _export(f"{archive}@{tmp_path}/net.weights.h5", tmp_path / "net.onnx")
    assert found.code == 2
    assert "weights can be given for a Python source only" in found.err
