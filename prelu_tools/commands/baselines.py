"""Baseline files: JSON to commit to version control."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.writer import replacing

SCHEMA_VERSION: Final = 1


class OtherSchemaError(PReLUToolsError):
    """A baseline of another schema: it cannot be compared with, and may be renewed."""


def read_document(path: Path, kind: str) -> dict[str, Any]:
    """Read a baseline; the command that wrote it interprets the fields.

    Args:
        path: the file.
        kind: the kind that it has to state.

    Raises:
        OtherSchemaError: it is a baseline of another schema.
        PReLUToolsError: it is missing, unreadable, or no baseline of this kind.
    """
    try:
        document = json.loads(path.read_bytes().decode())
    except FileNotFoundError as error:
        raise PReLUToolsError(
            f"the baseline {path} cannot be read: no such file; create it with --update-baseline"
        ) from error
    except OSError as error:
        raise PReLUToolsError(f"the baseline {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise no_baseline(path, f"is not valid JSON: {error}") from error
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise no_baseline(path, f'is not a baseline: it does not say "kind": "{kind}"')
    if document.get("schema_version") != SCHEMA_VERSION:
        raise OtherSchemaError(
            f"the baseline {path} has schema_version {document.get('schema_version')!r}, but "
            f"this version of prelu-tools reads {SCHEMA_VERSION}: update it with "
            "--update-baseline"
        )
    return document


def no_baseline(
    path: Path, what: str = "is damaged: it lacks the fields of a baseline"
) -> PReLUToolsError:
    """The error for a file that is no baseline."""
    return PReLUToolsError(f"{path} {what}; expected a file that --update-baseline wrote")


def write_document(path: Path, kind: str, fields: Mapping[str, Any]) -> None:
    """Write a baseline, completely or not at all; the same fields give the same bytes.

    Raises:
        PReLUToolsError: it cannot be written.
    """
    document = {"schema_version": SCHEMA_VERSION, "kind": kind, **fields}
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    with replacing(path) as temporary:
        temporary.write_bytes(f"{text}\n".encode("utf-8", "backslashreplace"))
