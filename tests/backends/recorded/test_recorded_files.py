"""Records that are damaged, hostile, of another kind or of another time: one sentence each."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from running import Outcome, cli
from tiny_models import save_dense

import prelu_tools

Members = dict[str, Any]
Change = Callable[[Members, dict[str, Any]], None]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, with its record beside it."""
    path = save_dense(tmp_path_factory.mktemp("records") / "net.onnx")
    prelu_tools.record(path, path.with_suffix(".npz"), samples=2, search_seconds=0.0)
    return path


def _changed(net: Path, target: Path, change: Change) -> Path:
    """A copy of the record, its header and members changed."""
    with np.load(net.with_suffix(".npz")) as file:
        members = dict(file)
    header = json.loads(members.pop("header").tobytes())
    change(members, header)
    if "header" not in members:
        members["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(target, **members)
    return target


def _verify(record: Path, net: Path) -> Outcome:
    found = cli("verify", record, net, "--no-power")
    assert "This is a bug" not in found.words, found.words
    return found


def _set(*path: Any, to: Any) -> Change:
    """Put a value into the header."""

    def change(_members: Members, header: dict[str, Any]) -> None:
        place: Any = header
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def _put(pick: Callable[[dict[str, Any]], str], values: Any) -> Change:
    """Put other values into a member."""

    def change(members: Members, header: dict[str, Any]) -> None:
        old = members[pick(header)]
        members[pick(header)] = values(old) if callable(values) else values

    return change


def _output(header: dict[str, Any]) -> Any:
    return header["runs"][0]["outputs"]["y"]


def _without_header(members: Members, _header: dict[str, Any]) -> None:
    members["header"] = np.zeros(3, np.float32)


_WRONG: dict[str, tuple[Change, str]] = {
    "newer": (
        _set("format_version", to=2),
        "is a record of format 2, but this version of prelu-tools reads",
    ),
    "no version": (_set("format_version", to="x"), "its format_version is 'x'"),
    "other kind": (_set("format", to="something"), "is not a record of a model"),
    "no JSON": (_without_header, "its header is not JSON"),
    "a text": (_set("seed", to="one"), "seed is 'one'; expected a whole number"),
    "no field": (lambda _m, h: h.pop("runs") and None, "it has no 'runs'"),
    "no runs": (_set("runs", to=[]), "it has no run"),
    "no member": (_set("runs", 0, "inputs", "x", to="nowhere"), "it has no array 'nowhere'"),
    "no input": (_set("runs", 0, "inputs", to={}), "a run has no input 'x'"),
    "no such axis": (_set("row_axes", "x", to=7), "input 'x' is float32 [2, 4]"),
    "no output": (_set("runs", 0, "outputs", to={}), "a run has no output 'y'"),
    "input shape": (
        _put(lambda h: h["runs"][0]["inputs"]["x"], np.zeros((2, 5), np.float32)),
        "input 'x' is float32 [2, 5]",
    ),
    "input type": (
        _put(lambda h: h["runs"][0]["inputs"]["x"], np.zeros((2, 4), np.int8)),
        "input 'x' is int8",
    ),
    "limit NaN": (
        _put(lambda h: _output(h)["spread"]["scale"], lambda old: np.full_like(old, np.nan)),
        "a limit is not a number of 0 or more",
    ),
    "limit shape": (
        _put(lambda h: _output(h)["spread"]["scale"], np.zeros((7, 3), np.float32)),
        "a limit is of shape [7, 3]",
    ),
    "counts": (
        _put(lambda h: h["runs"][0]["counts"]["act"], np.zeros(9, np.int64)),
        "does not say which slopes of act were reached",
    ),
    "call": (
        _put(lambda h: h["runs"][0]["calls"][0]["scale"], np.zeros((1, 1), np.float32)),
        "a tensor is of shape [1, 1]",
    ),
    "slopes": (
        _put(lambda h: h["layers"][0]["layer"]["slopes"], np.zeros((1, 1, 3), np.float32)),
        "the slopes of act have shape [1, 1, 3]",
    ),
    "objects": (
        _put(lambda h: h["runs"][0]["inputs"]["x"], np.array([[1, "a"]], object)),
        "is an array of Python objects",
    ),
}


@pytest.mark.parametrize("kind", _WRONG)
def test_what_is_wrong_with_a_record_is_said(kind: str, net: Path, tmp_path: Path) -> None:
    change, expected = _WRONG[kind]
    found = _verify(_changed(net, tmp_path / "bad.npz", change), net)
    assert (found.code, expected in found.words) == (3, True), found.words


def test_the_type_of_an_output_is_that_of_its_values(net: Path, tmp_path: Path) -> None:
    record = _changed(net, tmp_path / "other.npz", _set("outputs", "y", "dtype", to="x"))
    assert _verify(record, net).code == 0


def test_a_file_of_inputs_is_no_record(net: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, x=np.zeros((2, 4), np.float32))
    found = _verify(inputs, net)
    assert found.code == 3
    assert "is not a record of a model (it has the arrays x)" in found.words


def test_unknown_keys_are_passed_over(net: Path, tmp_path: Path) -> None:
    record = _changed(net, tmp_path / "more.npz", _set("later", to={"a": 1}))
    assert _verify(record, net).code == 0


def _member(values: Any) -> bytes:
    file = io.BytesIO()
    npy.write_array(file, values)
    return file.getvalue()


def test_a_record_that_would_fill_the_memory_is_refused(net: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.npz"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, info in ((n, None) for n in ("header", *map(str, range(6)))):
            archive.writestr(info or f"{name}.npy", _member(np.zeros(64 << 20, np.uint8)))
    found = _verify(bomb, net)
    assert found.code == 3
    assert "is rejected: it unpacks to" in found.words


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (np.full((16 << 20) + 1, ord(" "), np.uint8), "its header has"),
        (np.frombuffer(b"[" * 100_000, np.uint8), "its header is not JSON"),
    ],
    ids=["large", "deeply nested"],
)
def test_an_impossible_header_is_refused(
    net: Path, tmp_path: Path, header: Any, words: str
) -> None:
    def change(members: Members, _header: dict[str, Any]) -> None:
        members["header"] = header

    found = _verify(_changed(net, tmp_path / "header.npz", change), net)
    assert (found.code, words in found.words) == (3, True)


def test_two_members_of_one_name_are_refused(net: Path, tmp_path: Path) -> None:
    twice = tmp_path / "twice.npz"
    twice.write_bytes(net.with_suffix(".npz").read_bytes())
    with (
        zipfile.ZipFile(twice, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr("header.npy", _member(np.zeros(2, np.uint8)))
    found = _verify(twice, net)
    assert (found.code, "twice" in found.words) == (3, True)


_VALUES = (None, -1, 0, 7, 2**70, 1e308, True, "", "x", [], [1], {}, {"a": 1}, "runs/0/inputs/0")


def _places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    found = [path] if path else []
    return found + [one for key, item in items for one in _places(item, (*path, key))]


@pytest.mark.parametrize("seed", range(4))
def test_no_header_whatsoever_is_a_defect(seed: int, net: Path, tmp_path: Path) -> None:
    """One value of the header is another one; the models are right, so that none of these fails."""
    generator = np.random.default_rng(seed)
    with np.load(net.with_suffix(".npz")) as file:
        places = _places(json.loads(file["header"].tobytes()))
    for number in range(40):
        place = places[generator.integers(len(places))]
        value = _VALUES[generator.integers(len(_VALUES))]
        record = _changed(net, tmp_path / f"{number}.npz", _set(*place, to=value))
        found = _verify(record, net)
        assert found.code in (0, 1, 3), (place, value, found.words)
