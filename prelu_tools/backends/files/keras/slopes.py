"""From the layers of a Keras file to the slopes of its PReLU layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prelu_tools.backends.files.keras.hdf5 import Hdf5
from prelu_tools.backends.files.keras.layers import Leaf
from prelu_tools.backends.files.naming import numbered, says_slope
from prelu_tools.backends.files.source import BY_NAME, input_of, slopes_layer
from prelu_tools.backends.probing.probe import could_be_slope
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer, Shape, align


@dataclass(frozen=True)
class FoundSlopes:
    """The PReLU layers of a file."""

    layers: tuple[PReLULayer, ...]
    """In the order of its layers."""
    told: tuple[str, ...]
    """The names of those that are no PReLU by class, but by their names and shapes."""


def read_slopes(file: Hdf5, leaves: Sequence[Leaf]) -> FoundSlopes:
    """Read the slopes of every layer that is a PReLU, or looks like one.

    A layer of a class that is not Keras' own is taken for one when it has one variable, of a shape
    that broadcasts to its input, and a name that suggests slopes.

    Args:
        file: where the variables are.
        leaves: the layers.
    """
    names = _unique_names(leaves)
    layers, told = [], []
    preceding: int | None = None
    for leaf, name in zip(leaves, names, strict=True):
        sizes = [variable.size for variable in leaf.variables if variable.is_float]
        if _is_slope(leaf):
            values = file.read(leaf.variables[0])
            layers.append(_layer(leaf, name, values, preceding if leaf.is_ordered else None))
            if not leaf.is_prelu:
                told.append(name)
        elif any(len(variable.shape) > 1 for variable in leaf.variables):
            preceding = sum(sizes) if leaf.is_ordered else None
    return FoundSlopes(tuple(layers), tuple(told))


def _is_slope(leaf: Leaf) -> bool:
    if len(leaf.variables) != 1 or not leaf.variables[0].is_float or not leaf.variables[0].size:
        return False
    if leaf.is_prelu:
        return True
    shape = leaf.variables[0].shape
    if leaf.is_builtin and leaf.kind is not None and not says_slope(leaf.kind):
        return False
    if leaf.input_shape is not None and not could_be_slope(shape, leaf.input_shape):
        return False
    words = (leaf.kind, leaf.names[-1], leaf.variables[0].name, *leaf.place.split("/")[-1:])
    if any(says_slope(word) for word in words if word):
        return not _is_matrix(shape)
    # The shape of Keras' PReLU on images with shared_axes=(1, 2), and of hardly anything else.
    return leaf.kind is None and len(shape) == 3 and shape[:2] == (1, 1)


def _is_matrix(shape: tuple[int, ...]) -> bool:
    """Whether this is rather the kernel of a Dense or a convolution."""
    return (len(shape) == 2 and 1 not in shape) or len(shape) > 3


def _layer(leaf: Leaf, name: str, values: Array, preceding: int | None) -> PReLULayer:
    shape = _prelu_shape(leaf, values) if leaf.is_prelu else _laid_over(leaf, values)
    own = "alpha" if leaf.is_prelu else leaf.variables[0].name
    nodes = (name, *(f"{name}_{i}" for i in range(1, leaf.n_calls)))
    form, parameter = leaf.kind or BY_NAME, f"{name}/{own}" if own else None
    return slopes_layer(name, values, parameter, preceding, shape, nodes=nodes, form=form)


def _prelu_shape(leaf: Leaf, values: Array) -> Shape:
    """The input of Keras' PReLU: alpha has all of its axes but the batch, 1 if it is shared."""
    if leaf.input_shape is not None and len(leaf.input_shape) == values.ndim + 1:
        return leaf.input_shape
    return (None, *(size if size > 1 else None for size in values.shape))


def _laid_over(leaf: Leaf, values: Array) -> Shape | None:
    """The input of another class, to which its slope broadcasts by numpy's rule."""
    shape = leaf.input_shape
    if shape is None:
        return input_of(values.shape)
    if values.ndim > len(shape):
        return None
    aligned = align(values, len(shape)).shape
    fits = all(size in (1, wanted) for size, wanted in zip(aligned, shape, strict=True))
    return shape if fits else None


def _unique_names(leaves: Sequence[Leaf]) -> list[str]:
    """A layer's own name if it is unique, otherwise the whole path; with `#2` if that is taken."""
    short = Counter(leaf.names[-1] for leaf in leaves)
    names = [leaf.names[-1] if short[leaf.names[-1]] == 1 else "/".join(leaf.names)
             for leaf in leaves]  # fmt: skip
    return numbered(names)
