"""Every name that the reference pages of the site document can be imported."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from running import ROOT

NAMED = sorted(
    name
    for page in Path(ROOT / "docs").rglob("*.md")
    for name in re.findall(r"^::: (prelu_tools\.\S+)", page.read_text(encoding="utf-8"), re.M)
)


def test_there_is_a_reference() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("name", NAMED)
def test_what_the_reference_names_is_there(name: str) -> None:
    module, _, member = name.rpartition(".")
    assert hasattr(importlib.import_module(module), member)
