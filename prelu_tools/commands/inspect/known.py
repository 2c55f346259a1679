"""Baselines of findings: known findings no longer fail a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prelu_tools.commands.baselines import (
    OtherSchemaError,
    no_baseline,
    read_document,
    write_document,
)
from prelu_tools.core.results.inspect_gates import KnownFinding

KIND = "inspect-baseline"


def read_known(path: Path) -> tuple[KnownFinding, ...]:
    """Read a baseline of findings.

    Raises:
        OtherSchemaError: it is a baseline of another schema.
        PReLUToolsError: it is missing, unreadable, or no baseline of findings.
    """
    document = read_document(path, KIND)
    try:
        found = [
            KnownFinding(_text(model), _text(one["code"]), _text(one["layer"]))
            for model, findings in document["models"].items()
            for one in findings
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise no_baseline(path) from error
    return tuple(sorted(found))


def write_known(path: Path, models: Iterable[str], findings: Iterable[KnownFinding]) -> None:
    """Write the findings of some models; the file keeps those of other models.

    Args:
        path: the file.
        models: that were inspected.
        findings: that they have.

    Raises:
        PReLUToolsError: the file cannot be written, or would replace a file that is not a baseline.
    """
    try:
        old = read_known(path) if path.exists() else ()
    except OtherSchemaError:
        old = ()
    renewed = {*models}
    held: dict[str, list[Mapping[str, Any]]] = {model: [] for model in renewed}
    for one in sorted({*findings, *(one for one in old if one.model not in renewed)}):
        held.setdefault(one.model, []).append({"code": one.code, "layer": one.layer})
    write_document(path, KIND, {"models": held})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
