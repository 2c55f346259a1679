"""Requirements that `inspect` can check (`--fail-on`, `--expect-layers`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from prelu_tools.core.results.reasons import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prelu_tools.core.results.inspection import Finding, InspectResult
    from prelu_tools.core.results.series import SeriesResult

Inspected: TypeAlias = "InspectResult | SeriesResult"

FAILING = {"error": ("error",), "warning": ("error", "warning"), None: ()}
"""The severities that fail a model, by the value of `--fail-on`."""


class KnownFinding(NamedTuple):
    """The part of a finding that identifies it."""

    model: str
    """The model as the user spells it."""
    code: str
    """What was found."""
    layer: str
    """The layer; "" for the model as a whole."""


@dataclass(frozen=True)
class InspectGates:
    """When a model fails, though it could be read."""

    fail_on: Literal["error", "warning"] | None = None
    """The least severe finding that fails a model; None for none."""
    expect_layers: int | None = None
    """How many PReLU layers it has to have; None for any number."""
    known: tuple[KnownFinding, ...] | None = None
    """Findings that fail no model, sorted; None without a baseline."""

    def reasons(self, result: Inspected) -> tuple[str, ...]:
        """Why a model fails, in words; nothing if it does not."""
        said = []
        failing = [one for one in result.all_findings if one.severity in FAILING[self.fail_on]]
        known = {*(self.known or ())}
        found = [one for one, as_known in _as_known(result.path, failing) if as_known not in known]
        if found:
            codes = ", ".join(dict.fromkeys(one.code for one in found))
            new = "" if self.known is None else "new "
            said.append(
                f"{result.path} has {new}findings that --fail-on {self.fail_on} rejects: {codes}"
            )
        n_layers = len(result.layers)
        if self.expect_layers is not None and n_layers != self.expect_layers:
            expected = counted(self.expect_layers, "PReLU layer")
            said.append(f"{result.path}: expected {expected}, found {n_layers:,}")
        return tuple(said)


def known_model(path: str) -> str:
    """A model's name in a baseline: `./net.onnx` is `net.onnx`."""
    return PurePath(path).as_posix()


def known_findings(path: str, findings: Iterable[Finding]) -> list[KnownFinding]:
    """The findings that a baseline stores for a model: those that could fail it."""
    failing = [one for one in findings if one.severity in FAILING["warning"]]
    return [as_known for _, as_known in _as_known(path, failing)]


def _as_known(path: str, findings: Iterable[Finding]) -> Iterator[tuple[Finding, KnownFinding]]:
    for one in findings:
        yield one, KnownFinding(known_model(path), one.code, one.layer or "")
