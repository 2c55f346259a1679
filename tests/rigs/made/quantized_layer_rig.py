"""One layer of a quantized candidate, in numbers that can be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from made_layers import layer_of

from prelu_tools.commands.verify.quantized.layers import QuantizedLayers
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.quantized.codes import Codes

SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)


def codes_of(scale: Any, zero: Any, kind: str = "uint8") -> Codes:
    """Codes of a tensor."""
    return Codes(np.asarray(scale, np.float32), np.asarray(zero, kind))


def _node(kind: str, x: str, y: str) -> Any:
    return SimpleNamespace(op_type=kind, input=x.split(), output=y.split())


def reference_layer(slopes: Array = SLOPES, name: str = "act") -> PReLULayer:
    """A layer of the reference."""
    return layer_of(slopes, (None, *slopes.shape[1:]), name)


class Rig:
    """One layer from `a` to `p`, in a graph that rounds its input, its output, or what is between.

    Args:
        codes: of the tensors of codes: `a` its input, `i` inside of it, `p` its output, `r` behind.
        slopes: of the reference.
        found: of the candidate; those of the reference where none are given.
        step: of the candidate's slopes.
        activation: what the reference gave.
        calls: how often it is called.
    """

    def __init__(
        self,
        codes: dict[str, Codes] | None = None,
        slopes: Array = SLOPES,
        found: Array | None = None,
        step: float = 0.0,
        activation: Array | None = None,
        calls: int = 1,
    ) -> None:
        inner, middle = _node("Neg", "a", "i"), _node("Neg", "i", "j")
        last = _node("PRelu", "j s", "p")
        before, after = _node("Identity", "e", "a"), _node("Identity", "p", "r")
        match = SimpleNamespace(x="a", node=last, nodes=(last, middle, inner), slopes=slopes)
        self.codes = codes or {}
        meaning = SimpleNamespace(
            codes=self.codes,
            rounded=tuple(self.codes),
            model=SimpleNamespace(
                proto=SimpleNamespace(
                    graph=SimpleNamespace(node=[before, inner, middle, last, after])
                )
            ),
        )
        mine = replace(reference_layer(slopes), parameter="act.weight")
        other = reference_layer(slopes if found is None else found)
        view = SimpleNamespace(is_constant=lambda _name: False, producer={})
        located = SimpleNamespace(
            layer=other, matches=(match,) * calls, calls=((view, match),) * calls
        )
        self.book = CoverageBook([mine])
        self.asked: list[tuple[int, str, int]] = []
        reference = SimpleNamespace(
            layers=[mine],
            coverage=self.book,
            activation=lambda *key: self.asked.append(key) or activation,
        )
        self.layers = QuantizedLayers(
            cast(Any, reference), cast(Any, [located]), cast(Any, meaning)
        )
        self.layers._steps = {"act": step}
        self.layers._apart = {"act": 0.0625}

    def observe(self, x: Array, y: Array, run: int = 0, **inside: Array) -> Any:
        """What was seen after a run."""
        self.layers.observe(run, {"a": np.asarray(x), "p": np.asarray(y), **inside})
        return self.layers._seen["act"]

    def parity(self, **placement: str) -> Any:
        """The outcome."""
        (found,) = self.layers.parities(placement, False)
        return found


X = np.array([[-4.0, 8.0, -2.0], [1.0, -6.0, 16.0]], np.float32)
Y = np.where(X > 0, X, SLOPES * X)
BEHIND = {"r": codes_of(0.5, 128)}  # from -64 to 63.5
