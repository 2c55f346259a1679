"""The first 100 files of a corpus of their own; `make fuzz-files` has 20,000 others."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from running import ROOT, environment

from fuzz import worker
from fuzz.corpus import FIRST, KINDS, SEEDS, Case, case

_FIRST = 1_000_000


@pytest.mark.torch
@pytest.mark.keras
def test_a_hundred_broken_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz.files", "--start", str(_FIRST), "--count", "100"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(OMP_NUM_THREADS="1"),
        check=False,
    )
    assert done.stdout.rstrip().endswith(" 0 faults"), done.stdout + done.stderr
    assert "100 files" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("number", range(_FIRST, _FIRST + 2 * len(KINDS)))
def test_a_case_is_always_the_same_file(number: int) -> None:
    first = case(number)
    assert first == case(number)
    assert first.kind == KINDS[number % len(KINDS)]
    assert first.data != (SEEDS / first.seed).read_bytes()


def test_no_case_changes_another_one() -> None:
    numbers = [number for number in range(400) if KINDS[number % len(KINDS)] == ".keras"]
    forwards = {number: case(number).data for number in numbers}
    assert all(case(number).data == forwards[number] for number in reversed(numbers))


def _told(run: Callable[[list[str]], int], monkeypatch: pytest.MonkeyPatch) -> str:
    """The fault that is seen where the command line does this."""
    monkeypatch.setattr(worker, "run", run)
    return worker._run(Case(1, ".onnx", "x.onnx", b""), 0, ["inspect", "x.onnx"]).fault


def _says(text: str, code: int = 3) -> Callable[[list[str]], int]:
    def run(arguments: list[str]) -> int:
        print(text)
        return code

    return run


def _raises(arguments: list[str]) -> int:
    raise ValueError("oh")


def _grows(arguments: list[str]) -> int:
    held = os.urandom(1 << 20) * 600
    print("done")
    return len(held) and 3


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        (_says("Error: no"), ""),
        (_says("fine", 0), ""),
        (_says("fine", 4), "exit code 4"),
        (_says("fine", 139), "exit code 139"),
        (_says("Error: This is a bug in prelu-tools"), "traceback"),
        (_says("Traceback (most recent call last)"), "traceback"),
        (_says("\x1b[2J"), "steers the terminal"),
        (_says("\u202ename"), "steers the terminal"),
        (_says(""), "said nothing"),
        (_raises, "escaped: ValueError: oh"),
        (_grows, "memory: "),
    ],
)
def test_what_a_command_must_not_do_is_seen(
    run: Callable[[list[str]], int], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _told(run, monkeypatch)
    assert told.startswith(fault)
    assert bool(told) == bool(fault)


@pytest.mark.parametrize(
    ("body", "by_the_clock", "fault"),
    [
        ("while True: pass", 300.0, "hang: CPU time"),  # a busy machine gives it little
        ("time.sleep(600)", 1.0, "hang: waits"),
        ("os.abort()", 300.0, "crash: SIGABRT"),
        ("os._exit(0)", 300.0, "crash: exit 0"),
    ],
)
def test_what_ends_the_process_is_seen(
    body: str, by_the_clock: float, fault: str, tmp_path: Path
) -> None:
    script = f"""
    import os, time, sys
    from pathlib import Path
    from fuzz import worker
    from fuzz.files import run_batch

    def run(arguments):
        {body}

    worker.run, worker.CPU_SECONDS, worker.WALL_SECONDS = run, 0.2, {by_the_clock}
    for line in run_batch([0, 9], Path(sys.argv[1])):
        print(line["case"], line["fault"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.stdout == f"0 {fault}\n", done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_files_made_from_nothing_are_always_the_same(kind: str) -> None:
    first = next(
        n
        for n in range(FIRST["structures"], FIRST["structures"] + 99)
        if KINDS[n % len(KINDS)] == kind
    )
    assert case(first).data == case(first).data
    assert case(first).data != case(first + len(KINDS)).data
    assert (case(first).kind, case(first).seed) == (kind, "nothing")
