"""A name out of a file makes no line of its own, in any format, in any message."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import cli, environment

from prelu_tools import inspect, verify

COMMAND = Path(sys.executable).with_name("prelu-tools")
NAMES = (
    "::error::pwned",
    "a\nPASS  16 inputs, 4 of 4 slopes",
    "a\r\n::error file=x,line=1::pwned",
    "a\u2028PASS b",
    "long " * 20 + "::warning::pwned",
    "##[error]pwned",
    "##vso[task.setvariable variable=x]y",
    "\x1b]0;title\x07\x1b[2J",
    "\u202egnp.exe",
    "\x85PASS",
    "x" * 3000,
)
FORMATS = ("table", "json", "markdown", "csv", "html", "junit", "github")


def _net(path: Path, name: str, slopes: tuple[float, ...] = (0.5, 0.25, 0.125)) -> Path:
    tensor = numpy_helper.from_array(np.array(slopes, np.float32), f"{name}.weight")
    values = [helper.make_tensor_value_info(v, 1, ["n", 3]) for v in ("x", "y")]
    node = helper.make_node("PRelu", ["x", tensor.name], ["y"], name=name)
    graph = helper.make_graph([node], "g", values[:1], values[1:], [tensor])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path
    )
    return path


def _lines(text: str) -> list[str]:
    """As a log and a terminal break them."""
    return [part.strip() for line in text.split("\n") for part in line.split("\r")]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("form", FORMATS)
def test_no_line_belongs_to_a_name(form: str, name: str, tmp_path: Path) -> None:
    net, other = _net(tmp_path / "a.onnx", name), _net(tmp_path / "b.onnx", name, (1.0, 2.0, 3.0))
    command = ["verify", net, other, "--samples", "2", "--no-power", "--search-seconds", "0"]
    if form in ("table", "json", "markdown", "csv", "html"):
        command = ["inspect", net, "--slopes"]
    found = cli(*command, "--format", form)
    assert found.code in (0, 1), found.words
    text = found.out
    for line in _lines(text):
        assert not line.startswith("PASS")
        assert form == "github" or not line.startswith("::")
        assert "pwned" not in line or not line.startswith(("::error::", "::warning::"))
        assert "##[" not in line
        assert "##vso[" not in line
    assert not {"\x1b", "\x07", "\u202e", "\x85", "\u2028"} & set(text)
    if form == "json":
        assert json.loads(text)["layers"][0]["name"] == name


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_line_of_an_error_belongs_to_a_name(name: str, tmp_path: Path) -> None:
    proto = onnx.load(_net(tmp_path / "a.onnx", name))
    proto.graph.node[0].input[1] = f"{name}\n::error::missing"
    (tmp_path / "a.onnx").write_bytes(proto.SerializeToString())
    for more in ([], ["-v"]):
        found = cli("inspect", tmp_path / "a.onnx", *more)
        assert found.code == 3
        starts = [line for line in _lines(found.err) if line.startswith(("::", "PASS", "##"))]
        assert starts == []
        assert not {"\x1b", "\x07", "\u202e"} & set(found.err)


def test_an_error_is_one_line(tmp_path: Path) -> None:
    found = cli("inspect", f"{tmp_path}/no\n::error::such.onnx")
    assert found.code == 3
    assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+2", "-2+3", "@SUM(1)", "=1"])
def test_no_cell_of_csv_is_a_formula(name: str, tmp_path: Path) -> None:
    net = _net(tmp_path / "a.onnx", name, (-0.5, 0.25, float("-inf")))
    for arguments in ([net], [tmp_path, "--jobs", "1"]):
        found = cli("inspect", *arguments, "--format", "csv", "--slopes")
        (row,) = csv.DictReader(io.StringIO(found.out))
        assert row["layer"] == f"'{name}"
        assert row["nodes"] == f"'{name}"
        assert row["min"] == "-Infinity"
        assert row["slopes"].split()[0] == "-0.5"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_of_few_characters(encoding: str, tmp_path: Path) -> None:
    _net(tmp_path / "a.onnx", "層\udce9é".encode("utf-8", "ignore").decode())
    kept = environment(PYTHONIOENCODING=encoding)
    for arguments in (["inspect", "a.onnx"], ["inspect", "a.onnx", "--format", "markdown"]):
        done = subprocess.run(
            [COMMAND, *arguments], capture_output=True, env=kept, cwd=tmp_path, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_file_name_that_is_no_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.onnx")
    _net(tmp_path / "a.onnx", "act").rename(tmp_path / name)
    quick = ["--samples", "1", "--no-power", "--search-seconds", "0"]
    for arguments in (
        ["inspect", name],
        ["inspect", name, "--format", "json"],
        ["inspect", ".", "--each"],
        ["verify", name, name, *quick],
        ["export", name, "-o", "made.onnx"],
        ["export", name, "-o", "made.onnx", "--no-verify", "--force"],
        ["optimize", name, "-o", "fast.onnx", "--no-tune"],
        ["verify", ".", "."],
    ):
        done = subprocess.run(
            [COMMAND, *arguments], capture_output=True, env=environment(), cwd=tmp_path, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0 or b"a name that is not UTF-8" in b" ".join(said.split())
        assert b"This is a bug" not in said
        assert done.returncode == 0 or arguments[0] != "inspect"


@pytest.mark.parametrize("name", ["x" * 3000 + ".onnx", "x" * 3000, "a\0b.onnx"])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"{name}\n")
    for arguments in (
        ["inspect", name],
        ["inspect", tmp_path / "list.txt"],
        ["verify", name, name],
        ["export", name, "-o", tmp_path / "made.onnx"],
    ):
        found = cli(*arguments)
        assert found.code in (2, 3), found.words
        assert "This is a bug" not in found.words


def test_results_compare_and_hash(tmp_path: Path) -> None:
    net = _net(tmp_path / "a.onnx", "act", (0.5, float("nan"), 0.25))
    other = _net(tmp_path / "b.onnx", "act", (0.5, float("nan"), 0.5))
    one, two, third = inspect(net), inspect(net), inspect(other)
    assert (one == two, hash(one) == hash(two), one == third) == (True, True, False)
    assert len({one.layers[0].layer, two.layers[0].layer}) == 1

    def held() -> Any:
        return verify(net, net, samples=2, power=False, search_seconds=0)

    left, right = held(), held()
    assert (left == right, hash(left) == hash(right)) == (True, True)
    assert left != one
