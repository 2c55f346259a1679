"""What `inspect` may demand of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from prelu_tools.core.results.inspection import InspectResult
    from prelu_tools.core.results.series import SeriesResult

Inspected: TypeAlias = "InspectResult | SeriesResult"

_FAILING = {"error": ("error",), "warning": ("error", "warning"), None: ()}


@dataclass(frozen=True)
class InspectGates:
    """When a model fails, though it could be read."""

    fail_on: Literal["error", "warning"] | None = None
    """The least severe finding that fails a model; None for none."""
    expect_layers: int | None = None
    """How many PReLU layers it has to have; None for any number."""

    def reasons(self, result: Inspected) -> tuple[str, ...]:
        """Why a model fails, in words; nothing where it does not."""
        said = []
        found = [f.code for f in result.all_findings if f.severity in _FAILING[self.fail_on]]
        if found:
            codes = ", ".join(dict.fromkeys(found))
            said.append(f"{result.path} has findings at --fail-on {self.fail_on}: {codes}")
        n_layers = len(result.layers)
        if self.expect_layers is not None and n_layers != self.expect_layers:
            said.append(
                f"{result.path}: expected {self.expect_layers} PReLU layers, found {n_layers}"
            )
        return tuple(said)
