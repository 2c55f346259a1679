"""Replace rows for which the reference returns NaN, because they prove nothing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prelu_tools.commands.verify.inputs.domains import Domains
from prelu_tools.commands.verify.inputs.drawing import Drawer
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.inputs.rows import mixed
from prelu_tools.commands.verify.inputs.trial_runs import Trial
from prelu_tools.core.arrays import IntArray
from prelu_tools.core.results.reasons import Reason

_ATTEMPTS = 4
_FIRST = 100  # the number of the first run with replacement rows


class RowReplacer:
    """Replaces rows that are of no use."""

    def __init__(self, drawer: Drawer, trial: Trial) -> None:
        """Take the drawer and the runner."""
        self._drawer = drawer
        self._trial = trial
        self._number = _FIRST
        self._replaced = 0
        self._left = 0
        self._seen = 0

    def mended(self, runs: Sequence[Feeds]) -> list[Feeds]:
        """The runs with rows that give NaN replaced; also a second run of the first row."""
        rows = self._drawer.rows
        alone = len(runs) > 1 and rows.count(runs[1]) == 1 < rows.count(runs[0])
        first = rows.take(runs[0], [0]) if alone else {}
        is_first = alone and all(np.array_equal(v, runs[1][name]) for name, v in first.items())
        found = [self._run(run) for i, run in enumerate(runs) if not (is_first and i == 1)]
        if is_first:
            found.insert(1, rows.take(found[0], [0]))
        return found

    def _run(self, run: Feeds) -> Feeds:
        count = self._drawer.rows.count(run)
        self._seen += count
        bad = self._bad(run)
        for _ in range(_ATTEMPTS if len(bad) else 0):
            other = self._drawer.run(self._drawer.sizes_of(run), count, self._number)
            self._number += 1
            good = np.setdiff1d(np.arange(count), self._bad(other))
            if not len(good):
                continue
            trial = self._joined(run, other, bad, good, count)
            left = self._bad(trial)
            if len(left) < len(bad):
                self._replaced += len(bad) - len(left)
                run, bad = trial, left
            if not len(bad):
                break
        self._left += len(bad)
        return run

    def _joined(self, run: Feeds, other: Feeds, bad: IntArray, good: IntArray, count: int) -> Feeds:
        if not self._drawer.rows.names:
            return other
        places = np.arange(count)
        places[bad] = count + np.resize(good, len(bad))
        return mixed(self._drawer.rows, run, other, places)

    def _bad(self, run: Feeds) -> IntArray:
        usable = self._trial.usable(run, self._drawer.rows)
        if usable is None:
            return np.arange(0)  # the reason for a failure is reported when it is run
        return np.flatnonzero(~usable)

    def notes(self) -> list[Reason]:
        """How many rows were replaced."""
        if not self._replaced:
            return []
        text = f"{self._replaced} of {self._seen} input rows gave NaN in the reference"
        more = "to stay in the model's domain, use --input-range"
        return [Reason(f"{text}, and were replaced by others; {more}", "rows_replaced")]

    def doubts(self, domains: Domains) -> list[Reason]:
        """What to do about rows that could not be replaced."""
        if not self._left:
            return []
        names = " or ".join(n for n, values in domains.items() if values.origin != "asked")
        return [
            Reason(
                f"the reference gives NaN for {self._left} of {self._seen} input rows, whatever "
                f"was tried: set the values of {names or 'the inputs'} with --input-range "
                "NAME=LOW,HIGH",
                "rows_with_nan",
            )
        ]
