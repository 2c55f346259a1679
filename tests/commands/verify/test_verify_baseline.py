"""`verify --baseline`: worse than last time is a failure; what cannot be read is not a verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome, cli
from tiny_models import save_dense, save_prelu

FILE = "baseline.json"
LIST = """
[[checks]]
name = "first"
reference = "net.onnx"
candidates = ["same.onnx"]
tolerance = [0, 1e-3]
[[checks]]
name = "second"
reference = "net.onnx"
candidates = ["net.onnx"]
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models and a list of checks, which is the current one."""
    monkeypatch.chdir(tmp_path)
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "same.onnx")
    save_dense(tmp_path / "wrong.onnx", slopes=(0.25, -0.5, 1.25))
    (tmp_path / "prelu-tools.toml").write_text(LIST)
    return tmp_path


def _one(*options: str, candidate: str = "same.onnx") -> Outcome:
    tolerance = ("--tolerance", "0,1e-3")
    return cli("verify", "net.onnx", candidate, *tolerance, "--baseline", FILE, *options)


def _many(*options: str) -> Outcome:
    return cli("verify", "--baseline", FILE, *options)


def _document() -> Any:
    return json.loads(Path(FILE).read_text(encoding="utf-8"))


def _worse() -> None:
    """The candidate moves: by less than the tolerance, by more than an eighth of it."""
    save_dense(Path("same.onnx"), bias=2e-4)


def test_a_single_check_that_is_worse_fails() -> None:
    written = _one("--update-baseline")
    assert written.code == 0
    assert written.err == "wrote baseline.json: the figures of 1 check\n"
    held = _one()
    assert (held.code, held.err) == (0, "")
    assert "baseline baseline.json: 0 of 6 figures worse by more than a factor of 2" in held.words
    _worse()
    worse = _one("--format", "json")
    assert worse.code == 1
    found = {one["part"]: one for one in worse.json["baseline"]["worse"]}
    assert set(found) == {"same.onnx[cpu] output y", "same.onnx[cpu] layer act"}
    figure = found["same.onnx[cpu] output y"]
    assert (figure["figure"], figure["before"]) == ("max_abs_diff", 0.0)
    assert figure["allowed"] == pytest.approx(1.25e-4)
    assert figure["now"] > figure["allowed"]
    assert "same.onnx[cpu] output y: max_abs_diff is 0.0003" in worse.words


def test_the_factor_lets_more_pass() -> None:
    save_dense(Path("same.onnx"), bias=2e-4)
    assert _one("--update-baseline").code == 0
    save_dense(Path("same.onnx"), bias=6e-4)
    assert [_one(*more).code for more in ((), ("--baseline-factor", "4"))] == [1, 0]


def test_a_list_that_is_worse_fails_and_says_where() -> None:
    written = _many("--update-baseline")
    assert (written.code, written.err) == (0, "wrote baseline.json: the figures of 2 checks\n")
    assert _many().code == 0
    _worse()
    found = _many("--format", "json")
    assert found.code == 1
    assert [one["status"] for one in found.json["models"]] == ["fail", "pass"]
    assert _many("--format", "github").out.count("::error file=prelu-tools.toml,line=2,") == 1


def test_the_same_figures_give_the_same_bytes_in_order() -> None:
    assert _many("--update-baseline", "-q").code == 0
    first = Path(FILE).read_bytes()
    document = _document()
    assert list(document["checks"]) == ["first", "second"]
    assert first.decode() == json.dumps(document, indent=2, sort_keys=True) + "\n"
    assert _many("--update-baseline", "-q").code == 0
    assert Path(FILE).read_bytes() == first
    assert not [path for path in Path().iterdir() if path.name.startswith(".")]


def test_a_check_that_the_baseline_does_not_know_is_no_verdict() -> None:
    assert _many("--update-baseline").code == 0
    Path("prelu-tools.toml").write_text(LIST.replace('"second"', '"third"'))
    found = _many("--format", "json")
    assert found.code == 3
    first, third, second = found.json["models"]
    assert (first["status"], third["status"]) == ("pass", "inconclusive")
    assert "it does not contain the check 'third'" in third["reasons"][0]
    assert "prelu-tools.toml does not" in second["error"]
    assert _many("--update-baseline").code == 0
    assert set(_document()["checks"]) == {"first", "third"}
    assert _many().code == 0


def test_a_single_check_leaves_the_others_in_the_file() -> None:
    assert _many("--update-baseline").code == 0
    assert _one("--update-baseline").code == 0
    assert _one("--update-baseline", candidate="net.onnx").code == 0
    assert set(_document()["checks"]) == {
        *("first", "second", "net.onnx against same.onnx", "net.onnx against net.onnx")
    }
    assert [_one(candidate=name).code for name in ("same.onnx", "net.onnx")] == [0, 0]


def test_a_check_that_failed_keeps_what_it_had() -> None:
    assert _many("--update-baseline").code == 0
    before = _document()
    save_dense(Path("same.onnx"), slopes=(0.25, -0.5, 1.25))
    found = _many("--update-baseline")
    assert found.code == 1
    assert (
        "wrote baseline.json: the figures of 1 check; unchanged, because they failed: first"
        in found.words
    )
    assert _document() == before


def test_nothing_is_written_where_nothing_could_be_judged() -> None:
    assert _many("--update-baseline").code == 0
    before = Path(FILE).read_bytes()
    Path("same.onnx").unlink()
    found = _many("--update-baseline", "-q")
    assert found.code == 3
    assert found.err.endswith("baseline.json was not written: there is no verdict on first\n")
    assert Path(FILE).read_bytes() == before
    failed = _one("--update-baseline", candidate="wrong.onnx")
    assert failed.code == 1
    assert "baseline.json was not written: net.onnx against wrong.onnx failed" in failed.words
    assert Path(FILE).read_bytes() == before


def _spoilt(text: str) -> str:
    Path(FILE).write_text(text)
    return text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            None,
            "the baseline baseline.json cannot be read: no such file; create it with",
        ),
        ("{", "baseline.json is not valid JSON"),
        ("[]", "baseline.json is not a baseline"),
        ('{"kind": "verify"}', 'it does not say "kind": "verify-baseline"'),
        ('{"kind": "verify-baseline", "schema_version": 2}', "has schema_version 2, but this"),
        ('{"kind": "verify-baseline", "schema_version": 1}', "baseline.json is damaged"),
        *(
            (
                '{"kind": "verify-baseline", "schema_version": 1, "checks": {"a": {"seed": 0, '
                f'"samples": {samples}, "figures": {{"y": {{"max_abs_diff": {figure}}}}}}}}}}}',
                "baseline.json is damaged",
            )
            for samples, figure in ((16, "-1"), (16, "NaN"), (16, '"1"'), (16, "true"), ('"x"', 1))
        ),
    ],
)
@pytest.mark.parametrize("run", [_one, _many])
def test_a_baseline_that_cannot_be_read_is_no_verdict(
    run: Any, text: str | None, said: str
) -> None:
    if text is not None:
        _spoilt(text)
    found = run()
    assert (found.code, found.out) == (3, "")
    assert said in found.words


def test_what_is_no_baseline_is_not_written_over_and_another_schema_is() -> None:
    text = _spoilt("precious")
    assert _one("--update-baseline").code == 3
    assert Path(FILE).read_text() == text
    _spoilt('{"kind": "verify-baseline", "schema_version": 0, "checks": "other"}')
    assert _one("--update-baseline").code == 0
    assert _document()["schema_version"] == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--update-baseline",), "--update-baseline would be ignored: it needs --baseline"),
        (("--baseline-factor", "3"), "--baseline-factor would be ignored: it needs --baseline"),
        (("--baseline", FILE, "--baseline-factor", "0.5"), "0.5 is not in the range x>=1"),
        (
            ("--baseline", FILE, "--update-baseline", "--baseline-factor", "3"),
            "--update-baseline compares",
        ),
        (("--baseline", "."), "is a directory"),
    ],
)
def test_options_that_make_no_sense_are_usage(options: tuple[str, ...], said: str) -> None:
    for sources in ((), ("net.onnx", "same.onnx")):
        found = cli("verify", *sources, *options)
        assert (found.code, found.out) == (2, "")
        assert said in found.words


def test_coverage_and_power_are_figures_too() -> None:
    save_prelu(Path("act.onnx"))
    for name, values in (("all", [[-1, -1, -1]]), ("half", [[-1, -1, 1]])):
        np.savez(f"{name}.npz", x=np.array(values * 4, np.float32))
    run = ("verify", "act.onnx", "act.onnx", "--baseline", FILE, "--inputs")
    assert cli(*run, "all.npz", "--update-baseline").code == 0
    found = cli(*run, "half.npz", "--format", "json")
    assert found.code == 1
    worse = {(one["part"], one["figure"]) for one in found.json["baseline"]["worse"]}
    assert ("inputs", "coverage") in worse
