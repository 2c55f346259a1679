"""The oldest versions that are tested are those that pyproject.toml promises."""

from __future__ import annotations

import re
import tomllib

from running import ROOT

_BOUND = re.compile(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:;|$)")


def test_the_lower_bounds_are_the_versions_of_test_oldest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for name in extras for line in extras[name])]
    bounds = {match[1]: match[2] for line in asked if (match := _BOUND.match(line)) is not None}
    pinned = dict(
        line.split("==")
        for line in (ROOT / "requirements/oldest.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert bounds.keys() == pinned.keys()
    for name, bound in bounds.items():
        exact = [*pinned[name].split("."), "0", "0"]
        assert exact[:3] == [*bound.split("."), "0", "0"][:3], name
    assert [line for line in asked if ">=" not in line] == ["prelu-tools[torch,keras,plot,dask]"]
