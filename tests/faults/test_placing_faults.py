"""A model and its weights, where the process ends at each step of the placing, or has rivals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from running import ROOT, environment

_SCRIPT = Path(__file__).with_name("placing_script.py")
CASES = [
    (before, after)
    for before in ("nothing", "never", "always", "same")
    for after in ("never", "always")
]


def _run(*arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, _SCRIPT, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(PYTHONPATH=str(ROOT)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_kill_at_any_step_leaves_a_whole_model(before: str, after: str, tmp_path: Path) -> None:
    """The next run to that path removes what was left."""
    found = _run(tmp_path, "kill", before, after)
    assert found["steps"] > 20
    assert found["left_over"] > 5
    assert found["not_cleaned"] == 0
    if (before, after) == ("same", "always"):
        assert set(found["found"]) == {"same"}
    else:
        assert set(found["found"]) == {"nothing" if before == "nothing" else "old", "new"}


@pytest.mark.parametrize(("before", "after"), CASES[1::2])
def test_ctrl_c_at_any_step_leaves_nothing_but_a_whole_model(
    before: str, after: str, tmp_path: Path
) -> None:
    found = _run(tmp_path, "interrupt", before, after)
    assert found["steps"] > 20
    assert (found["left_over"], found["not_cleaned"]) == (0, 0)
    assert set(found["found"]) <= {"nothing" if before == "nothing" else "old", "new", "same"}


def test_of_several_runs_to_one_path_the_last_one_stays_whole(tmp_path: Path) -> None:
    found = _run(tmp_path, "race", "force")
    assert found == {"codes [0, 0, 0, 0]": 25, "whole": 25, "2 files": 25}


def test_of_several_runs_that_may_replace_nothing_one_wins(tmp_path: Path) -> None:
    found = _run(tmp_path, "race", "timid")
    assert found == {"codes [0, 2, 2, 2]": 25, "whole": 25, "2 files": 25}
