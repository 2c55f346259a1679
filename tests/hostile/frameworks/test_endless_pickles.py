"""Pickles that loop, hash without end or ask for all memory end in a sentence, and soon."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
from attacks import rewritten
from running import cli

from fuzz.corpus import SEEDS
from prelu_tools.backends.files import isolated
from prelu_tools.backends.files.isolated import Limits, limits_for
from prelu_tools.core.files.plain_pickles import is_plain

pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def _archive(path: Path, content: bytes) -> Path:
    """A file as torch.save writes one."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
    return path


def _itself() -> bytes:
    found: dict[str, object] = {}
    found["model"] = {"state_dict": found}
    return pickle.dumps(found, 2)


def _array_of_bytes(size: int) -> bytes:
    number = b"\x8a\x05" + size.to_bytes(5, "little")
    return b"\x80\x02}X\x01\x00\x00\x00acbuiltins\nbytearray\n" + number + b"\x85Rs."


def _tuples_as_key() -> bytes:
    """A dict with a key of tuples, each twice the one before."""
    steps = (b"h" + bytes([i - 1]) + b"\x86q" + bytes([i]) for i in range(1, 60))
    return b"\x80\x02})q\x00" + b"".join(steps) + b"K\x01s."


@pytest.fixture(autouse=True)
def one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of CPU time for any file."""
    monkeypatch.setattr(
        isolated, "limits_for", lambda size: Limits(1, 60.0, limits_for(size).memory)
    )


FILES = {
    "of itself": (_itself(), "contains no state dict"),
    "all memory": (_array_of_bytes(3 << 30), "takes more than"),
    "a key without an end": (_tuples_as_key(), "s of CPU time"),
    "a list of itself": (b"\x80\x02]q\x00h\x00a.", "contains a list"),
}


@pytest.mark.parametrize("name", FILES)
def test_it_ends(name: str, tmp_path: Path) -> None:
    content, said = FILES[name]
    (tmp_path / "nets.py").write_text(
        "import torch\n\ndef net():\n    return torch.nn.Sequential(torch.nn.PReLU())\n"
    )
    path = _archive(tmp_path / "w.pt", content)
    found = cli("inspect", path)
    assert (found.code, said in found.words) == (3, True), found.words
    assert "This is a bug" not in found.words
    if name in ("all memory", "a key without an end"):
        found = cli("inspect", f"{tmp_path}/nets.py:net@{path}")
        assert (found.code, said in found.words) == (3, True), found.words


@pytest.mark.parametrize("name", ["all memory", "a key without an end"])
def test_it_ends_as_sample_inputs_of_a_program(name: str, tmp_path: Path) -> None:
    content, said = FILES[name]
    inner = _archive(tmp_path / "inputs.pt", content).read_bytes()
    path = rewritten(
        SEEDS / "net.pt2",
        tmp_path / "net.pt2",
        lambda member, held: inner if "/sample_inputs/" in member else held,
    )
    found = cli("inspect", path)
    assert (found.code, said in found.words) == (3, True), found.words


def test_what_is_plain_needs_no_rehearsal() -> None:
    import io

    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.PReLU(3), torch.nn.BatchNorm1d(3))
    for value, plain in (
        (net.state_dict(), True),
        ({"epoch": 3, "state_dict": dict(net.state_dict()), "best": (0.5, None)}, True),
        ({(1, 2): [torch.zeros(2, dtype=torch.bfloat16)]}, True),
        ({"a": bytearray(3)}, False),
        ({"a": torch.zeros(2, 2).to_sparse()}, False),
        (net, False),
    ):
        out = io.BytesIO()
        torch.save(value, out)
        with zipfile.ZipFile(out) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
            assert is_plain(archive.read(name)) is plain, value
    assert not is_plain(_tuples_as_key())
    assert not is_plain(_array_of_bytes(5))
    assert not is_plain(b"\x80\x02cos\nsystem\nq\x00.")
    assert not is_plain(b"\x80\x02}q\x00")


def test_an_archive_that_can_be_read_in_two_ways(tmp_path: Path) -> None:
    path = _archive(tmp_path / "w.pt", pickle.dumps({}, 2))
    path.write_bytes(b"\x80\x02}." + path.read_bytes())
    found = cli("inspect", path)
    assert (found.code, "can be read in two ways" in found.words) == (3, True), found.words
