"""How a user wants sources to be read: what every command takes and every backend obeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Dim = int | str
"""A size, or the name of a dynamic dimension."""


_FREE, _FREE_OF_MANY = 48, 16
"""Sizes for dimensions that are free: many nets halve four times. Of a volume, the smaller one."""


def example_sizes(shape: Sequence[Dim]) -> tuple[int, ...]:
    """A size for every dimension that a model is likely to take: 1 for a free batch."""
    n_free = sum(isinstance(size, str) for size in shape[1:])
    free = _FREE if n_free < 3 else _FREE_OF_MANY
    return tuple(
        size if isinstance(size, int) else (free if axis else 1) for axis, size in enumerate(shape)
    )


@dataclass(frozen=True)
class InputOption:
    """An input as the user gave it on the command line."""

    name: str
    """The input's name."""
    shape: tuple[Dim, ...]
    """Sizes and names of dynamic dimensions."""


@dataclass(frozen=True)
class SourceOptions:
    """How the user wants a source to be read."""

    inputs: tuple[InputOption, ...] = ()
    """Shapes, where the model does not know them."""
    custom_objects: tuple[str, ...] = ()
    """Modules or files, with an optional `:NAME`, that hold custom Keras classes."""
    allow_unsafe_load: bool = False
    """Whether pickles and Lambda layers may run code of the file."""
    show_chatter: bool = False
    """Whether to let the frameworks write to standard error."""
    is_shared: bool = False
    """Whether they are for several sources, taken one by one, not all of which need them."""


InputLayout = Literal["keep", "nchw", "nhwc"]
"""An axis order to give inputs; `keep` for the source's own."""


ExternalData = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class ConversionOptions:
    """What an export asks of the graph that a backend makes."""

    opset: int = 18
    """Opset of the default domain that the result is to have. A converter that does not reach it
    writes its own nearest one below; `commands/export.py` takes it from there, or refuses."""
    input_layout: InputLayout = "keep"
    """Axis order of the inputs of rank 4 (of rank 3 and 5 likewise): the source's own, or this."""
    slope_axis: int | None = None
    """The axis that an ONNX file's one-dimensional slopes lie along where they can be read in two
    ways (1: the channels of NCHW, -1: the last); None to refuse such a file."""
    is_verified: bool = True
    """Whether the result is compared with its source: a converter that may change what the model
    computes is used only then."""
