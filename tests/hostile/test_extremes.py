"""ONNX files at the ends of what the format can say: depth, length, shapes beyond any memory."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from running import cli
from tiny_models import save_dense, save_prelu

DEPTH = 10_000
LONG = "n" * 10_000_000


def _field(number: int, content: bytes) -> bytes:
    """A message as a field of another one."""
    size, digits = len(content), []
    while True:
        digits.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if not size:
            return bytes([number << 3 | 2, *digits]) + content


def _if_in_if(depth: int) -> bytes:
    """A graph with an If whose branch has an If, and so on."""
    graph = b""
    for _ in range(depth):
        branch = _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05"  # of type GRAPH
        graph = _field(1, _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + _field(5, branch))
    return graph


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deep") / "net.onnx"
    path.write_bytes(b"\x08\x08" + _field(7, _if_in_if(DEPTH)) + _field(8, b"\x10\x12"))
    return path


@pytest.mark.parametrize("command", ["inspect", "export", "verify", "optimize"])
def test_bodies_in_bodies_ten_thousand_deep(command: str, deep: Path, tmp_path: Path) -> None:
    out = tmp_path / "made.onnx"
    more = {"verify": (deep,), "inspect": ()}.get(command, ("-o", out))
    found = cli(command, deep, *more)
    assert found.code == 3
    assert len(found.err.strip().splitlines()) == 1, found.err[:500]
    assert "net.onnx" in found.err
    assert not out.exists()


@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_a_name_of_ten_megabytes_is_cut_where_people_read(form: str, tmp_path: Path) -> None:
    path = _named(save_dense(tmp_path / "net.onnx"))
    found = cli("inspect", path, "--report", f"{form}={tmp_path / 'report'}", "-q")
    assert found.code == 0, found.err[:500]
    assert (tmp_path / "report").stat().st_size < 1_000_000


def test_a_name_of_ten_megabytes_is_whole_where_programs_read(tmp_path: Path) -> None:
    path = _named(save_dense(tmp_path / "net.onnx"))
    found = cli("inspect", path, "--format", "json")
    assert found.json["layers"][0]["nodes"] == [LONG]


def test_a_name_of_ten_megabytes_is_cut_in_a_sentence(tmp_path: Path) -> None:
    path = save_prelu(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.node[-1].input[0] = LONG
    onnx.save(model, path)
    found = cli("inspect", path)
    assert found.code == 3
    assert len(found.err) < 10_000
    assert "nnn" in found.err


def _named(path: Path) -> Path:
    """The model, with a long name of its PRelu."""
    model = onnx.load(path)
    (node,) = (node for node in model.graph.node if node.op_type == "PRelu")
    node.name = LONG
    onnx.save(model, path)
    return path
