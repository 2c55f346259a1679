"""Candidates that cannot be run: said before anything is loaded, and never a pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from text_nets import COLUMN, IMAGE, SLOPES, save, verify

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates import unrun as module
from prelu_tools.commands.verify.candidates.unrun import not_run, nothing_to_run, unjudged
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, RefusedInputError
from prelu_tools.core.prelu.slopes import PReLULayer, Shape
from prelu_tools.core.process.versions import installed_versions
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.verification.candidate import (
    CandidateReport,
    ProviderReport,
    Tolerance,
)
from prelu_tools.core.results.verification.result import VerifyResult

REQUEST = VerifyRequest("r.onnx", ("c.onnx", "d.onnx"), providers=("cuda", "cpu"), seed=7)


def _refusing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """These models and providers are not there."""

    def check(name: str) -> None:
        if name in names:
            raise PReLUToolsError(f"{name} is not there")

    monkeypatch.setattr(module, "check_source", check)
    monkeypatch.setattr(module, "check_provider", check)


def test_what_is_not_compared_has_no_verdict() -> None:
    none = Tolerance(0.0, 0.0, scaled=True, origin="nothing was compared")
    report = CandidateReport("c", "inconclusive", None, none, (), (), None, ("why",))
    assert unjudged("c", None, "why") == report
    provider = ProviderReport("cuda", (), ())
    assert unjudged("c", "cuda", "why", "fail") == replace(
        report, provider=provider, verdict="fail"
    )


def test_where_nothing_can_be_run_that_is_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    _refusing(monkeypatch, "c.onnx", "cuda", "cpu")
    reports = (
        unjudged("c.onnx", None, "c.onnx is not there"),
        unjudged("d.onnx", "cuda", "cuda is not there"),
        unjudged("d.onnx", "cpu", "cpu is not there"),
    )
    assert nothing_to_run(REQUEST) == VerifyResult(
        "inconclusive", "r.onnx", "float32", installed_versions(), 7, 0, None, reports,
        ("c.onnx is not there", "d.onnx: cuda is not there", "d.onnx: cpu is not there"),
    )  # fmt: skip


Sizes = tuple[int, ...]


def _layer(name: str, slopes: Sizes, shape: Shape | None = None) -> PReLULayer:
    return PReLULayer(name, (name,), None, "prelu", np.ones(slopes), shape, slopes, None, True)


def _not_run(
    mine: list[PReLULayer], theirs: list[PReLULayer] | None, error: PReLUToolsError
) -> CandidateReport:
    """What is said of a candidate with these layers; None where they cannot be read."""

    def layers() -> list[PReLULayer]:
        if theirs is None:
            raise PReLUToolsError("it cannot be read")
        return theirs

    source = cast(Source, SimpleNamespace(graph=object(), layers=layers))
    return not_run(mine, Linked("c", source, (), Layouts()), "cpu", error)


def test_a_candidate_is_at_fault_where_it_refuses_inputs_or_its_slopes_do_not_fit() -> None:
    good, bad = [_layer("a", (1, 3), (None, 3))], [_layer("a", (3, 1), (None, 3))]
    refused, broken = RefusedInputError("it takes no rows"), PReLUToolsError("it broke")
    slopes = Reason("a: its slopes have shape 3x1, expected 3", "slope_axes_differ")
    takes_none = Reason("it takes no rows", "candidate_refuses_input")
    for theirs, error, verdict, reasons in (
        (good, broken, "inconclusive", ("it broke",)),
        (None, broken, "inconclusive", ("it broke",)),
        (good, refused, "fail", (takes_none,)),
        (bad, broken, "fail", (slopes, "it broke")),
        (bad, refused, "fail", (slopes, takes_none)),
    ):
        report = _not_run(good, theirs, error)
        assert report == replace(unjudged("c", "cpu", ""), verdict=verdict, reasons=reasons)
        assert [code_of(found) for found in report.reasons] == [*map(code_of, reasons)]


@pytest.mark.parametrize(
    ("mine", "theirs", "known", "words"),
    [
        ((1, 3, 1, 1), (1, 3, 1, 1), (None, None, None, 3), "3x1x1, expected 1x1x3"),
        ((1, 2, 1, 1), (1, 1, 1, 2), (1, 2, None, None), "1x1x2, expected 2x1x1"),
        ((1, 3, 1, 1), (1, 1, 1, 3, 1), (None, 3, 5, 5), "1x1x3x1, expected 3x1x1"),
        ((1, 3), (2, 1), (None, 3), "2x1, expected 3"),
        ((1, 3), (1,), (None, 3), "1, expected 3"),
        ((1, 3, 1, 1), (1, 3, 1, 1), (None, 4, 5, 5), None),
        ((1, 3, 1, 1), (1, 1, 1, 3), None, None),
    ],
)
def test_slopes_fit_where_most_of_their_sizes_are_those_of_the_input(
    mine: Sizes, theirs: Sizes, known: Shape | None, words: str | None
) -> None:
    first = _layer("0", (1, 3))  # nothing is known of its input
    found = _not_run([first, _layer("a", mine)], [first, _layer("a", theirs, known)],
                     PReLUToolsError("it broke"))  # fmt: skip
    said = [] if words is None else [f"a: its slopes have shape {words}"]
    assert list(found.reasons) == [*said, "it broke"]


_CONVOLVED = "c = Conv<pads = [1, 1, 1, 1]>(x, kernel) [act] y = PRelu(c, a)"
_KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)


def _net(
    path: Path, slopes: Any, shape: str = "float[batch,3,4,5]", body: str = _CONVOLVED
) -> Path:
    return save(path, body, f"{shape} x", f"{shape} y", a=slopes, kernel=_KERNEL)


@pytest.mark.parametrize("shape", ["float[batch,3,4,5]", "float[batch,3,h,w]"])
@pytest.mark.parametrize(
    ("wrong", "words"),
    [(SLOPES.reshape(1, 1, 3), "1x1x3"), (SLOPES.reshape(1, 3, 1), "1x3x1"), (SLOPES[:2], "1x1x2")],
)
def test_slopes_that_do_not_fit_their_layer_are_read_where_they_cannot_be_run(
    tmp_path: Path, shape: str, wrong: Any, words: str
) -> None:
    net = _net(tmp_path / "net.onnx", COLUMN, shape)
    bad = _net(tmp_path / "bad.onnx", wrong, shape)
    found = verify(net, bad)
    assert (found.code, found.json["reason_codes"][0]) == (1, "slope_axes_differ")
    said = f"a: its slopes have shape {words}, expected 3x1x1"
    assert found.json["reasons"][0] == f"{bad}: {said}"
    assert "onnxruntime_src" not in found.json["reasons"][1]
    assert verify(net, net).code == 0


def test_where_the_slopes_fit_a_model_that_cannot_be_run_has_no_verdict(tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx", COLUMN)
    body = f"{_CONVOLVED.replace(' y = ', ' z = ')} y = Reshape(z, to)"
    odd = save(tmp_path / "odd.onnx", body, f"{IMAGE} x", f"{IMAGE} y",
               a=COLUMN, kernel=_KERNEL, to=np.array([-1, 3, 7, 11]))  # fmt: skip
    found = verify(net, odd)
    assert (found.code, found.json["reason_codes"]) == (3, [None])


def test_slopes_are_where_the_input_has_its_channels(tmp_path: Path) -> None:
    net = _net(tmp_path / "net.onnx", COLUMN)
    last = """c = Conv<pads = [1, 1, 1, 1]>(x, kernel) t = Transpose<perm = [0, 2, 3, 1]>(c)
              [act] p = PRelu(t, a) u = Transpose<perm = [0, 3, 1, 2]>(p) y = Reshape(u, to)"""
    odd = save(tmp_path / "odd.onnx", last, f"{IMAGE} x", f"{IMAGE} y",
               a=SLOPES, kernel=_KERNEL, to=np.array([-1, 3, 7, 11]))  # fmt: skip
    assert verify(net, odd).code == 3


@pytest.mark.parametrize(
    ("refused", "changes", "live"),
    [
        ((), {}, ()),
        (("c.onnx",), {}, ()),
        (("d.onnx",), {}, ()),
        (("c.onnx", "cuda"), {}, ()),
        (("c.onnx", "cpu"), {}, ()),
        (("c.onnx", "cuda", "cpu"), {"runtimes": ("ncnn",)}, ()),
        (("c.onnx", "cuda", "cpu"), {"candidates": ("c.onnx", "d.keras")}, ()),
        (("c.onnx", "d.onnx"), {}, ("d.onnx",)),
    ],
)
def test_one_that_may_run_is_enough(
    refused: tuple[str, ...], changes: dict[str, Any], live: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _refusing(monkeypatch, *refused)
    assert nothing_to_run(replace(REQUEST, **changes), live) is None
