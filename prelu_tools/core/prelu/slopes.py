"""The slopes of one PReLU layer, and how they are shared.

PReLU(x) = x where x > 0, otherwise a * x, with the slope a learned (He et al., 2015,
https://arxiv.org/abs/1502.01852, equation 1). The same paper names the sharing: one slope for all
channels, or one for each. Keras adds one for each position, and anything in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from prelu_tools.core.arrays import Array, IntArray
from prelu_tools.core.results.comparable import comparable

Sharing = Literal["channel-shared", "channel-wise", "element-wise", "partial"]
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class SlopeParameter:
    """A slope tensor of a source, which becomes an initializer of PRelu nodes."""

    layer: str
    """Its layer's name."""
    name: str
    """Its own name in the source: the initializer's name in the result."""
    values: Array
    """Its true values."""
    indices: IntArray
    """How it is laid over the input of its first call in the source: flat indices, aligned to the
    input, as `backends/probing/probe.py` finds them."""
    n_calls: int
    """How often the source uses it: as many PRelu nodes have to be in the result."""
    call: int = 0
    """The first of the source's calls that these cover, if each call has its own tags."""

    def called_again(self) -> SlopeParameter:
        """The same, with one more call."""
        return replace(self, n_calls=self.n_calls + 1)


@comparable
@dataclass(frozen=True, eq=False)
class PReLULayer:
    """One learned slope tensor, used in one or more places."""

    name: str
    """The layer's name in its source, or the best name that the file has."""
    nodes: tuple[str, ...]
    """The nodes (in a graph) or calls (in a source) that use it, in order; at least one."""
    parameter: str | None
    """The source's name of the slope tensor; None if the file does not have it."""
    form: str
    """The form in which the model writes it: a name of `graph.match.forms`, or the class in Python
    code."""
    slopes: Array
    """The slopes with their original sign, aligned to the input of the layer: the input's rank
    (batch included, of size 1), size 1 along every axis on which they are shared."""
    input_shape: Shape | None
    """Shape of the layer's input with None for a dynamic dimension; None if unknown."""
    stored_shape: tuple[int, ...]
    """Shape of the slope tensor as it is stored."""
    preceding_parameters: int | None
    """Weights and biases of the layer before; None if there is none, or it is unknown."""
    same_instance: bool
    """Whether several nodes provably are one instance, and not merely of equal value."""
    axes: tuple[int, ...] | None = None
    """How the source's axes were moved to this input's, as in numpy.transpose; None if unknown."""
    positions: tuple[int, ...] = ()
    """For each of `nodes` its number among all PReLU calls of the model; empty if unknown."""
    start: float | None = None
    """The value at which its source starts every slope; None if that is unknown."""
    rounds: bool = False
    """Whether its form gives PReLU up to rounding only, so that its slopes are rounded too."""

    @property
    def dtype(self) -> str:
        """The numpy name of the slopes' type."""
        return str(self.slopes.dtype)

    @property
    def varying_axes(self) -> tuple[int, ...]:
        """The axes of the input along which the slopes differ, from 0, batch included."""
        return tuple(axis for axis, size in enumerate(self.slopes.shape) if size != 1)

    @property
    def sharing(self) -> Sharing:
        """Who shares a slope, in the paper's terms; see `PReLULayer.slopes` for the shapes."""
        return sharing_of(self.slopes.shape, self.input_shape)

    @property
    def channel_axis(self) -> int | None:
        """The axis of the channels on the input, from 0; None unless channel-wise and known."""
        if self.sharing != "channel-wise" or self.input_shape is None:
            return None
        return self.varying_axes[0]

    @property
    def overhead_percent(self) -> float | None:
        """The number of slopes as a percentage of the parameters of the preceding layer."""
        if not self.preceding_parameters:
            return None
        return 100.0 * int(self.slopes.size) / self.preceding_parameters


def sharing_of(slopes: tuple[int, ...], input_shape: Shape | None) -> Sharing:
    """Who shares a slope, from the shape of the slopes, aligned to the input's, and the input's."""
    varying = tuple(axis for axis, size in enumerate(slopes) if size != 1)
    if not varying:
        return "channel-shared"
    if len(varying) == 1:
        return "channel-wise"
    if input_shape is None:
        return "partial"
    covered = all(axis in varying or size == 1 for axis, size in enumerate(input_shape) if axis > 0)
    return "element-wise" if covered and 0 not in varying else "partial"


def broadcasts(slope: tuple[int, ...], shape: Shape) -> bool:
    """Whether slopes broadcast to an input by numpy's rule, as far as its sizes are known."""
    if len(slope) > len(shape):
        return False
    tail = shape[len(shape) - len(slope) :]
    return all(s in (1, size) or size is None for s, size in zip(slope, tail, strict=True))


def align(values: Array, rank: int | None) -> Array:
    """Give a slope that broadcasts to an input of this rank all of its axes (numpy's rule).

    A slope of more axes than the input is returned as it is: it does not broadcast.
    """
    if rank is None or values.ndim >= rank:
        return values
    return values.reshape((1,) * (rank - values.ndim) + values.shape)


def laid_over(layer: PReLULayer, rank: int) -> Array | None:
    """The slopes of a layer with the axes of an input of this rank; None if that is in doubt.

    If the input's shape is not known, they broadcast as in PRelu, by numpy's rule. A layer that is
    called at several ranks has its slopes as its first call has them: along the channels (axis 1)
    or along the last axis, they lie along the same one in its other calls.
    """
    slopes = layer.slopes
    if slopes.ndim == rank:
        return slopes
    if slopes.size == 1:
        return slopes.reshape((1,) * rank)
    if layer.input_shape is None:
        return align(slopes, rank) if slopes.ndim < rank else None
    axes = layer.varying_axes
    if rank < 2 or axes not in ((1,), (slopes.ndim - 1,)):
        return None
    shape = [1] * rank
    shape[1 if axes == (1,) else rank - 1] = slopes.size
    return slopes.reshape(shape)
