"""What export and doctor return: frozen, complete, independent of any framework.

The JSON contract names the fields (`reports/writers/json.py` writes them); reports need no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prelu_tools.core.options import InputOption, ModelOutput
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.optimization import OptimizeResult
from prelu_tools.core.results.reasons import Reason, counted, warnings_of
from prelu_tools.core.results.showing import Shown
from prelu_tools.core.results.verification.result import VerifyResult


@dataclass(frozen=True)
class RefusedRoute:
    """A converter that was tried and did not accept the model."""

    route: str
    """Which one, with its version."""
    reason: str
    """Its error, in one line."""


@dataclass(frozen=True, repr=False)
class ExportResult(Shown):
    """The result of `export`."""

    source: str
    """The source as the user wrote it."""
    path: str
    """The file written."""
    n_bytes: int
    """Its size in bytes."""
    opset: int
    """Opset of the default ONNX domain."""
    route: str
    """Which converter made the graph, with its version."""
    layers: tuple[PReLULayer, ...]
    """The layers in the file; one PRelu node per call."""
    n_nodes: int
    """Nodes in the graph."""
    verification: VerifyResult | None
    """The comparison of the file with its source; None with `--no-verify`."""
    notes: tuple[str, ...] = ()
    """Notes on the export for the user."""
    refused: tuple[RefusedRoute, ...] = ()
    """The converters that were tried before and failed, in order."""
    data_path: str | None = None
    """The file with the large weights; None if they are in the model's own file."""
    n_data_bytes: int = 0
    """Its size in bytes."""
    optimized: OptimizeResult | None = None
    """How its layers were rewritten for onnxruntime's CPU provider; None for PRelu nodes."""
    inputs: tuple[InputOption, ...] = ()
    """The inputs of the file; a size that is a name is dynamic."""
    outputs: tuple[ModelOutput, ...] = ()
    """Its outputs."""

    def _in_short(self) -> str:
        held = "not verified" if self.verification is None else "verified"
        return f"{self.source} -> {self.path}: {counted(len(self.layers), 'PReLU layer')}, {held}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes which say that the verification proves less than it seems to."""
        checked = self.verification
        return warnings_of(self.notes, checked.warnings if checked is not None else ())


@dataclass(frozen=True)
class DoctorItem:
    """One thing that `doctor` checked."""

    name: str
    """A package, an extra, a provider."""
    state: Literal["ok", "missing", "broken"]
    """`broken` means that it is installed but does not work."""
    detail: str
    """The version, or what is wrong."""
    advice: str = ""
    """What to do, if anything."""


@dataclass(frozen=True)
class DoctorResult:
    """What `doctor` found on this machine."""

    python: str
    """Version of the interpreter."""
    platform: str
    """Operating system and processor."""
    core: tuple[DoctorItem, ...]
    """The packages that everything needs."""
    extras: tuple[DoctorItem, ...]
    """The packages of the extras, each named `extra: package`."""
    providers: tuple[DoctorItem, ...]
    """Execution providers, each tried with a model of one PRelu node."""
    runtimes: tuple[DoctorItem, ...] = ()
    """Runtimes other than onnxruntime, by the name of their extra."""

    @property
    def works(self) -> bool:
        """Whether the core works: inspect, and verify on the CPU."""
        return all(item.state == "ok" for item in self.core)


@dataclass(frozen=True)
class InitCheck:
    """A check that `init` wrote."""

    name: str
    """Its name."""
    reference: str
    """The source that is correct; with a glob, many models."""
    candidates: tuple[str, ...]
    """The models to compare with it."""
    variants: tuple[str, ...] = ()
    """Files with the candidate's name and a suffix that shows another data type."""
    inputs: tuple[str, ...] = ()
    """NAME:DIMS of inputs that the reference does not know."""
    n_models: int = 1
    """Number of references that it matches."""
    needed: tuple[str, ...] = ()
    """Arguments of the reference that have to be filled in; until then the check is a comment."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options that the export was run with, by their keys in the list; `input` is in `inputs`.
    With a record, also `strict_warnings`."""
    withheld: Mapping[str, Any] = field(default_factory=dict)
    """Such options that a model file cannot switch on: they are in a comment."""
    paired_by: str = "name"
    """What the candidates belong to the reference by: `metadata`, that of the files, `name`, or
    `only_pair`, where nothing else is in the folder."""
    record_of: str | None = None
    """If the reference is a record: of what."""
    recorded_file: str | None = None
    """The model's file that it was recorded from; None if that is not known, or is no file."""
    notes: tuple[Reason, ...] = ()
    """What is already known to speak against the pair; nothing has been run."""


@dataclass(frozen=True)
class LeftOut:
    """A model for which `init` wrote no check."""

    path: str
    """The model."""
    reason: str
    """Why, in words."""


@dataclass(frozen=True)
class InitResult:
    """What `init` found and wrote."""

    path: str
    """The file with the list of checks."""
    schema_path: str | None
    """Its schema, next to it; None if it was not wanted."""
    checks: tuple[InitCheck, ...]
    """Those written; none if a list that was there already lists every model."""
    left_out: tuple[LeftOut, ...]
    """Models without a check, and models of the list that are not there."""
    ignored: tuple[str, ...] = ()
    """Files that the checks need and git ignores: a checkout lacks them."""
    ignored_models: tuple[str, ...] = ()
    """Models of records that git ignores: without them, a change of theirs cannot be noticed."""

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """Those of all checks."""
        return tuple(one for check in self.checks for one in check.notes)
