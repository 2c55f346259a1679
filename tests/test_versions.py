"""The oldest versions that are tested are those that pyproject.toml promises."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

from running import ROOT

from prelu_tools.backends.registry import RUNTIMES

_BOUND = re.compile(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:;|$)")


def _pinned(file: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def _bounds(lines: Iterable[str]) -> dict[str, str]:
    return {match[1]: match[2] for line in lines if (match := _BOUND.match(line)) is not None}


def test_the_lower_bounds_of_runtimes_are_the_versions_of_test_runtimes() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    asked = _bounds(line for row in RUNTIMES if row.extra for line in extras[row.extra])
    pinned = _pinned("runtimes.txt")
    assert asked == {name: pinned[name] for name in asked}


def test_the_lower_bounds_are_the_versions_of_test_oldest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    others = [name for name in extras if name not in {row.extra for row in RUNTIMES}]
    asked = [*project["dependencies"], *(line for name in others for line in extras[name])]
    bounds = _bounds(asked)
    pinned = _pinned("oldest.txt")
    assert bounds.keys() == pinned.keys()
    for name, bound in bounds.items():
        exact = [*pinned[name].split("."), "0", "0"]
        assert exact[:3] == [*bound.split("."), "0", "0"][:3], name
    assert [line for line in asked if ">=" not in line] == [
        "prelu-tools[torch,keras,plot,dask,training]"
    ]
