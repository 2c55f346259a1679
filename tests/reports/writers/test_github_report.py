"""GitHub's annotations: on the file and line of the check, and nothing of a model is a command."""

from __future__ import annotations

import dataclasses
import re

import pytest
from made_checks import checks_of, entry_of, many_checks, passing
from made_results import HOSTILE, exported, usual, verified

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchEntry
from prelu_tools.core.results.reasons import Reason
from prelu_tools.reports import Style, render
from prelu_tools.reports.writers.github import annotation

_COMMAND = re.compile(r"^::(\w+) ?([^:]*)::(.*)$")


def _commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The commands as a runner reads them: names, properties and message, unescaped."""
    found = []
    for line in text.splitlines():
        match = _COMMAND.match(line.lstrip())
        if match is None:
            assert "##[" not in line
            continue
        pairs = [pair.partition("=") for pair in match[2].split(",")]
        found.append((match[1], {k: _raw(v) for k, _, v in pairs}, _raw(match[3])))
    return found


def _raw(text: str) -> str:
    for code, sign in (("3A", ":"), ("2C", ","), ("0D", "\r"), ("0A", "\n"), ("25", "%")):
        text = text.replace(f"%{code}", sign)
    return text


def test_each_check_that_is_no_pass_is_annotated_where_it_is_declared() -> None:
    text = render(many_checks(), "github", Style())
    failed, lost = _commands(text)
    assert failed[:2] == (
        "error",
        {"file": "prelu-tools.toml", "line": "20",
         "title": "prelu-tools verify: faces, aligned: fail"},
    )  # fmt: skip
    assert failed[2] == verified().reasons[0]
    assert lost == (
        "error",
        {"file": "prelu-tools.toml", "line": "30", "title": "prelu-tools verify: lost: error"},
        "gone.keras cannot be read: no such file",
    )
    lines = [line for line in text.splitlines() if not line.startswith("::")]
    assert lines == [
        "pass digits", "fail faces, aligned", "error lost",
        "FAIL prelu-tools.toml: 3 checks, 1 passed, 1 failed, 1 error",
    ]  # fmt: skip


def test_the_file_is_that_of_the_repository() -> None:
    text = render(many_checks(), "github", Style(folder="models/faces"))
    assert {one[1]["file"] for one in _commands(text)} == {"models/faces/prelu-tools.toml"}


def test_a_single_check_has_no_file_and_a_pass_no_annotation() -> None:
    ((level, properties, message),) = _commands(render(verified(), "github", Style()))
    assert (level, set(properties)) == ("error", {"title"})
    assert message.startswith(verified().reasons[0])
    passed = render(passing(), "github", Style())
    assert _commands(passed) == []
    assert passed.startswith("PASS ")


def test_a_pass_that_proves_less_than_it_seems_to_is_a_warning() -> None:
    weak = Reason("all 3 slopes of n have their initial value", "slopes_initial")
    passed = passing(notes=(weak, Reason("other", "input_domain"), "plain"))
    ((level, properties, message),) = _commands(render(passed, "github", Style()))
    assert (level, message) == ("warning", weak)
    assert properties == {"title": f"prelu-tools verify: net.onnx compared with {passed.reference}"}
    text = render(checks_of(entry_of("digits", passed, 7)), "github", Style())
    ((level, properties, message),) = _commands(text)
    assert (level, message) == ("warning", weak)
    assert properties == {
        "file": "prelu-tools.toml", "line": "7", "title": "prelu-tools verify: digits",
    }  # fmt: skip
    assert text.startswith("with warnings digits\n")
    assert text.endswith(": 1 check, 1 with warnings\n")
    assert render(passed, "github", Style()).endswith("; 1 warning\n")


def test_no_checks_at_all_are_an_annotation() -> None:
    text = render(checks_of(path="a.toml"), "github", Style())
    assert _commands(text)[0][2] == "nothing was checked"
    assert "INCONCLUSIVE" in text


@pytest.mark.parametrize(
    "name",
    [
        "::error::x", "a\n::error::x", " ::warning file=x::y", "##[error]x", "x ##[group]y",
        "100%0A::error::x", "a,line=3:b", HOSTILE, "\r\n::add-mask::x", "\u2028::error::x",
    ],
)  # fmt: skip
def test_whatever_is_in_a_name_it_is_text(name: str) -> None:
    entries = (
        BatchEntry(name, name, "error", None, (name,), (name,), "a.toml", 7),
        entry_of(f"{name} ", passing(reference=name), 8),
    )
    found = _commands(render(checks_of(*entries, path="a.toml"), "github", Style()))
    assert [one[:1] for one in found] == [("error",)]
    assert (found[0][1]["file"], found[0][1]["line"]) == ("a.toml", "7")
    assert (
        len(_commands(render(dataclasses.replace(verified(), reference=name), "github", Style())))
        == 1
    )


def test_a_great_many_reasons_are_counted() -> None:
    result = dataclasses.replace(verified(), reasons=tuple(f"reason {n}" for n in range(50)))
    text = render(result, "github", Style())
    ((_, _, message),) = _commands(text)
    assert message == "reason 0 (and 49 more reasons)"
    assert text.splitlines()[-3:-1] == ["also: reason 19", "and 30 more"]


def test_each_finding_is_an_annotation_at_the_models_file() -> None:
    result = dataclasses.replace(usual(), path="/repo/models/net.onnx")
    text = render(result, "github", Style(folder="sub", current="/repo"))
    found = _commands(text)
    assert [level for level, _, _ in found] == ["error", "warning", "notice", "notice"]
    assert {properties["file"] for _, properties, _ in found} == {"sub/models/net.onnx"}
    assert found[0][1]["title"] == "prelu-tools inspect: slope_rank in c|d"
    assert found[0][2] == "the slope [4] stands on an input of rank 4"
    assert text.endswith("3 PReLU layers, 13 slopes; 1 error, 1 warning\n")


def test_other_results_refuse() -> None:
    with pytest.raises(UsageError):
        render(exported(), "github", Style())


def test_an_annotation_without_a_line() -> None:
    assert annotation("notice", "t:1", "a\nb%", "x", "f,g") == (
        "::notice file=x/f%2Cg,title=t%3A1::a%0Ab%25\n"
    )
