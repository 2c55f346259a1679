"""Names, types, sizes and axes of inputs and outputs: what is said, and what fails."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from running import Outcome
from text_nets import COLUMN, candidate, save, verify

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.candidates.interface import compare_inputs, compare_outputs
from prelu_tools.commands.verify.candidates.outputs import OutputLink
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.unchecked import fixed_sizes
from prelu_tools.core.options import Dim

Codes = list[tuple[str, str]]


def _spec(name: str, *shape: Dim, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape, tuple(d if isinstance(d, int) else 2 for d in shape))


def _models(
    left: Sequence[TensorSpec] = (),
    right: Sequence[TensorSpec] = (),
    unnamed: tuple[Collection[str], Collection[str]] = ((), ()),
) -> Any:
    return tuple(
        SimpleNamespace(inputs=lambda specs=specs: specs, unnamed=names)
        for specs, names in zip((left, right), unnamed, strict=True)
    )


def _inputs(left: TensorSpec, right: TensorSpec, *order: int) -> Codes:
    link = InputLink(left.name, right.name, order or tuple(range(len(left.shape))))
    return [
        (one.code, one.words) for one in compare_inputs(_models([left], [right]), [link], Layouts())
    ]


def _link(mine: str, theirs: str, *order: int) -> OutputLink:
    return OutputLink(mine, theirs, order or (0,))


def test_inputs_that_are_the_same() -> None:
    picture = _spec("x", "batch", 3, "h", "w")
    assert _inputs(picture, picture) == []
    assert _inputs(_spec("x", 1, 3, 4, 5), picture) == []  # it takes more than it has to


def test_other_axes_of_an_input() -> None:
    last = _inputs(_spec("x", "batch", 3, "h", "w"), _spec("x", "n", "h", "w", 3), 0, 2, 3, 1)
    assert last == [("input_axes", "input 'x' has the reference's axes permuted as [0, 2, 3, 1]")]
    cube = _spec("x", "n", 3, 3, 3)
    assert _inputs(cube, cube) == []
    assert _inputs(cube, cube, 0, 3, 1, 2) == [
        ("input_axes", "input 'x' has the reference's axes permuted as [0, 3, 1, 2]")
    ]


def test_what_is_another_one_of_an_input() -> None:
    picture = _spec("x", "batch", 3, "h", "w")
    fixed = _inputs(picture, _spec("image", 1, "h", 64, 3, dtype="float16"), 0, 2, 3, 1)
    assert fixed == [
        ("input_renamed", "input 'image' is called 'x' in the reference"),
        ("input_type", "input 'x' is float16 (float32 in the reference)"),
        ("input_axes", "input 'x' has the reference's axes permuted as [0, 2, 3, 1]"),
        ("input_size_fixed", "input 'x[0]' is fixed to 1; the reference accepts any size"),
        ("input_size_fixed", "input 'x[3]' is fixed to 64; the reference accepts any size"),
    ]
    models = _models([picture, _spec("t", 1)], [picture])
    found = list(compare_inputs(models, [InputLink("x", "x", (0, 1, 2, 3))], Layouts()))
    assert [(one.code, one.words) for one in found] == [
        ("input_missing", "input 't' of the reference is missing")
    ]
    assert not any(one.fails for one in found)


@pytest.mark.parametrize(
    ("wanted", "found", "fails"),
    [
        ("int64", "int32", False), ("float32", "float16", False), ("bool", "uint8", False),
        ("int64", "float32", True), ("float32", "int64", True), ("float32", "bool", True),
        ("bfloat16", "float32", False), ("complex64", "int64", True),
        ("complex64", "float32", False),
    ],
)  # fmt: skip
def test_a_number_that_became_a_real_one_fails(wanted: str, found: str, fails: bool) -> None:
    left, right = {"y": np.zeros(2)}, {"y": np.zeros(2, found)}
    (one,) = compare_outputs(_models(), left, {"y": wanted}, right, [_link("y", "y")], Layouts())
    assert (one.code, one.expected, one.found, one.fails) == ("output_type", wanted, found, fails)


def test_outputs_of_one_type_are_no_difference() -> None:
    left, right = {"y": np.zeros(2)}, {"y": np.zeros(2, np.float32)}
    kinds = {"y": "float32"}
    assert list(compare_outputs(_models(), left, kinds, right, [_link("y", "y")], Layouts())) == []
    (one,) = compare_outputs(
        _models(), left, kinds, {"z": right["y"]}, [_link("y", "z")], Layouts()
    )
    assert (one.code, one.words, one.fails) == (
        "output_renamed",
        "output 'z' is called 'y' in the reference",
        False,
    )


@pytest.mark.parametrize("side", [0, 1])
def test_a_name_that_a_model_does_not_have_cannot_differ(side: int) -> None:
    left, right = _spec("x", 3), _spec("image", 3)
    unnamed = (("x", "y"), ()) if side == 0 else ((), ("image", "z"))
    models = _models([left], [right], unnamed)
    assert list(compare_inputs(models, [InputLink("x", "image", (0,))], Layouts())) == []
    values = {"y": np.zeros(2)}, {"y": "float64"}, {"z": np.zeros(2)}
    assert list(compare_outputs(models, *values, [_link("y", "z")], Layouts())) == []
    assert [one.code for one in compare_outputs(models, *values, [], Layouts())] == [
        "output_missing", "output_additional"
    ]  # fmt: skip


# Whole models

_SHAPE = "float[{},3,4,5]"


def _codes(found: Outcome) -> list[str]:
    return [one["code"] for one in candidate(found)["interface"]]


def _net(path: Path, body: str = "y = PRelu(x, a)", batch: object = "N", out: str = "") -> Path:
    shape = _SHAPE.format(batch)
    return save(path, body, f"{shape} x", out or f"{shape} y", a=COLUMN)


def test_a_size_that_is_fixed_is_said_and_fails_where_that_is_asked_for(tmp_path: Path) -> None:
    free, fixed = _net(tmp_path / "free.onnx"), _net(tmp_path / "fixed.onnx", batch=2)
    found = verify(free, fixed)
    (one,) = candidate(found)["interface"]
    assert (found.code, one["code"], one["name"]) == (0, "input_size_fixed", "x[0]")
    (said,) = found.json["warnings"]
    assert "input 'x' accepts N=2 only" in said
    assert "--strict-interface" in said
    assert "size_fixed" in found.json["note_codes"]
    strict = verify(free, fixed, "--strict-interface")
    assert (strict.code, strict.json["reason_codes"]) == (1, ["input_size_fixed"])
    assert strict.json["warnings"] == []
    assert verify(fixed, free, "--strict-interface").code == 0


def test_a_fixed_size_is_a_warning_where_somebody_said_that_it_is_dynamic() -> None:
    def said(stated: TensorSpec, found: TensorSpec, *order: int) -> list[str]:
        sources = [SimpleNamespace(inputs=lambda spec=spec: [spec]) for spec in (stated, found)]
        link = InputLink(stated.name, found.name, order or tuple(range(len(stated.shape))))
        linked = Linked("c.onnx", cast(Any, sources[1]), (link,), Layouts())
        return [*fixed_sizes(cast(Any, sources[0]), [linked])]

    picture, fixed = _spec("x", "batch", 3, "h", "w"), _spec("image", 1, "h", 64, 3)
    (words,) = said(picture, fixed, 0, 2, 3, 1)
    assert words.startswith(
        "c.onnx: input 'image' accepts batch=1 w=64 only, but batch and w are dynamic"
    )
    assert said(picture, picture) == said(fixed, fixed) == []
    assert said(replace(picture, is_assumed=True), fixed, 0, 2, 3, 1) == []


@pytest.mark.parametrize(("kind", "code"), [("int32", 0), ("float", 1)])
def test_a_class_of_another_type(kind: str, code: int, tmp_path: Path) -> None:
    body = "p = PRelu(x, a) y = ArgMax<axis = 1>(p)"
    left = _net(tmp_path / "l.onnx", body, out="int64[N,1,4,5] y")
    number = {"int32": 6, "float": 1}[kind]
    cast = body.replace("y =", "c =") + f" y = Cast<to = {number}>(c)"
    found = verify(left, _net(tmp_path / "r.onnx", cast, out=f"{kind}[N,1,4,5] y"))
    assert (found.code, [one["code"] for one in candidate(found)["interface"]]) == (
        code, ["output_type"]
    )  # fmt: skip


def test_ids_of_another_type_are_cast(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    slopes = COLUMN.reshape(3)
    body = "e = Gather(table, ids) m = ReduceMean<keepdims = 0>(e, axis) y = PRelu(m, a)"
    known = {"table": table, "a": slopes, "axis": np.array([1])}
    left = save(tmp_path / "l.onnx", body, "int64[N,6] ids", "float[N,3] y", **known)
    inner = f"i = Cast<to = 7>(ids) {body.replace('ids', 'i')}"
    right = save(tmp_path / "r.onnx", inner, "int32[N,6] ids", "float[N,3] y", **known)
    for pair in ((left, right), (right, left)):
        found = verify(*pair)
        assert (found.code, [x["code"] for x in candidate(found)["interface"]]) == (
            0, ["input_type"]
        )  # fmt: skip


def test_every_size_may_be_free(tmp_path: Path) -> None:
    left = _net(tmp_path / "l.onnx")
    free = save(tmp_path / "f.onnx", "y = PRelu(x, a)", "float[n,c,h,w] x", "float[n,c,h,w] y",
                a=COLUMN)  # fmt: skip
    assert verify(left, free).code == 0
    last = save(tmp_path / "t.onnx", "y = PRelu(x, a)", "float[n,h,w,c] x", "float[n,h,w,c] y",
                a=COLUMN.reshape(3))  # fmt: skip
    found = verify(left, last)
    assert found.code == 0, found.json["reasons"]
    assert _codes(found) == ["input_axes", "output_axes"]
    strict = verify(left, last, "--strict-interface")
    assert (strict.code, strict.json["reason_codes"]) == (1, ["input_axes", "output_axes"])
    assert "axis_order_tried" in strict.json["note_codes"]
    wrong = save(tmp_path / "w.onnx", "y = PRelu(x, a)", "float[n,c,h,w] x", "float[n,c,h,w] y",
                 a=COLUMN * 2)  # fmt: skip
    assert verify(left, wrong).code == 1


def test_everything_that_differs_is_told_with_both_sides() -> None:
    left = [_spec("gone", "n", 3), _spec("x", "batch", 3, "w", 5)]
    right = [_spec("image", "n", 3, 64, "h", dtype="float16")]
    inputs = list(
        compare_inputs(_models(left, right), [InputLink("x", "image", (0, 2, 1, 3))], Layouts())
    )
    assert [astuple(one) for one in inputs] == [
        ("input", "gone", "input_missing", "gone", "none", False),
        ("input", "x", "input_renamed", "x", "image", False),
        ("input", "x", "input_type", "float32", "float16", False),
        ("input", "x", "input_axes", "[0, 1, 2, 3]", "[0, 2, 1, 3]", False),
        ("input", "x[2]", "input_size_fixed", "w", "3", False),
    ]
    mine = {name: np.zeros(1) for name in ("gone", "y", "n", "same")}
    theirs = {"z": np.zeros(1, np.float32), "n": np.zeros(1, np.int64), "more": np.zeros(1),
              "same": np.zeros(1)}  # fmt: skip
    links = [_link("y", "z"), _link("n", "n", 0, 2, 1), _link("same", "same")]
    outputs = list(compare_outputs(_models(), mine, {"n": "float32"}, theirs, links, Layouts()))
    assert [astuple(one) for one in outputs] == [
        ("output", "gone", "output_missing", "gone", "none", True),
        ("output", "more", "output_additional", "none", "more", True),
        ("output", "y", "output_renamed", "y", "z", False),
        ("output", "y", "output_type", "float64", "float32", False),
        ("output", "n", "output_type", "float32", "int64", True),
        ("output", "n", "output_axes", "[0, 1, 2]", "[0, 2, 1]", False),
    ]


def test_the_order_that_the_user_states_is_no_difference() -> None:
    picture, turned = _spec("x", "n", 8, 6, 3), _spec("x", "n", 3, 8, 6)
    models, asked = _models([picture], [turned]), Layouts("nhwc", "nchw")
    link, values = InputLink("x", "x", (0, 3, 1, 2)), {"y": np.zeros((1, 2, 2, 3))}
    outputs = values, {}, {"y": np.zeros((1, 3, 2, 2))}, [_link("y", "y", 0, 3, 1, 2)]
    assert list(compare_inputs(models, [link], asked)) == []
    assert list(compare_outputs(models, *outputs, asked)) == []
    for other in (Layouts(), Layouts("nchw", "nhwc"), Layouts("nhwc", "nhwc")):
        (one,) = compare_inputs(models, [link], other)
        (two,) = compare_outputs(models, *outputs, other)
        assert (one.code, two.code) == ("input_axes", "output_axes")
