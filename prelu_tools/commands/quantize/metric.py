"""The user's own metric: a function of a model's outputs and of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from prelu_tools.backends.source_spec import import_named
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError

Metric = Callable[[Mapping[str, Array], Mapping[str, Array]], float]
"""Called with outputs and data by name, all rows at once; more is better."""


def load_metric(label: str) -> Metric:
    """The function that is named.

    Args:
        label: `package.module:name` or `path/file.py:name`.

    Raises:
        UsageError: it is spelled otherwise, or there is no such function.
    """
    module, colon, name = label.rpartition(":")
    if not (module and colon and name.isidentifier()):
        raise UsageError(f"--metric {label}: expected FILE.py:NAME or package.module:NAME")
    found = vars(import_named(module)).get(name)
    if not callable(found):
        raise UsageError(f"--metric {label}: {module} has no function {name!r}")
    metric: Metric = found
    return metric


def measured(
    metric: Metric,
    label: str,
    results: Sequence[Mapping[str, Array]],
    feeds: Sequence[Feeds],
    extra: Mapping[str, Array],
) -> float:
    """The value of a metric for the outputs of some runs.

    Args:
        metric: the function.
        label: its name for messages.
        results: the outputs of each run.
        feeds: the inputs of each run.
        extra: further arrays, of the rows of all runs.

    Raises:
        PReLUToolsError: it fails, or returns no number.
    """
    outputs = {name: _joined([run[name] for run in results]) for name in results[0]}
    data = {name: _joined([feed[name] for feed in feeds]) for name in feeds[0]}
    try:
        found = float(metric(outputs, {**data, **extra}))
    except Exception as error:  # the user's own code
        raise PReLUToolsError(
            f"--metric {label} failed with {type(error).__name__}: {error}"
        ) from error
    if not np.isfinite(found):
        raise PReLUToolsError(f"--metric {label} returned {found}: expected a finite number")
    return found


def _joined(arrays: Sequence[Array]) -> Array:
    return np.concatenate(arrays) if arrays[0].ndim else np.stack(arrays)
