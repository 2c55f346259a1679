"""Every kind of list takes every option of batches and every format: one reader, one runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from odd_models import documents, results
from running import Outcome, cli
from tiny_models import save_dense

from prelu_tools.reports import formats_of

_NAMES = ("a", "b")
_CHECK = 'reference = "left/{stem}.onnx"\ncandidates = ["right/{stem}.onnx"]\n'
_PAIRS = "reference,candidate\nleft/a.onnx,right/a.onnx\nleft/b.onnx,right/b.onnx\n"
LISTS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "two folders": (("left", "right"), "", ""),
    "a pattern": (("left/*.onnx", "right/{stem}.onnx"), "", ""),
    "{stem}": (("left/{stem}.onnx", "right/{stem}.onnx"), "", ""),
    "one reference": (("left/a.onnx", "right/*.onnx"), "", ""),
    ".csv": (("pairs.csv",), "pairs.csv", _PAIRS),
    ".toml of models": (("pairs.toml",), "pairs.toml", f"[[models]]\n{_CHECK}"),
    ".toml of checks": (("pairs.toml",), "pairs.toml", f"[[checks]]\n{_CHECK}"),
    "prelu-tools.toml": ((), "prelu-tools.toml", f"[[checks]]\n{_CHECK}"),
    "pyproject.toml": ((), "pyproject.toml", f"[[tool.prelu-tools.checks]]\n{_CHECK}"),
}
"""By kind: the arguments of `verify`, and the file that lists the pairs."""


@pytest.fixture(params=LISTS)
def listed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Callable[..., Outcome]]:
    """A list of two pairs, both of which pass, and `verify` of it."""
    monkeypatch.chdir(tmp_path)
    for side in ("left", "right"):
        Path(side).mkdir()
        for name in _NAMES:
            save_dense(Path(side) / f"{name}.onnx")
    arguments, file, text = LISTS[request.param]
    if file:
        Path(file).write_text(text)
    return request.param, lambda *options: cli("verify", *arguments, *options)


def _spoil() -> None:
    save_dense(Path("right/b.onnx"), slopes=(0.25, -0.5, 1.25))


def _statuses(document: Any) -> list[str]:
    return [one["status"] for one in document["models"]]


def test_the_jobs_are_the_same_in_this_process_and_in_workers(
    listed: tuple[str, Callable[..., Outcome]],
) -> None:
    kind, verify = listed
    _spoil()
    here, there = (verify("--jobs", n, "--format", "json").json for n in (0, 2))
    assert _statuses(here) == _statuses(there) == ["pass", "fail"]
    for one in (*documents(here), *documents(there)):
        one.pop("seconds", None)
    assert documents(here) == documents(there)
    assert here["models"][0]["worker"] is None
    assert {one["worker"] for one in there["models"]} == {one["name"] for one in there["workers"]}
    assert (here["schema_version"], here["kind"], here["status"]) == (2, "verify-many", "fail")
    path = LISTS[kind][1] or None
    assert here["list"] == path
    assert {one["file"] for one in here["models"]} == {path}


def test_a_run_is_resumed(listed: tuple[str, Callable[..., Outcome]]) -> None:
    _, verify = listed
    options = ("--jobs", "0", "--format", "json", "--results", "r.jsonl")
    first = verify(*options)
    lines = results(Path("r.jsonl"))
    assert [line["document"] for line in lines] == documents(first.json)
    assert verify(*options, "--resume").out == first.out
    _spoil()
    again = verify(*options, "--resume")
    assert (again.code, _statuses(again.json)) == (1, ["pass", "fail"])
    assert len(results(Path("r.jsonl"))) == 3
    assert again.json["models"][0] == first.json["models"][0]


def test_a_baseline_is_compared_with_and_renewed(
    listed: tuple[str, Callable[..., Outcome]],
) -> None:
    _, verify = listed
    options = ("--jobs", "0", "--format", "json", "--baseline", "b.json")
    written = verify(*options, "--update-baseline")
    assert (written.code, "wrote b.json: the figures of 2 checks" in written.err) == (0, True)
    assert verify(*options).code == 0
    save_dense(Path("right/b.onnx"), bias=3e-4)
    worse = verify(*options)
    assert worse.code == 1
    assert documents(worse.json)[1]["baseline"]["worse"] != []
    known = json.loads(Path("b.json").read_text())
    known["checks"]["gone"] = known["checks"].popitem()[1]
    Path("b.json").write_text(json.dumps(known))
    lost = verify(*options, "--results", "r.jsonl")
    assert "has this check, but" in " ".join(lost.json["models"][-1]["reasons"])


def test_every_format_shows_every_pair_and_why(
    listed: tuple[str, Callable[..., Outcome]],
) -> None:
    kind, verify = listed
    _spoil()
    forms = formats_of("verify")
    found = verify("--jobs", "0", *(f"--report={form}={form}.out" for form in forms))
    assert found.code == 1
    texts = {form: " ".join(Path(f"{form}.out").read_text().split()) for form in forms}
    assert {"table", "json", "markdown", "html", "junit", "github", "sarif"} <= {*texts}
    for form, text in texts.items():
        assert "1.25, expected 1.5" in text, form
        assert "right/b.onnx" in text, form
    assert ElementTree.fromstring(texts["junit"]).get("errors") == "0"
    file = LISTS[kind][1]
    line = {".csv": 3, "": None}.get(kind, 1)
    assert (f"::error file={file},line={line}," if file else "::error title=") in texts["github"]
