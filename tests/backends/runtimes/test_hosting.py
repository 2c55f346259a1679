"""A runtime in a process of its own: what it answers, and what becomes of it if it crashes."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import numpy as np
import pytest

from prelu_tools.backends.runtimes import hosting
from prelu_tools.backends.runtimes.hosting import Host
from prelu_tools.core.errors import PReLUToolsError


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """One for all of these tests."""
    found = Host("Toy", "toy_engine")
    yield found
    found.stop()


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int64", "uint8", "bool"])
def test_arrays_come_back_bit_for_bit(host: Host, kind: str) -> None:
    given = [np.arange(6).reshape(2, 3).astype(kind), np.array(1, kind), np.zeros((0, 4), kind)]
    found = host.load({"does": "talk"}, "net").run(given)
    assert [(one.dtype.name, one.shape) for one in found] == [
        (kind, (3, 2)),
        (kind, ()),
        (kind, (4, 0)),
    ]
    assert found[0].tobytes() == np.ascontiguousarray(given[0].T).tobytes()
    assert found[0].flags.writeable


def test_special_values_come_back_too(host: Host) -> None:
    given = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45], np.float32)
    (found,) = host.load({"does": "talk"}, "net").run([given])
    assert found.tobytes() == given.tobytes()


def test_what_is_refused_is_told_in_its_own_words(host: Host) -> None:
    with pytest.raises(PReLUToolsError, match=r"^Toy cannot load the net: no such layer$"):
        host.load({"does": "refuse"}, "the net")


def test_any_other_error_is_told_too_and_ends_nothing(host: Host) -> None:
    model = host.load({"does": "raise"}, "net")
    said = r"^Toy fails on net with inputs \[2, 3\], \[\]: ZeroDivisionError: by nothing$"
    with pytest.raises(PReLUToolsError, match=said):
        model.run([np.ones((2, 3)), np.ones(())])
    assert host.load({"does": ""}, "net").run([np.ones(1)])[0].tolist() == [1]


@pytest.mark.parametrize(("does", "how"), [("crash", "SIGSEGV"), ("exit", "exit code 7")])
def test_a_crash_is_an_error_and_the_others_go_on(host: Host, does: str, how: str) -> None:
    other = host.load({"does": ""}, "other")
    model = host.load({"does": does}, "the net")
    with pytest.raises(PReLUToolsError, match=rf"^Toy crashes on the net \({how}\)$"):
        model.run([np.ones(2)])
    assert other.run([np.ones(2)])[0].tolist() == [1, 1]
    with pytest.raises(PReLUToolsError, match="crashes"):
        model.run([np.ones(2)])


def test_an_answer_that_is_no_array_of_numbers_is_refused(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosting, "_ENDING", 0.0)  # it does not end
    with pytest.raises(PReLUToolsError, match="cannot be read"):
        host.load({"does": "garble"}, "net").run([])
    assert host.load({"does": ""}, "net").run([np.ones(1)])[0].tolist() == [1]


def test_one_that_takes_too_long_is_ended(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    model = host.load({"does": "sleep"}, "net")
    monkeypatch.setattr(hosting, "_SECONDS", 0.0)
    with pytest.raises(PReLUToolsError, match="Toy takes longer than 0 s on net"):
        model.run([np.ones(2)])


def test_models_that_nobody_has_any_more_are_let_go(host: Host) -> None:
    kept, gone = (host.load({"does": ""}, name) for name in ("kept", "gone"))
    number = gone._number
    del gone
    gc.collect()
    assert host._dropped == [number]
    assert kept.run([np.ones(1)])[0].tolist() == [1]
    assert host._dropped == []
    with pytest.raises(PReLUToolsError, match="KeyError"):
        host.exchange(kept._generation, {"run": number}, [], "gone")


def test_another_process_has_a_runtime_of_its_own(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a fork: two would talk to one."""
    model = host.load({"does": ""}, "net")
    first = host._process
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert model.run([np.ones(1)])[0].tolist() == [1]
    second = host._process
    assert first is not None
    assert second is not first
    assert first.poll() is None
    host.stop()
    monkeypatch.undo()
    first.kill()
    first.wait()


def test_nothing_in_the_current_folder_is_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open("json.py", "w", encoding="utf-8") as file:
        file.write("raise SystemExit(9)")
    host = Host("Toy", "toy_engine")
    assert host.load({"does": ""}, "net").run([np.ones(1)])[0].tolist() == [1]
    host.stop()
