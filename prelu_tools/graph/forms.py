"""The forms: every way in which a graph spells PReLU, each declared once.

A form is the pattern that recognises it, how the true slope is read from the constants in it, and
the condition under which it equals PReLU. To add one, add an entry here and its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.graph.matcher import (
    AnyOf,
    Filled,
    Input,
    Op,
    Parameter,
    Pattern,
    Scaled,
)
from prelu_tools.graph.single_ops import Clamp, PerChannel, Stated
from prelu_tools.graph.writing import (
    Writing,
    all_are,
    all_equal,
    at_most_one,
    at_most_one_and_not_zero,
    between_zero_and_one,
    by_channel,
    write_depthwise,
    write_identity,
    write_leaky_relu,
    write_linear,
    write_max,
    write_max_min,
    write_max_neg,
    write_prelu,
    write_relu,
    write_relu_mul,
    write_relu_neg,
)

Slots = Mapping[str, Array]

X = Input()
ZERO = Filled(0.0)


def _part(cut: str, other: str, no_limit: float) -> AnyOf:
    """Max or Min of x and zero; the other one with an infinity, as in clip(x, 0, inf), is x."""
    limit = Filled(no_limit)
    unlimited = AnyOf((X, Op(other, (X, limit), commutative=True)))
    plain = Op(cut, (unlimited, ZERO), commutative=True)
    return AnyOf((plain, Op(other, (plain, limit), commutative=True)))


POSITIVE_PART = AnyOf((Op("Relu", (X,)), _part("Max", "Min", float("inf")), Clamp("positive", X)))
NEGATIVE_PART = _part("Min", "Max", float("-inf"))
TIMES_MINUS_ONE = Op("Mul", (X, Filled(-1.0)), commutative=True)
NEGATED = AnyOf((Op("Neg", (X,)), TIMES_MINUS_ONE))
IS_POSITIVE = AnyOf((Op("Greater|GreaterOrEqual", (X, ZERO)), Op("Less|LessOrEqual", (ZERO, X))))
IS_NEGATIVE = AnyOf((Op("Less|LessOrEqual", (X, ZERO)), Op("Greater|GreaterOrEqual", (ZERO, X))))
POSITIVE = AnyOf((IS_POSITIVE, Op("Not", (IS_NEGATIVE,))))
NEGATIVE = AnyOf((IS_NEGATIVE, Op("Not", (IS_POSITIVE,))))


def _times(factor: float) -> Callable[[Slots], Array]:
    def slope(slots: Slots) -> Array:
        return np.asarray(slots["a"] * slots["a"].dtype.type(factor))

    return slope


def _plain(slots: Slots) -> Array:
    return slots["a"]


def _always(_: Slots) -> bool:
    return True


def _none_above_one(slots: Slots) -> bool:
    return bool((slots["a"] <= 1).all())


_ABOVE_ONE = "a slope is above 1, and max(x, a*x) is then the larger of the two for x > 0"


@dataclass(frozen=True)
class Form:
    """One spelling of PReLU."""

    name: str
    """Its name in the JSON contract."""
    roots: tuple[str, ...]
    """Operators that may make its output."""
    pattern: Pattern
    """What recognises it."""
    slope: Callable[[Slots], Array] = _plain
    """The true slope from the constants in the pattern's slots."""
    holds: Callable[[Slots], bool] = _always
    """Whether it equals PReLU with these constants."""
    unless: str = ""
    """What is wrong where that does not hold, for people."""
    writing: Writing | None = None
    """How `optimize` writes it; None where it does not."""


FORMS: tuple[Form, ...] = (
    Form("prelu", ("PRelu",), Op("PRelu", (X, Parameter())), writing=Writing(write_prelu)),
    Form(
        "relu",  # every slope is 0, and the node says that it is a PReLU
        ("Relu",),
        Stated("Relu", 0.0),
        writing=Writing(write_relu, all_are(0.0), special=False),
    ),
    Form(
        "identity",
        ("Identity",),
        Stated("Identity", 1.0),
        writing=Writing(write_identity, all_are(1.0)),
    ),
    Form(
        "leaky_relu",  # every slope is the same, and the node says that it is a PReLU
        ("LeakyRelu",),
        Stated("LeakyRelu", None),
        writing=Writing(write_leaky_relu, all_equal),
    ),
    Form(
        "depthwise",  # relu(x) + conv(-a, relu(conv(-1, x))): stays in onnxruntime's NCHWc layout
        ("Add",),
        Op(
            "Add",
            (POSITIVE_PART, Scaled(Op("Relu", (PerChannel(-1.0, X),)))),
            commutative=True,
        ),
        slope=_times(-1.0),
        writing=Writing(write_depthwise, by_channel),
    ),
    Form(
        "relu_mul",  # relu(x) + (-a) * relu(-1 * x), a -1 for each slope
        ("Add",),
        Op("Add", (POSITIVE_PART, Scaled(Op("Relu", (TIMES_MINUS_ONE,)))), commutative=True),
        slope=_times(-1.0),
        writing=Writing(write_relu_mul),
    ),
    Form(
        "relu_neg",  # relu(x) + (-a) * relu(-x): what Keras writes
        ("Add",),
        Op("Add", (POSITIVE_PART, Scaled(Op("Relu", (Op("Neg", (X,)),)))), commutative=True),
        slope=_times(-1.0),
        writing=Writing(write_relu_neg),
    ),
    Form(
        "relu_sub",  # relu(x) - a * relu(-x)
        ("Sub",),
        Op("Sub", (POSITIVE_PART, Scaled(Op("Relu", (NEGATED,))))),
    ),
    Form(
        "where",
        ("Where",),
        AnyOf((Op("Where", (POSITIVE, X, Scaled(X))), Op("Where", (NEGATIVE, Scaled(X), X)))),
    ),
    Form(
        "where_mask",  # what tf2onnx makes of tf.where: both branches, each times its mask
        ("Add",),
        Op(
            "Add",
            (
                Op("Mul", (Op("Cast", (POSITIVE,)), X), commutative=True),
                Op("Mul", (Op("Cast", (NEGATIVE,)), Scaled(X)), commutative=True),
            ),
            commutative=True,
        ),
    ),
    Form(
        "max_min",
        ("Add",),
        Op(
            "Add",
            (POSITIVE_PART, Scaled(NEGATIVE_PART)),
            commutative=True,
        ),
        writing=Writing(write_max_min),
    ),
    Form(
        "clip",
        ("Add",),
        Op("Add", (POSITIVE_PART, Scaled(Clamp("negative", X))), commutative=True),
    ),
    Form(
        "abs",  # relu(x) + a * (x - |x|): x - |x| is twice the negative part
        ("Add",),
        Op(
            "Add",
            (POSITIVE_PART, Scaled(Op("Sub", (X, Op("Abs", (X,)))))),
            commutative=True,
        ),
        slope=_times(2.0),
    ),
    Form(
        "max",  # max(x, a * x): for a > 1 and x > 0 it is a * x
        ("Max",),
        Op("Max", (X, Scaled(X)), commutative=True),
        holds=_none_above_one,
        unless=_ABOVE_ONE,
        writing=Writing(write_max, at_most_one_and_not_zero),
    ),
    Form(
        "max_neg",  # max(x, a * min(x, 0)): for a > 1 and x < 0 it is x
        ("Max",),
        Op("Max", (X, Scaled(NEGATIVE_PART)), commutative=True),
        holds=_none_above_one,
        unless="a slope is above 1, and max(x, a*min(x, 0)) is then x for x < 0",
        writing=Writing(write_max_neg, at_most_one),
    ),
    Form(
        "linear",  # (1 - a) * relu(x) + a * x
        ("Add",),
        Op("Add", (Scaled(POSITIVE_PART, slot="b"), Scaled(X)), commutative=True),
        holds=lambda slots: bool(np.array_equal(slots["b"], 1 - slots["a"])),
        unless="its two factors are not a and 1 - a",
        writing=Writing(write_linear, between_zero_and_one, special=False, rounds=True),
    ),
)
BY_ROOT: Mapping[str, tuple[Form, ...]] = {
    root: tuple(form for form in FORMS if root in form.roots)
    for root in {root for form in FORMS for root in form.roots}
}
WRITTEN: Mapping[str, Writing] = {
    form.name: form.writing for form in FORMS if form.writing is not None
}
"""How forms are written, by their names."""
