"""SARIF as GitHub's code scanning wants it: stable rules, levels, and places in the repository."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from made_checks import many_checks, passing
from made_results import HOSTILE, compared, exported, usual, verified

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.reasons import Reason
from prelu_tools.reports import Result, Style, render

_HERE = Style(current="/repo/sub", folder="sub")


def _run(result: Result, style: Style = _HERE) -> dict[str, Any]:
    """The one run of a log, of which every result is what the standard asks for."""
    log = json.loads(render(result, "sarif", style))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for one in run["results"]:
        assert one["level"] in ("error", "warning", "note")
        assert one["message"]["text"]
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["ruleId"].isidentifier()
        (place,) = one["locations"]
        physical = place.get("physicalLocation")
        assert physical or place["logicalLocations"]
        if physical:
            assert physical["region"]["startLine"] >= 1
            uri = physical["artifactLocation"]["uri"]
            assert not set(" \\\"'<>") & set(uri)
            assert uri.startswith("file:///") is ("uriBaseId" not in physical["artifactLocation"])
    found: dict[str, Any] = run
    return found


def _uris(run: dict[str, Any]) -> set[str]:
    places = [one["locations"][0] for one in run["results"]]
    return {place["physicalLocation"]["artifactLocation"]["uri"] for place in places}


def test_each_finding_has_its_code_its_level_and_its_layer() -> None:
    found = [
        (
            one["ruleId"],
            one["level"],
            one["locations"][0].get("logicalLocations", [{"name": ""}])[0]["name"],
        )
        for one in _run(usual())["results"]
    ]
    assert found == [
        ("quantizer", "note", ""),
        ("at_init", "warning", "b.act"),
        ("one_slope", "note", "c|d"),
        ("slope_rank", "error", "c|d"),
    ]


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("models/net.onnx", "sub/models/net.onnx"),
        ("/repo/sub/models/net.onnx", "sub/models/net.onnx"),
        ("../other/net.onnx", "other/net.onnx"),
        ("/elsewhere/a b.onnx", "file:///elsewhere/a%20b.onnx"),
        ("nets.py:Net(10)@weights.pt", "sub/nets.py"),
        ("net.keras@weights.h5", "sub/net.keras"),
    ],
)
def test_the_place_is_the_models_file(path: str, uri: str) -> None:
    assert _uris(_run(dataclasses.replace(usual(), path=path))) == {uri}


@pytest.mark.parametrize("path", ["package.nets:Net", "https://host/net.onnx"])
def test_what_is_no_file_has_a_name_and_no_place(path: str) -> None:
    first = _run(dataclasses.replace(usual(), path=path))["results"][0]
    assert first["locations"][0]["logicalLocations"] == [{"name": path, "kind": "module"}]


def test_what_did_not_pass_is_a_result_and_a_pass_is_none() -> None:
    (wrong,) = _run(verified())["results"]
    assert (wrong["ruleId"], wrong["level"]) == ("models_differ", "error")
    assert _uris(_run(verified())) == {"sub/net.onnx"}
    reason = Reason("act3: not found", "layer_not_found")
    candidate = dataclasses.replace(verified().candidates[0], reasons=(reason,))
    (doubt,) = _run(dataclasses.replace(verified(), candidates=(candidate,), reasons=()))["results"]
    assert (doubt["ruleId"], doubt["level"]) == ("layer_not_found", "warning")
    assert doubt["locations"][0]["logicalLocations"][0]["name"] == "act3"
    assert _run(passing())["results"] == []


def test_a_check_that_could_not_run_is_a_result_where_it_is_declared() -> None:
    many = many_checks()
    lined = tuple(dataclasses.replace(one, file="prelu-tools.toml", line=7) for one in many.entries)
    last = _run(dataclasses.replace(many, entries=lined))["results"][-1]
    assert (last["ruleId"], last["level"]) == ("no_verdict", "warning")
    place = last["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "sub/prelu-tools.toml"
    assert place["region"]["startLine"] == 7


def test_a_result_keeps_its_identity_while_its_figures_change() -> None:
    def fingerprint(text: str) -> str:
        candidate = dataclasses.replace(verified().candidates[0], reasons=(text,))
        result = dataclasses.replace(verified(), candidates=(candidate,), reasons=())
        (one,) = _run(result)["results"]
        return str(one["partialFingerprints"]["preluTools/v1"])

    first = fingerprint("output y: 206 values differ by up to 0.57")
    assert fingerprint("output y: 9 values differ by up to 1.2e-05") == first
    assert fingerprint("output z: 206 values differ by up to 0.57") != first


@pytest.mark.parametrize("result", [compared(), many_checks()])
def test_other_results_of_these_commands_are_logs_too(result: Result) -> None:
    _run(result)


def test_whatever_is_in_a_name_it_is_text() -> None:
    text = render(dataclasses.replace(usual(), path=f"{HOSTILE}\x1b"), "sarif", _HERE)
    assert "\x1b" not in text
    json.loads(text)


def test_other_commands_refuse() -> None:
    with pytest.raises(UsageError, match="verify"):
        render(exported(), "sarif", _HERE)
