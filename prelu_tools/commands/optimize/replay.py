"""The forms that an earlier run chose, from its JSON report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from prelu_tools.commands.optimize.rewritable import RewritableLayer
from prelu_tools.commands.optimize.tuning import Choices
from prelu_tools.core.errors import PReLUToolsError


def read_choices(path: Path, layers: tuple[RewritableLayer, ...]) -> Choices:
    """The choices that `optimize --report json=FILE` wrote.

    Raises:
        PReLUToolsError: the file cannot be read, is not such a report, or is one of another model.
    """
    forms = _forms(path)
    known = {layer.name: layer for layer in layers}
    if unknown := [name for name in forms if name not in known]:
        raise PReLUToolsError(
            f"{path} is a report of another model: it has a layer {unknown[0]!r}, but this model "
            f"has {', '.join(known) or 'none'}"
        )
    if missing := [name for name in known if name not in forms]:
        raise PReLUToolsError(
            f"{path} is a report of another model: it has no layer {missing[0]!r}"
        )
    for name, form in forms.items():
        if form not in known[name].forms:
            raise PReLUToolsError(
                f"{path}: {name} cannot be written as {form!r} under this --exact; expected "
                f"{', '.join(known[name].forms)}"
            )
    return Choices(forms, dict.fromkeys(forms, "choices"))


def _forms(path: Path) -> dict[str, str]:
    try:
        document: Any = json.loads(path.read_bytes())
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PReLUToolsError(f"{path} is not a JSON document ({error})") from error
    try:
        if document["kind"] != "optimize":
            raise KeyError("kind")
        return {str(layer["name"]): str(layer["form"]) for layer in document["layers"]}
    except (KeyError, TypeError) as error:
        raise PReLUToolsError(
            f"{path} is not a report of optimize: expected a JSON report of optimize"
        ) from error
