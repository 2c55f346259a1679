"""The JSON schema of a list of checks, made from the keys that a check may have.

`python -m prelu_tools.batch.lists.schema` prints it; `make schema` puts it in the package.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from prelu_tools.batch.lists.keys import FIELDS, NEEDED

SCHEMA_FILE = "prelu-tools.schema.json"
"""Its name, in the package and next to a list of checks."""


def check_schema() -> dict[str, Any]:
    """The schema of `prelu-tools.toml`, of draft 7, which the editors' TOML servers read."""
    check = {
        "type": "object",
        "properties": {
            key: {**field.kind.schema, "description": _sentence(field.line)}
            for key, field in FIELDS.items()
        },
        "required": list(NEEDED["verify"]),
        "additionalProperties": False,
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made from prelu_tools/commands/verify/request.py; do not edit.",
        "title": "prelu-tools: a list of checks",
        "description": "What `prelu-tools verify` without arguments runs.",
        "type": "object",
        "properties": {
            "checks": {
                "description": "The checks; written as [[checks]].",
                "type": "array",
                "minItems": 1,
                "items": check,
            }
        },
        "required": ["checks"],
        "additionalProperties": False,
    }


def schema_text() -> str:
    """The text of the schema file."""
    return json.dumps(check_schema(), indent=2) + "\n"


def shipped_schema() -> str:
    """The file that ships with the package."""
    return (resources.files("prelu_tools") / SCHEMA_FILE).read_text(encoding="utf-8")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


if __name__ == "__main__":
    print(schema_text(), end="")
