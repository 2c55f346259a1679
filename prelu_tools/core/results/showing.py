"""Results that show themselves: a line in a debugger, a table in print and Jupyter.

The reports, which are above this floor, decide how results look. So nothing is imported here: the
package sets the rendering function when it is imported, which is before any result exists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Render = Callable[[Any, str], str]
"""Makes a result a text: the result, and the name of a format."""
_render: list[Render] = []


def show_with(render: Render) -> None:
    """Let results show themselves with this function from now on."""
    _render[:] = [render]


class Shown:
    """A result that can be printed, and that Jupyter shows as tables."""

    def report(self, form: str = "table") -> str:
        """The result as a text, as the command writes it with `--report FORMAT=PATH`.

        Args:
            form: `table`, `json`, `markdown`, or another format that the command has.

        Raises:
            UsageError: there is no such format for a result of this kind.
        """
        return _render[0](self, form)

    def _in_short(self) -> str:
        """The result in one line."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._in_short()}>"

    def __str__(self) -> str:
        return self.report().rstrip("\n")

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        return self.report("notebook")

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython shows in a terminal; one line if it is part of something else."""
        nested = cycle or getattr(printer, "indentation", 0) > 0
        printer.text(repr(self) if nested else str(self))
