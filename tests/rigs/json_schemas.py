"""The published schemas of JSON reports, and what a document has against them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMAS = Path(__file__).parents[2] / "docs/reference/schemas"


def errors(kind: str, document: Any) -> list[str]:
    """Where a document is not as its schema says; here a field that it does not name is one too.

    Args:
        kind: `inspect`, `inspect-series`, `verify`, `quantize` or `batch`.
        document: the report.
    """
    return [f"{error.json_path}: {error.message}" for error in _strict(kind).iter_errors(document)]


@cache
def _strict(kind: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(_closed(schema))


def _closed(schema: Any) -> Any:
    """The schema with no other field than those that it names: readers have to bear new ones."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "properties" not in schema:
        return {name: _closed(item) for name, item in schema.items()}
    inside = {name: item if name == "oneOf" else _closed(item) for name, item in schema.items()}
    return {"additionalProperties": False, **inside}  # `oneOf` tells cases of the same object
