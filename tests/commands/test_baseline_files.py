"""Files of figures: what is written into them, and what is not read from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from prelu_tools.commands.baselines import OtherSchemaError, read_document, write_document
from prelu_tools.commands.verify.baseline import (
    KIND,
    Renewed,
    old_entries,
    read_baseline,
    renew,
    write_baseline,
)
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.verification.baseline import Baseline, Entry, entry_of
from prelu_tools.core.results.verification.parity import Verdict
from prelu_tools.core.results.verification.result import Coverage, VerifyResult

OLD = Entry(1, 2, {"inputs": {"coverage": 0.5}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "b.json"


def _result(verdict: Verdict = "pass", exercised: int = 3) -> VerifyResult:
    return VerifyResult(verdict, "r", "float32", {}, 4, 16, Coverage(exercised, 4, ()), (), ())


def _written(path: Path, **changes: Any) -> Path:
    """A baseline with other fields; those that are None are gone."""
    write_baseline(path, {"net": Entry(4, 16, {"inputs": {"coverage": 0.75}})})
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not None}))
    return path


# Reading


def test_what_is_written_is_read(path: Path) -> None:
    entries = {"net": entry_of(_result()), "ä": Entry(0, 1, {"p": {"a": 0.0, "b": 2.0}})}
    write_baseline(path, entries)
    assert read_baseline(path) == Baseline(str(path), entries)
    assert path.read_text(encoding="utf-8") == (
        '{\n  "checks": {\n    "net": {\n      "figures": {\n        "inputs": {\n'
        '          "coverage": 0.75\n        }\n      },\n      "samples": 16,\n      "seed": 4\n'
        '    },\n    "ä": {\n      "figures": {\n        "p": {\n          "a": 0.0,\n'
        '          "b": 2.0\n        }\n      },\n      "samples": 1,\n      "seed": 0\n    }\n'
        '  },\n  "kind": "verify-baseline",\n  "schema_version": 1\n}\n'
    )


def test_names_that_are_no_text_and_figures_that_are_none(path: Path) -> None:
    write_baseline(path, {"a\udcff": OLD})
    assert rb'"a\udcff"' in path.read_bytes()
    assert list(read_baseline(path).entries) == ["a\udcff"]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_document(path, KIND, {"x": float("nan")})


def _checks(**changes: Any) -> dict[str, Any]:
    return {"net": {"seed": 4, "samples": 16, "figures": {"inputs": {"coverage": 1}}, **changes}}


@pytest.mark.parametrize(
    "checks",
    [
        None, [], {"net": None}, {"net": []}, {"net": {"seed": 4, "samples": 16}},
        *(_checks(**{name: value}) for name in ("seed", "samples") for value in (True, 1.0, "1")),
        *(_checks(figures={"inputs": {"coverage": value}})
          for value in (-1e-9, True, "1", None, float("nan"), float("inf"), 10**400)),
        _checks(figures={"inputs": [1.0]}), _checks(figures=[1.0]),
    ],
)  # fmt: skip
def test_what_is_damaged_is_no_baseline(checks: Any, path: Path) -> None:
    _written(path, checks=checks)
    if checks == []:
        path.write_text(path.read_text().replace("{", '{"checks": [], ', 1))
    with pytest.raises(PReLUToolsError) as raised:
        read_baseline(path)
    assert str(raised.value) == (
        f"{path} is damaged: it lacks the fields of a baseline; expected a file that "
        "--update-baseline wrote"
    )


def test_a_figure_may_be_a_whole_number_and_is_one_that_is_not(path: Path) -> None:
    found = read_baseline(_written(path, checks=_checks())).entries["net"]
    assert found == Entry(4, 16, {"inputs": {"coverage": 1.0}})
    assert type(found.figures["inputs"]["coverage"]) is float


def test_what_is_no_baseline_is_said(path: Path) -> None:
    def said() -> str:
        with pytest.raises(PReLUToolsError) as raised:
            read_document(path, "verify-baseline")
        return str(raised.value)

    end = "; expected a file that --update-baseline wrote"
    assert said() == (
        f"the baseline {path} cannot be read: no such file; create it with --update-baseline"
    )
    path.write_bytes(b"\xff\xfe")
    assert said().startswith(f"{path} is not valid JSON: 'utf-8' codec")
    path.write_text("{")
    assert said().startswith(f"{path} is not valid JSON: Expecting property name")
    assert said().endswith(end)
    path.write_text("[" * 100_000)
    assert said().startswith(f"{path} is not valid JSON: ")
    for other in ("[]", "{}", '{"kind": "inspect-baseline", "schema_version": 1}'):
        path.write_text(other)
        assert said() == (
            f'{path} is not a baseline: it does not say "kind": "verify-baseline"{end}'
        )
    path.unlink()
    path.mkdir()
    assert said() == f"the baseline {path} cannot be read: Is a directory"
    with pytest.raises(PReLUToolsError):
        write_document(path, KIND, {})


@pytest.mark.parametrize("version", [2, None])
def test_another_schema_is_replaced_but_not_read(version: int | None, path: Path) -> None:
    _written(path, schema_version=version)
    with pytest.raises(OtherSchemaError) as raised:
        read_baseline(path)
    assert str(raised.value) == (
        f"the baseline {path} has schema_version {version!r}, but this version of prelu-tools "
        "reads 1: update it with --update-baseline"
    )
    assert old_entries(path) == {}


# Renewing


def test_there_is_nothing_old_in_a_file_that_is_missing(path: Path) -> None:
    assert old_entries(path) == {}
    assert old_entries(_written(path))["net"] == Entry(4, 16, {"inputs": {"coverage": 0.75}})
    path.write_text("{}")
    with pytest.raises(PReLUToolsError, match="is not a baseline"):
        old_entries(path)


@pytest.mark.parametrize("whole", [True, False])
def test_what_passed_is_written_and_what_failed_stays_as_it_was(whole: bool, path: Path) -> None:
    write_baseline(path, {"bad": OLD, "gone": OLD, "good": OLD})
    results = {"good": _result(), "bad": _result("fail"), "new": _result("fail")}
    assert renew(path, results, whole) == Renewed(str(path), 1, ("bad", "new"))
    assert renew(path, results, whole).sentence.startswith("wrote ")
    expected = {"bad": OLD, "good": entry_of(_result()), **({} if whole else {"gone": OLD})}
    assert read_baseline(path).entries == expected


@pytest.mark.parametrize("verdict", [*get_args(Verdict), None])
def test_nothing_is_written_without_a_verdict_or_a_pass(
    verdict: Verdict | None, path: Path
) -> None:
    found = _result(verdict) if verdict else None
    results = dict.fromkeys("abcd", found) | {"e": _result() if verdict != "fail" else found}
    told = renew(path, results, True)
    if verdict == "pass":
        assert told == Renewed(str(path), 5)
        return
    names = "a, b, c and {} more"
    words = f"{names.format(2)} failed" if verdict == "fail" else (
        f"there is no verdict on {names.format(1)}"
    )  # fmt: skip
    assert told == Renewed(str(path), 0, refused=words)
    assert not path.exists()


@pytest.mark.parametrize(
    ("renewed", "words"),
    [
        (Renewed("b", 1), "wrote b: the figures of 1 check"),
        (Renewed("b", 0, refused="it is late"), "b was not written: it is late"),
        (
            Renewed("b", 1200, ("x", "y")),
            "wrote b: the figures of 1,200 checks; unchanged, because they failed: x, y",
        ),
    ],
)
def test_what_was_renewed_is_said(renewed: Renewed, words: str) -> None:
    assert renewed.sentence == words
