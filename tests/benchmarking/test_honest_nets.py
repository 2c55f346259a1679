"""A part of the honest nets and of the attacks on them, with the verdicts that they must have."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.honest import report
from benchmarks.honest.check import Row, check, live
from benchmarks.honest.effect import change, honest_file
from benchmarks.honest.faults import FAULTS
from benchmarks.honest.numbers import answers, compare
from benchmarks.honest.registry import find
from benchmarks.honest.surgery import Graph

TORCH = ("FSRCNN", "GRUHead", "Counts")
KERAS = ("pnet",)
THOROUGH = {"torch": ("PNet", "ZeroDCE", "WaveNet", "VAEDecoder"), "keras": ("dncnn",)}
_THOROUGH = pytest.mark.thorough


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(f"torch/{name}", marks=pytest.mark.torch) for name in TORCH),
        *(pytest.param(f"keras/{name}", marks=pytest.mark.keras) for name in KERAS),
        *(
            pytest.param(f"{framework}/{name}", marks=[getattr(pytest.mark, framework), _THOROUGH])
            for framework, names in THOROUGH.items()
            for name in names
        ),
    ],
)
def test_right_files_pass(name: str, tmp_path: Path) -> None:
    rows = check(find(name), 0, tmp_path, short=True)
    assert not [row for row in rows if row.outcome not in ("right", "no file")]
    files = [row for row in rows if row.outcome == "right"]
    assert len(files) >= 2, [row for row in rows if row not in files]


@pytest.mark.torch
def test_faults_are_caught(tmp_path: Path) -> None:
    from benchmarks.honest.attacks import attack

    rows = [vars(row) for row in attack(find("torch/WaveNet"), tmp_path)]
    assert len(report.counted(rows)) == 20
    assert report.share_caught(rows) == 1.0
    assert not report.misses(rows)


@pytest.mark.torch
def test_the_numbers_alone_know_a_wrong_file(tmp_path: Path) -> None:
    import prelu_tools

    honest = find("torch/VAEDecoder")
    model = live(honest, 0)
    right, wrong = tmp_path / "right.onnx", tmp_path / "wrong.onnx"
    prelu_tools.export(model, right, input=honest.shapes, verify=False)
    known = answers(honest, model)
    graph = Graph(onnx.load(right), np.random.default_rng(0))
    assert FAULTS["bias dropped"](graph, {})
    onnx.save(graph.model, wrong)
    assert compare(right, known).wrong is None
    assert "off by" in str(compare(wrong, known).wrong)
    good = honest_file(right, known)
    assert change(right, good) == 0
    assert change(wrong, good) > 50


@pytest.mark.parametrize(
    ("verdict", "wrong", "outcome"),
    [
        ("pass", None, "right"),
        ("fail", None, "false alarm"),
        ("inconclusive", None, "no verdict"),
        ("error", None, "no verdict"),
        ("pass", "off", "missed"),
        ("fail", "off", "wrong but caught"),
        ("none", None, "no file"),
    ],
)
def test_what_a_verdict_counts_as(verdict: str, wrong: str | None, outcome: str) -> None:
    assert Row("torch/Net", 0, "onnxsim", verdict, (), wrong, 0.0, 0.0).outcome == outcome


def test_an_export_that_is_wrong_is_not_only_caught() -> None:
    row = Row("torch/Net", 0, "export, opset 18", "fail", (), "off", 0.0, 0.0)
    assert row.outcome == "wrong export"
    assert row.outcome in report.BAD


def test_a_missed_fault_is_named_and_counted() -> None:
    honest = {"net": "torch/Net", "kind": "none", "what": "", "change": 0.0, "verdict": "pass",
              "reasons": (), "allclose": False, "polygraphy": False}  # fmt: skip
    faults = [
        honest | {"kind": "bias", "what": f"bias {n}", "change": 900.0, "verdict": verdict}
        for n, verdict in enumerate(("fail", "pass", "inconclusive", "fail"))
    ]
    small = honest | {"kind": "bias", "change": 3.0}
    rows = [honest, *faults, small]
    assert report.share_caught(rows) == 0.75
    assert report.misses(rows) == ["missed: torch/Net, bias: bias 1 (900 times the rounding error)"]
    assert report.share_caught([honest | {"verdict": "fail"}, *faults]) == 0.0


def test_a_page_names_what_is_open_once_for_each_net(tmp_path: Path) -> None:
    row = {"net": "torch/Net", "seed": 0, "verdict": "fail", "reasons": ["values differ", "more"],
           "wrong": None, "outcome": "false alarm"}  # fmt: skip
    rows = [
        row | {"candidate": name} for name in ("export, opset 18", "export, opset 17", "onnxsim")
    ]
    assert report.open_points(rows) == "- torch/Net, false alarm (export, onnxsim): values differ"
    assert report.open_points([row | {"candidate": "export", "outcome": "right"}]) == ""


def test_a_page_lists_only_nets_with_something_else_than_right_files() -> None:
    rows = [
        {"net": net, "outcome": outcome}
        for net, outcome in (("torch/A", "right"), ("torch/B", "right"), ("torch/B", "missed"))
    ]
    assert [line.split(" | ")[0] for line in report.by_net(rows).splitlines()[2:]] == ["| torch/B"]
    assert report.by_net(rows[:2]) == ""


def test_tables_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("head\n<!-- results -->\nold\n<!-- /results -->\ntail\n")
    report.put(page, "results", "new")
    assert page.read_text() == "head\n<!-- results -->\nnew\n<!-- /results -->\ntail\n"
    report.put(tmp_path / "other.md", "attacks", "new")
    assert (tmp_path / "other.md").read_text() == "<!-- attacks -->\nnew\n<!-- /attacks -->\n"
