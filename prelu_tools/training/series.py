"""How slopes moved, for programs and notebooks."""

from __future__ import annotations

import os

from prelu_tools.arguments import PathLike
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.results.series import SeriesResult


@speaking_python
def inspect_series(
    *sources: PathLike, near: float = 0.01, allow_unsafe_load: bool = False
) -> SeriesResult:
    """How the slopes of each layer moved: as `prelu-tools inspect --series`.

    Args:
        sources: a log (`slopes.jsonl`), or at least two checkpoints of one training run. These are
            sorted by the numbers in their names, if the names differ only in numbers.
        near: how close to 0 (or 1) a slope has to be to count as ReLU (or the identity).
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.

    Returns:
        Every layer at every point, with what was found. Jupyter shows it as a page with charts.

    Raises:
        UsageError: there are fewer than two checkpoints, or a log is not alone.
        PReLUToolsError: one cannot be read.
    """
    from prelu_tools.commands.inspect.request import InspectRequest
    from prelu_tools.commands.inspect.series import inspect_series as run
    from prelu_tools.core.options import SourceOptions

    options = SourceOptions(allow_unsafe_load=allow_unsafe_load)
    return run([os.fspath(source) for source in sources], InspectRequest(near, options=options))
