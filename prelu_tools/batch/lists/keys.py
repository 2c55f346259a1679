"""The keys that a row of a list may have: its name, its models, and options of the request."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping

from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.kinds import TEXT
from prelu_tools.core.requests.option import Option, options_of
from prelu_tools.core.results.batch import Command

OF_SOURCE: Mapping[str, Option] = {one.key: one for one in options_of(SourceOptions, "file")}
"""Those that say how sources are read."""
FIELDS: Mapping[str, Option] = {
    "name": Option(
        TEXT, "name of the check; {stem}, {name}, {folder} are the reference's",
        key="name", field="name", example='"detector"',
    ),
    **{one.key: one for one in options_of(VerifyRequest, "file")},
    **OF_SOURCE,
}  # fmt: skip
"""Every key that a check may have."""


def _text(key: str) -> Option:
    return Option(TEXT, "", key=key, field=key)


_SOURCE, _NAME, _OUTPUT = map(_text, ("source", "name", "output"))
KEYS: Mapping[Command, Mapping[str, Option]] = {
    "inspect": {"source": _SOURCE, "name": _NAME},
    "export": {"source": _SOURCE, "name": _NAME, "output": _OUTPUT},
    "verify": FIELDS,
}
"""Every key that a row of a list for this command may have."""
NEEDED: Mapping[Command, tuple[str, ...]] = {
    "inspect": ("source",),
    "export": ("source",),
    "verify": ("reference", "candidates"),
}
"""What every row needs."""


def shown(value: object) -> str:
    """A value of the file in a few characters."""
    return reprlib.repr(value)
