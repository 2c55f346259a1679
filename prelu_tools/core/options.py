"""How to read sources: options that every command takes and every backend obeys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from prelu_tools.core.requests.kinds import FLAG, TEXTS, Kind, WrongValueError
from prelu_tools.core.requests.option import option

Dim = int | str
"""A size, or the name of a dynamic dimension."""


_FREE, _FREE_OF_MANY = 48, 16
"""Sizes for dimensions that are dynamic: many nets halve four times. Of a volume, the smaller
one."""


def example_sizes(shape: Sequence[Dim]) -> tuple[int, ...]:
    """A size for every dimension that a model is likely to take: 1 for a free batch."""
    n_free = sum(isinstance(size, str) for size in shape[1:])
    free = _FREE if n_free < 3 else _FREE_OF_MANY
    return tuple(
        size if isinstance(size, int) else (free if axis else 1) for axis, size in enumerate(shape)
    )


def free_size(name: str, axis: int) -> str:
    """The name of a size that has none: `batch`, or one of its own, for they need not be equal.

    Args:
        name: of the tensor.
        axis: of the size.
    """
    return f"{name}_dim_{axis}" if axis else "batch"


@dataclass(frozen=True)
class InputOption:
    """An input as the user gave it on the command line, or as another model has it."""

    name: str
    """The input's name."""
    shape: tuple[Dim, ...]
    """Sizes and names of dynamic dimensions."""
    dtype: str = "float32"
    """The numpy name of its type."""

    @property
    def text(self) -> str:
        """NAME:DIMS, as `--input` has it; it does not accept every name that a file may state."""
        sizes = _named(self.name, (size if _is_size(size) else None for size in self.shape))
        return f"{self.name}:{','.join(map(str, sizes))}"


@dataclass(frozen=True)
class ModelOutput:
    """An output, as a file states it."""

    name: str
    """Its name."""
    shape: tuple[Dim, ...] | None
    """Its sizes; names, or expressions of names, of dynamic ones. None if the file states none."""
    dtype: str
    """The numpy name of its type."""

    @property
    def text(self) -> str:
        """NAME:DIMS, as inputs have it."""
        if not self.shape:
            return f"{self.name} ({'scalar' if self.shape == () else 'any shape'})"
        return f"{self.name}:{','.join(map(str, self.shape))}"


@dataclass(frozen=True)
class OtherInputs:
    """The inputs of the model that a source is compared with."""

    model: str
    """Its name."""
    inputs: tuple[InputOption, ...]
    """Its inputs."""
    more: tuple[OtherInputs, ...] = ()
    """Those of the further models of the comparison, as far as they are known."""
    unlike: tuple[OtherInputs, ...] = ()
    """Those of `more` whose sizes cannot be the same in any order of axes."""
    is_turned: bool = False
    """Whether the axes are in another order than in that model, because the user says so."""

    @property
    def order(self) -> str:
        """What the user said of their axes, to go after them."""
        return "; in the axis order of --layout" if self.is_turned else ""

    @property
    def text(self) -> str:
        """The inputs as `--input` has them."""
        return ", ".join(one.text for one in self.inputs)


class _NoShapeError(ValueError):
    """A text that is no NAME:DIMS."""


_NAMELESS = (None, -1, "None", "?", "-1")  # how frameworks show dynamic sizes


def _named(name: str, sizes: Iterable[Any]) -> tuple[Any, ...]:
    """The sizes of an input, with a name for each that is dynamic without one."""
    safe = re.sub(r"\W", "_", name)
    return tuple(
        free_size(safe, axis) if size in _NAMELESS else size for axis, size in enumerate(sizes)
    )


def _shape(text: str) -> InputOption:
    name, _, dims = text.rpartition(":")
    parts = [part.strip() for part in dims.split(",")]
    sizes = _named(name, (int(part) if part.isdecimal() else part for part in parts))
    if not name or not all(_is_size(size) for size in sizes):
        raise _NoShapeError(text)
    return InputOption(name, sizes)


def _is_size(size: object) -> bool:
    if isinstance(size, str):
        return size.isidentifier()
    return isinstance(size, int) and not isinstance(size, bool) and size > 0


_SIZES = 'a size or a name for each dimension, as in {"x": ("batch", 3, 112, 112)}'


def _shapes(value: Any) -> tuple[InputOption, ...]:
    try:
        return tuple(_shape(text) for text in TEXTS.read(value))
    except _NoShapeError:
        raise WrongValueError("a list of NAME:DIMS, as in x:batch,3,112,112") from None


def _shapes_of_python(value: Any) -> tuple[InputOption, ...]:
    """By the name of each input its sizes."""
    if not isinstance(value, Mapping):
        raise WrongValueError(_SIZES)
    found = []
    for name, shape in value.items():
        is_sized = isinstance(shape, Iterable) and not isinstance(shape, str)
        sizes = _named(name, shape) if is_sized else (None,)
        if not all(_is_size(size) for size in sizes):
            raise WrongValueError(_SIZES, f"input {name!r} is given as {shape!r}")
        found.append(InputOption(name, sizes))
    return tuple(found)


def _shapes_of_text(given: Sequence[str]) -> tuple[InputOption, ...]:
    try:
        return tuple(_shape(text) for text in given)
    except _NoShapeError as error:
        raise WrongValueError(
            f"{str(error)!r} is not a valid input: expected NAME:DIMS, a size or a name for "
            "each dimension, as in x:batch,3,112,112"
        ) from None


SHAPES = Kind(
    _shapes, {**TEXTS.schema, "items": {"type": "string", "pattern": "^.+:[^:]+$"}}, "Shapes",
    _SIZES, _shapes_of_python, _shapes_of_text, many=True,
    plain=lambda value: [one.text for one in value],
)  # fmt: skip
"""The shapes of inputs: `NAME:DIMS` each, or in Python sizes by name."""


@dataclass(frozen=True)
class SourceOptions:
    """How the user wants a source to be read."""

    inputs: tuple[InputOption, ...] = option(
        SHAPES,
        "Shape of an input, such as x:batch,3,112,112, if the model does not define it; "
        "repeatable.",
        default=(), name="input", metavar="NAME:DIMS",
        sources="models that do not know all sizes of their inputs",
        key_help="shapes of inputs that the source does not define",
        example='["x:batch,3,112,112"]',
    )  # fmt: skip
    custom_objects: tuple[str, ...] = option(
        TEXTS,
        "Where the custom classes of a Keras file are defined; repeatable.",
        default=(), metavar="MODULE_OR_FILE[:NAME]", complete="source", sources="Keras files",
        key_help="where the custom classes of a Keras file are defined", example='["layers.py"]',
    )  # fmt: skip
    """Modules or files, with an optional `:NAME`, that hold custom Keras classes."""
    allow_unsafe_load: bool = option(
        FLAG,
        "Load pickles and Lambda layers, which may run code from the file.",
        default=False, example="false", sources="files that may run code",
        key_help="load pickles and Lambda layers that may run code",
    )  # fmt: skip
    show_chatter: bool = option(
        FLAG, "Show the frameworks' own messages.", default=False, name="verbose", where=("api",)
    )
    other: Callable[[], OtherInputs | None] | None = field(default=None, compare=False)
    """Asks the model of the comparison for its inputs, where this one does not know its own."""
    is_shared: bool = False
    """Whether they are for several sources, taken one by one, not all of which need them."""


Route = Literal["tf2onnx", "torch"]
"""How a Keras model is run and converted: on TensorFlow, or on PyTorch by `torch.onnx`."""
WantedLayout = Literal["keep", "nchw", "nhwc"]
"""An axis order to give inputs or outputs; `keep` for the source's own."""


ExternalData = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class ConversionOptions:
    """What an export requires of the graph that a backend makes."""

    opset: int = 18
    """Opset of the default domain that the result is to have. A converter that does not reach it
    writes its own nearest one below; the opset is raised from there, or refused."""
    input_layout: WantedLayout = "keep"
    """Axis order of the inputs of rank 4 (of rank 3 and 5 likewise): the source's own, or this."""
    output_layout: WantedLayout = "keep"
    """The same for outputs; those of rank 3 only if an input has that rank."""
    slope_axis: int | None = None
    """The axis that an ONNX file's one-dimensional slopes lie along where they can be read in two
    ways (1: the channels of NCHW, -1: the last); None to refuse such a file."""
    is_verified: bool = True
    """Whether the result is compared with its source: a converter that may change what the model
    computes is used only then."""
