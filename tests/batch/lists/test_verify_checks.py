"""`verify` without arguments: the checks of the project's file, each as strict as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from json_schemas import errors
from odd_models import documents
from running import Outcome, cli
from tiny_models import save_dense, save_prelu, save_relu

from prelu_tools.batch import performing
from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.options import InputOption, SourceOptions
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.rounding.tolerance import CALIBRATED

GOOD = 'name = "good"\nreference = "net.onnx"\ncandidates = ["same.onnx"]'
BAD = 'name = "bad"\nreference = "net.onnx"\ncandidates = ["other.onnx"]'
LOST = 'name = "lost"\nreference = "missing.onnx"\ncandidates = ["net.onnx"]'
DOUBT = 'name = "doubt"\nreference = "net.onnx"\ncandidates = ["missing.onnx"]'


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, which is the current one."""
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "same.onnx")
    save_dense(tmp_path / "moved.onnx", bias=1e-4)
    save_dense(tmp_path / "other.onnx", slopes=(0.25, -0.5, 1.25))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _write(*checks: str, file: str = "pyproject.toml") -> None:
    head = "[[checks]]" if file == "prelu-tools.toml" else "[[tool.prelu-tools.checks]]"
    Path(file).write_text("".join(f"{head}\n{check}\n" for check in checks), encoding="utf-8")


def _run(*checks: str) -> Outcome:
    _write(*checks)
    return cli("verify", "--jobs", "0", "--format", "json")


def _verdicts(found: Outcome) -> dict[str, str]:
    return {one["name"]: one["status"] for one in found.json["models"]}


# What becomes of several


def test_a_check_of_several_candidates_says_which_one_differs_and_why() -> None:
    _write('name = "both"\nreference = "net.onnx"\ncandidates = ["same.onnx", "other.onnx"]')
    found = cli("verify", "--jobs", "0")
    assert found.code == 1
    assert "fail both other.onnx: " in found.words
    assert "other.onnx: output 'y': 12 of 51 values differ" in found.words
    assert "same.onnx: " not in found.words


def test_checks_that_hold_pass() -> None:
    found = _run(GOOD, 'reference = "net.onnx"\ncandidates = ["net.onnx", "same.onnx"]')
    assert (found.code, found.err) == (0, "")
    assert _verdicts(found) == {"good": "pass", "net.onnx": "pass"}
    assert [one["model"] for one in documents(found.json)[1]["candidates"]] == [
        *("net.onnx", "same.onnx")
    ]


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ((GOOD, BAD), 1),
        ((BAD, GOOD), 1),
        ((GOOD, LOST), 3),
        ((LOST, GOOD), 3),
        ((DOUBT, GOOD), 3),
        ((LOST, BAD), 1),
        ((BAD, LOST, DOUBT), 1),
    ],
)
def test_a_failure_beats_an_error_and_all_run(checks: tuple[str, ...], code: int) -> None:
    expected = {GOOD: ("good", "pass"), BAD: ("bad", "fail"), LOST: ("lost", "error")}
    expected[DOUBT] = ("doubt", "inconclusive")
    found = _run(*checks)
    assert found.code == code
    assert _verdicts(found) == dict(expected[check] for check in checks)


def test_a_reference_that_is_missing_is_an_error_of_its_check() -> None:
    found = _run(LOST, GOOD)
    lost, good = found.json["models"]
    assert (lost["path"], lost["candidates"]) == ("missing.onnx", ["net.onnx"])
    assert "missing.onnx cannot be read: no such file" in lost["error"]
    assert good["document"]["verdict"] == "pass"
    assert found.json["summary"] == {"pass": 1, "fail": 0, "inconclusive": 0, "error": 1}


def test_a_source_that_exits_is_an_error_of_its_check() -> None:
    Path("leaves.py").write_text("raise SystemExit(0)\n")
    found = _run('reference = "leaves.py:Net"\ncandidates = ["net.onnx"]', GOOD)
    assert found.code == 3
    assert _verdicts(found) == {"leaves.py:Net": "error", "good": "pass"}


@pytest.mark.parametrize("error", [RuntimeError("surprise"), SystemExit(0)])
def test_a_defect_is_an_error_of_its_check(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = performing.verify

    def broken(request: VerifyRequest) -> Any:
        if request.candidates == ("other.onnx",):
            raise error
        return real(request)

    monkeypatch.setattr(performing, "verify", broken)
    found = _run(BAD, GOOD)
    assert found.code == 3
    assert _verdicts(found) == {"bad": "error", "good": "pass"}
    assert f"unexpected {type(error).__name__}" in found.json["models"][0]["error"]
    assert "Traceback" not in found.err
    assert "Traceback" in cli("verify", "--jobs", "0", "-v").err


def test_checks_of_one_reference_are_numbered() -> None:
    bare = 'reference = "net.onnx"\ncandidates = ["net.onnx"]'
    taken = 'name = "net.onnx (2)"\n' + bare
    found = _run(bare, bare, taken)
    assert list(_verdicts(found)) == ["net.onnx", "net.onnx (3)", "net.onnx (2)"]


# The file


def test_the_own_file_is_read_alone() -> None:
    _write(GOOD, file="prelu-tools.toml")
    found = cli("verify", "--format", "json")
    assert (found.code, found.err) == (0, "")
    assert _verdicts(found) == {"good": "pass"}


def test_of_both_files_the_own_one_wins_and_a_note_says_so() -> None:
    _write(GOOD, file="prelu-tools.toml")
    _write(BAD)
    found = cli("verify", "--format", "json")
    assert found.code == 0
    assert _verdicts(found) == {"good": "pass"}
    note = "Note: the checks are those of prelu-tools.toml; [tool.prelu-tools] of pyproject.toml"
    assert found.err == f"{note} is not read\n"
    assert cli("verify", "-q").err == ""


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "no toml", "[tool]\nprelu-tools = 1"])
def test_a_project_file_without_checks_is_no_matter_beside_the_own_one(text: str) -> None:
    _write(GOOD, file="prelu-tools.toml")
    Path("pyproject.toml").write_text(text)
    assert (cli("verify").code, cli("verify").err) == (0, "")


def test_an_own_file_without_checks_is_not_passed_over() -> None:
    Path("prelu-tools.toml").write_text("")
    _write(GOOD)
    found = cli("verify")
    assert found.code == 2
    assert "prelu-tools.toml lists no checks: write [[checks]]" in found.words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "there is nothing to check: give REFERENCE CANDIDATE..., or list checks under "
         "[[tool.prelu-tools.checks]] in pyproject.toml"),
        ("", "pyproject.toml lists no checks: write [[tool.prelu-tools.checks]] with reference ="),
        ("[tool.prelu-tools]\nchecks = []", "pyproject.toml lists no checks"),
        ("[tool.other]\nx = 1", "pyproject.toml lists no checks"),
        ("tool = 1", "pyproject.toml lists no checks"),
        ("[tool]\nprelu-tools = 1", "tool.prelu-tools is 1; expected a table"),
        ("[tool.prelu-tools]\nchecks = 1", "checks is 1; expected tables"),
        ("[tool.prelu-tools]\nchecks = ['a']", "checks is ['a']; expected tables"),
        ("[[tool.prelu-tools.chekcs]]\nx = 1", "unknown key 'chekcs' beside the checks"),
        ("[[tool.prelu-tools.check]]\nx = 1", "did you mean 'checks'?"),
        ("[", "pyproject.toml is not a TOML file"),
    ],
)  # fmt: skip
def test_nothing_to_check_is_a_usage_error(text: str | None, said: str) -> None:
    if text is not None:
        Path("pyproject.toml").write_text(text)
    found = cli("verify")
    assert (found.code, found.out) == (2, "")
    assert said in found.words


def test_a_file_that_is_no_text_is_a_usage_error_and_a_folder_is_unreadable() -> None:
    Path("pyproject.toml").write_bytes(b"\xff\xfe")
    assert cli("verify").code == 2
    Path("prelu-tools.toml").mkdir()
    found = cli("verify")
    assert found.code == 3
    assert "prelu-tools.toml cannot be read" in found.words


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("min_coverag = 1", "'min_coverag'; did you mean 'min_coverage'?"),
        ("provider = ['cpu']", "'provider'; did you mean 'providers'?"),
        ("min-power = 1", "'min-power'; did you mean 'min_power'?"),
        ("zzz = 1", "'zzz'; expected one of allow_fallback, "),
    ],
)
def test_a_misspelled_key_is_a_usage_error_that_names_the_nearest(line: str, said: str) -> None:
    _write(GOOD, f"{BAD}\n{line}")
    found = cli("verify")
    assert (found.code, found.out) == (2, "")
    assert f"pyproject.toml, check 2 ('bad'): unknown key {said}" in found.words


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        (['candidates = ["net.onnx"]'], "check 1: missing key 'reference'"),
        (['reference = "net.onnx"'], "check 1 ('net.onnx'): missing key 'candidates'"),
        ([GOOD, GOOD], "2 checks have the name 'good'"),
        ([f"{GOOD}\nlayouts = {{ candidat = 'nchw' }}"], "did you mean 'candidate'?"),
        ([f"{GOOD}\nlayouts = {{ 'net2.onnx' = 'nchw' }}"], "'net2.onnx', which is not a model"),
        ([f"{GOOD}\nlayouts = {{ candidate = 'nchw' }}"], "layouts has an axis order for 'cand"),
        (
            [f"{GOOD}\npower = false\nmin_power = 0.5"],
            "ignored: power = false plants no faults",
        ),
        (
            [f"{GOOD}\nlayers = false\nmin_power = 0"],
            "ignored: layers = false skips the layers",
        ),
        (
            [f"{GOOD}\nlayers = false\nmin_coverage = 0"],
            "min_coverage would be ignored: layers = false",
        ),
    ],
)
def test_a_check_that_makes_no_sense_is_a_usage_error(checks: list[str], said: str) -> None:
    found = _run(*checks)
    assert (found.code, found.out) == (2, "")
    assert said in found.words


# Each field


def test_every_key_is_read() -> None:
    _write(
        """
        name = "all"
        reference = "net.onnx"
        candidates = ["a.onnx", "b.onnx"]
        inputs = "x.npz"
        providers = ["cuda", "cpu"]
        layouts = { reference = "nchw", "b.onnx" = "nhwc" }
        min_coverage = 0.5
        min_hits = 3
        min_power = 1
        tolerance = "1e-3,0"
        samples = 3
        seed = 4
        search_seconds = 1
        power = true
        layers = true
        allow_fallback = true
        strict_special = true
        strict_interface = true
        strict_warnings = true
        allow_no_prelu = true
        input = ["x:batch,3", "y:2"]
        input_range = { x = [0, 255], "" = "-1,1" }
        custom_objects = ["m.py:C"]
        allow_unsafe_load = true
        """
    )
    expected = VerifyRequest(
        reference="net.onnx",
        candidates=("a.onnx", "b.onnx"),
        inputs_file=Path("x.npz"),
        providers=("cuda", "cpu"),
        layouts={"reference": "nchw", "b.onnx": "nhwc"},
        min_coverage=0.5,
        min_hits=3,
        min_power=1.0,
        tolerance=Tolerance(1e-3, 0.0, scaled=False, origin="given"),
        samples=3,
        seed=4,
        search_seconds=1.0,
        power=True,
        layers=True,
        allow_fallback=True,
        strict_special=True,
        strict_interface=True,
        strict_warnings=True,
        allow_no_prelu=True,
        ranges={"x": (0.0, 255.0), "": (-1.0, 1.0)},
        options=SourceOptions(
            inputs=(InputOption("x", ("batch", 3)), InputOption("y", (2,))),
            custom_objects=("m.py:C",),
            allow_unsafe_load=True,
            show_chatter=True,
        ),
    )
    (job,) = check_jobs(show_chatter=True).jobs
    assert (job.name, job.work) == ("all", expected)


def test_switches_are_read() -> None:
    _write(f"{GOOD}\nlayers = false\npower = false")
    (check,) = check_jobs().jobs
    expected = VerifyRequest("net.onnx", ("same.onnx",), layers=False, power=False)
    assert check.work == expected
    assert documents(cli("verify", "--jobs", "0", "--format", "json").json)[0]["coverage"] is None


def test_what_is_not_said_is_as_on_the_command_line() -> None:
    _write(f'{GOOD}\ntolerance = "calibrated"')
    (check,) = check_jobs().jobs
    assert check.work == VerifyRequest("net.onnx", ("same.onnx",))
    assert check.work.tolerance is CALIBRATED


def test_the_tolerance_says_no() -> None:
    moved = GOOD.replace("same", "moved")
    assert [
        _run(f"{moved}\ntolerance = {text}").code
        for text in ("[0, 1e-3]", '"0,1e-3"', "[0, 1e-6]", '"0,1e-6"')
    ] == [0, 0, 1, 1]


def test_the_coverage_and_the_inputs_say_no() -> None:
    save_prelu(Path("act.onnx"))
    np.savez("half.npz", x=np.array([[-1, -1, 1]] * 4, np.float32))
    check = 'reference = "act.onnx"\ncandidates = ["act.onnx"]\ninputs = "half.npz"\n'
    enough, more = _run(check + "min_coverage = 0.6"), _run(check + "min_coverage = 0.7")
    assert (enough.code, more.code) == (0, 1)
    (found,) = documents(more.json)
    assert (found["samples"], found["coverage"]["exercised"]) == (4, 2)
    assert "min_coverage = 0.7 requires more" in found["reasons"][0]


def test_the_power_says_no() -> None:
    save_prelu(Path("act.onnx"), slopes=(0.25, -0.25, 0.125))
    np.savez("tiny.npz", x=np.full((2, 3), -1e-45, np.float32))  # times any slope that is -0.0
    check = 'reference = "act.onnx"\ncandidates = ["act.onnx"]\ninputs = "tiny.npz"\n'
    for asked in ("min_power = 0", "min_power = 1", ""):
        blind = _run(check + asked)
        (found,) = documents(blind.json)
        assert (blind.code, found["power"]["planted"], found["power"]["hidden"]) == (3, 0, 5)
        assert found["reason_codes"] == ["slopes_not_shown"]
    unmeasured = _run(f"{check}power = false")
    assert (unmeasured.code, documents(unmeasured.json)[0]["power"]) == (0, None)


def test_the_layouts_say_no() -> None:
    slopes = np.random.default_rng(0).normal(size=(3, 3, 3)).astype(np.float32)
    dims = ("batch", 3, 3, 3)
    save_prelu(Path("left.onnx"), slopes=slopes, dims=dims)
    save_prelu(Path("right.onnx"), slopes=slopes.transpose(1, 2, 0), dims=dims)
    check = 'reference = "left.onnx"\ncandidates = ["right.onnx"]\n'
    said = [
        "layouts = { reference = 'nchw', candidate = 'nhwc' }",
        "layouts = { 'left.onnx' = 'nchw', 'right.onnx' = 'nhwc' }",
        "layouts = { reference = 'nchw', candidate = 'nchw' }",
        "",
    ]
    assert [_run(check + line).code for line in said] == [0, 0, 1, 0]


def test_the_providers_say_no() -> None:
    found = _run(f'{GOOD}\nproviders = ["cpu", "abacus"]')
    assert found.code == 3
    verdicts = [one["verdict"] for one in documents(found.json)[0]["candidates"]]
    assert verdicts == ["pass", "inconclusive"]


def test_models_without_prelu_pass_only_where_they_may() -> None:
    save_relu(Path("relu.onnx"))
    check = 'reference = "relu.onnx"\ncandidates = ["relu.onnx"]\nallow_no_prelu = '
    assert [_run(check + word).code for word in ("true", "false")] == [0, 3]


# The command line


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--samples", "3"), "--samples"),
        (("--seed", "0"), "--seed"),
        (("--provider", "cpu"), "--provider"),
        (("--no-power",), "--power"),
        (("--allow-no-prelu",), "--allow-no-prelu"),
        (("--input", "x:1,4"), "--input"),
        (("--tolerance", "calibrated"), "--tolerance"),
        (("--save-inputs", "x.npz"), "--save-inputs"),
        (("--allow-unsafe-load",), "--allow-unsafe-load"),
    ],
)
def test_an_option_of_one_check_belongs_in_the_file(option: tuple[str, ...], named: str) -> None:
    _write(GOOD)
    found = cli("verify", *option)
    assert (found.code, found.out) == (2, "")
    assert f"{named} is for one REFERENCE and its CANDIDATEs" in found.words
    assert "set it in the file" in found.words


def test_strict_warnings_may_be_asked_of_a_whole_list() -> None:
    save_dense(Path("initial.onnx"), slopes=0.25)
    initial = 'reference = "initial.onnx"\ncandidates = ["initial.onnx"]\n'
    _write(GOOD, f'name = "initial"\n{initial}', f"{initial}strict_warnings = false")
    assert cli("verify", "-q").code == 0
    found = cli("verify", "-q", "--strict-warnings")
    assert found.code == 1
    assert found.words.startswith("FAIL 1 of 3; initial: ")
    assert "(strict_warnings = true makes warnings fail)" in found.words


def test_a_reference_alone_is_a_usage_error_also_beside_a_list() -> None:
    _write(GOOD)
    found = cli("verify", "net.onnx")
    assert (found.code, found.out) == (2, "")
    assert "no candidate to compare net.onnx with: add a CANDIDATE" in found.words


def test_with_arguments_the_list_is_not_read() -> None:
    Path("pyproject.toml").write_text("[")
    assert cli("verify", "net.onnx", "same.onnx").code == 0


def test_reports_and_quiet_apply() -> None:
    _write(GOOD, BAD)
    found = cli(
        "verify", "-q", "--jobs", "0", "--report", "json=all.json", "--report", "junit=all.xml"
    )
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("FAIL  1 of 2; bad: other.onnx: act: ")
    assert found.err.count("\n") == 1
    assert json.loads(Path("all.json").read_text())["summary"]["fail"] == 1
    root = ElementTree.parse("all.xml").getroot()
    assert [suite.get("name") for suite in root] == [
        *("good: same.onnx[cpu]", "bad: other.onnx[cpu]")
    ]


def test_the_document_keeps_its_schema() -> None:
    found = _run(GOOD, BAD, LOST, DOUBT)
    document = json.loads(found.out, parse_constant=pytest.fail)
    assert errors("batch", document) == []
    assert [errors("verify", one) for one in documents(document) if one is not None] == [[]] * 3
    assert document["summary"] == {"pass": 1, "fail": 1, "inconclusive": 1, "error": 1}


@pytest.mark.parametrize("form", ["table", "markdown", "junit"])
def test_each_format_shows_every_check_and_why(form: str) -> None:
    _write(GOOD, BAD, LOST, DOUBT)
    found = cli("verify", "--jobs", "0", "--format", form)
    assert found.code == 1
    for text in ("good", "bad", "lost", "doubt", "1.25, expected 1.5", "no such file"):
        assert text in found.words
    if form == "table":
        assert max(map(len, found.out.splitlines())) <= 80
