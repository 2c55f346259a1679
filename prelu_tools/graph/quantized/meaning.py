"""What a quantized graph means: the same model in floating point, without rounding to codes.

Every tensor of integer codes becomes the tensor of the real numbers that they stand for, under the
same name; every operator on codes becomes the one that it approximates. What stays is all that the
file itself says: weights with their rounding, as DequantizeLinear of stored codes; ranges that cut
off at 0, because quantizers leave out a Relu where the codes end at 0 anyway; scales that differ
between one side and the other. What is gone is the rounding of activations, and the ends of their
ranges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import onnx

from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.natives import inlined
from prelu_tools.graph.quantized.codes import Codes
from prelu_tools.graph.quantized.rules import RULES
from prelu_tools.graph.quantized.steps import WeightSteps, weight_steps
from prelu_tools.graph.quantized.writer import FloatWriter

_ORDER: Final = ("dynamic", "QOperator", "QDQ", "weights only")


@dataclass(frozen=True)
class Meaning:
    """A quantized model in floating point."""

    model: OnnxModel
    """The model; its quantized weights are DequantizeLinear of constants."""
    codes: Mapping[str, Codes]
    """How codes stand for numbers, for each tensor of the file that holds codes of activations."""
    weights: tuple[str, ...]
    """The tensors of this model that are weights dequantized."""
    rounded: tuple[str, ...]
    """Those of `codes` that the file rounds (rather than passes on) and whose ranges are known."""
    kind: str
    """`QDQ`, `QOperator`, `dynamic` or `weights only`."""

    @cached_property
    def steps(self) -> dict[str, WeightSteps]:
        """The steps of `weights`.

        Raises:
            PReLUToolsError: scales do not fit.
        """
        return weight_steps(self.model, self.weights)

    @property
    def words(self) -> str:
        """The kind in words."""
        how = {"dynamic": "dynamically", "weights only": "in its weights only"}
        return how.get(self.kind, f"statically ({self.kind})")


def meaning_of(model: OnnxModel) -> Meaning | None:
    """What a quantized model means; None if no output depends on codes.

    Raises:
        PReLUToolsError: an operator works on codes in a way that is not known here.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(inlined(model.proto))
    plain = OnnxModel(proto, model.file, dict(model.memory))
    writer = FloatWriter(plain, RULES)
    writer.write()
    if not writer.kinds:
        return None
    kind = next(kind for kind in _ORDER if kind in writer.kinds)
    return Meaning(plain, writer.codes, tuple(writer.weights), tuple(writer.rounded), kind)
