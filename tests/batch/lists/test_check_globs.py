"""Globs in a list of checks: one check for each match; no match is not a pass."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from running import Outcome, cli
from tiny_models import save_dense

from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.commands.verify.request import VerifyRequest


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three references and what was made of them, one of it wrong, in the current folder."""
    for folder in ("src/deep", "made"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a", "b"):
        save_dense(tmp_path / f"src/{name}.onnx")
        save_dense(tmp_path / f"made/{name}.onnx")
    save_dense(tmp_path / "src/deep/c.onnx")
    save_dense(tmp_path / "made/c.onnx", slopes=(0.25, -0.5, 1.25))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _check(reference: str, *candidates: str, more: str = "") -> str:
    label = ", ".join(f'"{one}"' for one in candidates)
    return f'[[checks]]\nreference = "{reference}"\ncandidates = [{label}]\n{more}\n'


def _found(*checks: str) -> list[tuple[str, str, tuple[str, ...]]]:
    Path("prelu-tools.toml").write_text("\n".join(checks), encoding="utf-8")
    return [(one.name, one.path, one.candidates) for one in check_jobs().jobs]


def _run(*checks: str) -> Outcome:
    Path("prelu-tools.toml").write_text("\n".join(checks), encoding="utf-8")
    return cli("verify", "--jobs", "0", "--format", "json")


def test_a_check_is_made_of_each_match_in_order_of_name() -> None:
    assert _found(_check("src/*.onnx", "made/{stem}.onnx")) == [
        ("src/a.onnx", "src/a.onnx", ("made/a.onnx",)),
        ("src/b.onnx", "src/b.onnx", ("made/b.onnx",)),
    ]


def test_two_stars_go_down_folders_and_every_placeholder_is_filled_in() -> None:
    found = _found(_check("src/**/*.onnx", "{folder}/../{name}", "x/{stem}.onnx"))
    assert [one[2] for one in found] == [
        ("src/../a.onnx", "x/a.onnx"),
        ("src/../b.onnx", "x/b.onnx"),
        ("src/deep/../c.onnx", "x/c.onnx"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net {stem}", ["net a", "net b"]),
        ("nets", ["nets: src/a.onnx", "nets: src/b.onnx"]),
        ("{folder}", ["src", "src (2)"]),
    ],
)
def test_matches_are_named_apart(name: str, expected: list[str]) -> None:
    found = _found(_check("src/*.onnx", "made/{stem}.onnx", more=f'name = "{name}"'))
    assert [one[0] for one in found] == expected


def test_the_inputs_and_the_layouts_follow() -> None:
    layouts = "{ 'made/{stem}*.onnx' = 'nhwc', 'src/*.onnx' = 'nchw' }"
    more = f"inputs = 'in/{{stem}}.npz'\nlayouts = {layouts}"
    Path("prelu-tools.toml").write_text(_check("src/*.onnx", "made/{stem}*.onnx", more=more))
    requests = [cast(VerifyRequest, job.work) for job in check_jobs().jobs]
    assert [str(one.inputs_file) for one in requests] == ["in/a.npz", "in/b.npz"]
    for request in requests:
        assert request.layouts[request.candidates[0]] == "nhwc"
        assert request.layouts[request.reference] == "nchw"


def test_a_glob_of_candidates_leaves_the_reference_out() -> None:
    save_dense(Path("src/a-fast.onnx"))
    assert _found(_check("src/a.onnx", "src/*.onnx", "src/b.onnx")) == [
        ("src/a.onnx", "src/a.onnx", ("src/a-fast.onnx", "src/b.onnx"))
    ]


def test_a_match_that_looks_like_a_pattern_is_a_name() -> None:
    Path("src/a.onnx").rename("src/[ab].onnx")
    Path("made/a.onnx").rename("made/[ab]-1.onnx")
    found = _found(
        _check("src/*.onnx", "made/{stem}*.onnx"), _check("src/[ab].onnx", "made/b.onnx")
    )
    assert [one[1:] for one in found] == [
        ("src/[ab].onnx", ("made/[ab]-1.onnx",)),
        ("src/b.onnx", ("made/b.onnx",)),
        ("src/[ab].onnx", ("made/b.onnx",)),
    ]


def test_weights_and_python_files_may_be_globs_and_arguments_are_none() -> None:
    for name in ("w1.pt", "w2.pt", "n1.py"):
        Path(name).touch()
    assert [one[1:] for one in _found(_check("nets.py:Net([1])@./w?.pt", "{stem}.onnx"))] == [
        ("nets.py:Net([1])@./w1.pt", ("w1.onnx",)),
        ("nets.py:Net([1])@./w2.pt", ("w2.onnx",)),
    ]
    assert [one[1] for one in _found(_check("n?.py:Net", "{stem}.onnx"))] == ["n1.py:Net"]
    assert [one[1] for one in _found(_check("nets.py:Net([1, 2])", "a.onnx"))] == [
        "nets.py:Net([1, 2])"
    ]


def test_each_match_is_judged() -> None:
    found = _run(_check("src/**/*.onnx", "made/{stem}.onnx"))
    assert found.code == 1
    assert [one["status"] for one in found.json["models"]] == ["pass", "pass", "fail"]
    assert _run(_check("src/*.onnx", "made/{stem}.onnx")).code == 0


def test_a_match_without_its_candidate_is_no_pass() -> None:
    Path("made/b.onnx").unlink()
    found = _run(_check("src/*.onnx", "made/{stem}.onnx"))
    assert found.code == 3
    assert [one["status"] for one in found.json["models"]] == ["pass", "inconclusive"]


@pytest.mark.parametrize(
    ("reference", "candidate", "said"),
    [
        ("gone/*.onnx", "{stem}.onnx", "gone/*.onnx matches no file"),
        ("src/a.onnx", "gone/*.onnx", "gone/*.onnx matches no file"),
        ("src/a.onnx", "src/a*.onnx", "src/a*.onnx matches no file but the reference"),
        ("src/a.*", "gone/{stem}*.onnx", "gone/a*.onnx matches no file"),
    ],
)
def test_a_glob_that_matches_nothing_is_inconclusive(
    reference: str, candidate: str, said: str
) -> None:
    good = _check("src/b.onnx", "made/b.onnx")
    found = _run(_check(reference, candidate, more='name = "lost"'), good)
    assert found.code == 3
    lost = found.json["models"][0]
    assert lost["error"] == said
    assert found.json["models"][1]["status"] == "pass"


def test_what_is_there_is_judged_where_a_glob_beside_it_matches_nothing() -> None:
    found = _run(_check("src/a.onnx", "made/a.onnx", "gone*.onnx"))
    assert (found.code, found.json["models"][0]["status"]) == (3, "inconclusive")
    assert found.json["models"][0]["reasons"] == ["gone*.onnx matches no file"]
    assert _run(_check("src/a.onnx", "made/c.onnx", "gone*.onnx")).code == 1


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (
            _check("src/*.onnx", "made/a.onnx"),
            "cannot tell which candidate belongs",
        ),
        (
            _check("src/*.onnx", "made/*.onnx"),
            "cannot tell which candidate belongs",
        ),
        (
            _check("src/a.onnx", "{stem}.onnx"),
            "has {stem}, which is filled in from the reference",
        ),
        (_check("src/*.onnx", "{stm}.onnx"), "unknown placeholder {stm}; did you mean 'stem'?"),
        (_check("s*.keras@w*.h5", "{stem}.onnx"), "has two patterns"),
    ],
)
def test_a_glob_that_makes_no_sense_is_a_usage_error(check: str, said: str) -> None:
    found = _run("\n\n" + check)
    assert (found.code, found.out) == (2, "")
    assert said in found.words
    assert "prelu-tools.toml, check 1 (" in found.words


def test_given_names_may_not_be_those_of_others_and_matches_give_way() -> None:
    named = _check("src/a.onnx", "made/a.onnx", more='name = "src/a.onnx"')
    found = _found(_check("src/*.onnx", "made/{stem}.onnx"), named)
    assert [one[0] for one in found] == ["src/a.onnx (2)", "src/b.onnx", "src/a.onnx"]
