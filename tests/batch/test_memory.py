"""Who may start: nobody waits alone, and what is promised to others is not free."""

from __future__ import annotations

import threading

import pytest

from prelu_tools.batch.memory import MemoryGate, available_memory, likely_need
from prelu_tools.batch.plan import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1.5GiB", 3 << 29), ("4096", 4096), ("1k", 1000)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "2 apples", "0", "1IB", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # it is the text itself
        parse_size(text)


def test_larger_models_need_more_and_inspecting_needs_less() -> None:
    assert likely_need("verify", 10**9) > likely_need("verify", 10**6)
    assert likely_need("inspect", 10**9) < likely_need("export", 10**9)
    assert available_memory() > 0


def _waits(gate: MemoryGate, who: str, need: int, given_back: list[str]) -> threading.Thread:
    def enter() -> None:
        if gate.enter(who, need, lambda: 0, lambda: given_back.append(who)):
            given_back.append(f"{who} started")

    thread = threading.Thread(target=enter)
    thread.start()
    return thread


def test_the_next_waits_until_there_is_room() -> None:
    told: list[str] = []
    gate = MemoryGate(lambda: 1000)
    _waits(gate, "first", 800, told).join()
    second = _waits(gate, "second", 300, told)  # 1000 are free, and 800 of them are promised
    second.join(0.2)
    assert second.is_alive()
    gate.leave("first")
    second.join()
    assert told == ["first started", "second", "second started"]


def test_what_is_taken_already_is_not_promised_too() -> None:
    gate = MemoryGate(lambda: 200)  # the first holds its 800
    assert gate.enter("first", 800, lambda: 800, lambda: None)
    assert gate.enter("second", 200, lambda: 0, lambda: None)


def test_one_alone_starts_whatever_it_needs() -> None:
    assert MemoryGate(lambda: 0).enter("only", 10**12, lambda: 0, lambda: None)


def test_a_gate_that_is_shut_lets_nobody_in() -> None:
    told: list[str] = []
    gate = MemoryGate(lambda: 100)
    gate.enter("first", 50, lambda: 0, lambda: None)
    second = _waits(gate, "second", 90, told)
    gate.shut()
    second.join()
    assert "second started" not in told
