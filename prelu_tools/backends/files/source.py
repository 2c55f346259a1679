"""A file as a source that can be inspected, and not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from prelu_tools.backends.files.isolated import run_isolated
from prelu_tools.backends.preflight.sources import no_model
from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.prelu.slopes import PReLULayer, Shape, align
from prelu_tools.core.results.reasons import listed

_IMPORTED = {"keras": "h5py", "torch": "torch"}
BY_NAME = "by name"
"""The form of a layer of which the file only states the name."""


@dataclass(frozen=True)
class Contents:
    """What a file says about its slopes."""

    framework: str
    """`torch` or `keras`."""
    producer: str
    """Who wrote the file, as far as it says."""
    n_parameters: int
    """Elements of all parameters."""
    layers: tuple[PReLULayer, ...]
    """The PReLU layers; in the model's order where the file knows it, otherwise in its own."""
    notes: tuple[str, ...] = ()
    """What the user should know of how the slopes were found."""
    has_model: bool = False
    """Whether the file holds the model too, and not its weights alone."""


class FileSource(SourceDefaults):
    """A file that is read for its slopes; see `Source`."""

    def __init__(self, label: str, contents: Contents) -> None:
        """Take the contents of a file."""
        self.label = label
        self.framework = contents.framework
        self.producer = contents.producer
        self.n_parameters = contents.n_parameters
        self._contents = contents

    @property
    def notes(self) -> tuple[str, ...]:
        """See `Source.notes`: how the slopes were found."""
        return self._contents.notes

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return self._contents.layers

    def inputs(self, *_: object, **__: object) -> NoReturn:
        """Not available.

        Raises:
            PReLUToolsError: always; the message says what to name in place of the file.
        """
        if self._contents.has_model:
            raise PReLUToolsError(
                f"{self.label} can be inspected but not run: use the code or the .keras file "
                "that it was made from"
            )
        raise PReLUToolsError(no_model(self.label))

    runner = wide_runner = perturbed_runner = activation = seek = convert = inputs


def slopes_layer(
    name: str,
    values: Array,
    parameter: str | None,
    preceding: int | None,
    shape: Shape | None,
    *,
    nodes: Sequence[str] = (),
    form: str = BY_NAME,
) -> PReLULayer:
    """A layer that a file has slopes of.

    Args:
        name: of the layer.
        values: the slopes as they are stored.
        parameter: their name; None if they have none.
        preceding: weights and biases of the layer before; None if that is not known.
        shape: of the layer's input; None if that is not known.
        nodes: its calls; () for one of its own name.
        form: its class.
    """
    return PReLULayer(
        name=name,
        nodes=tuple(nodes) or (name,),
        parameter=parameter,
        form=form,
        slopes=frozen(align(values, len(shape) if shape else None)),
        input_shape=shape,
        stored_shape=tuple(values.shape),
        preceding_parameters=preceding,
        same_instance=True,
    )


def input_of(slope_shape: tuple[int, ...]) -> Shape | None:
    """What a slope's own shape says of its input, None if it says nothing.

    A slope of several axes whose first axis varies has none for the batch.
    """
    if len(slope_shape) < 2 or slope_shape[0] == 1:
        return None
    return (None, *(size if size > 1 else None for size in slope_shape))


def told_by_names(names: Sequence[str], why: str) -> str:
    """The note for slopes that were identified by their names alone.

    Args:
        names: the layers; may be none.
        why: what the file lacks, as in "the file holds weights only".
    """
    told = f"slopes were identified by the tensors' names and shapes ({why})"
    if not names:
        return f"{told}: no tensor looks like slopes"
    return f"{told}: {listed(names)}"


def source_of(reader: str, path: Path, label: str, extra: str) -> FileSource:
    """What a reader makes of a file, in its own process (`files/isolated.py`).

    Args:
        reader: `module:function`, which takes a path and returns `Contents`.
        path: the file.
        label: what to call it.
        extra: the extra of this package with the reader's dependencies.

    Raises:
        MissingExtraError: that is not installed.
        PReLUToolsError: the file is damaged, or nothing that the reader knows.
    """
    package = _IMPORTED[extra]
    if find_spec(package) is None:
        raise MissingExtraError(package, extra, f"to read {label}")
    contents: Contents = run_isolated(reader, path, (Contents, PReLULayer))
    layers = tuple(replace(layer, slopes=frozen(layer.slopes)) for layer in contents.layers)
    return FileSource(label, replace(contents, layers=layers))
