"""Files that hold tensors under a module's names, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod

from prelu_tools.backends.files.naming import NamedSlope, Tensor, find_slopes, read_from
from prelu_tools.backends.files.source import Contents, input_of, slopes_layer, told_by_names
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import PReLULayer


class NamedTensors(ABC):
    """The tensors of a file; only slopes are read."""

    producer: str
    """Who wrote the file, as far as it says."""
    ordered: bool
    """Whether the names are in the model's order."""
    unwrapped: tuple[str, ...]
    """Keys and prefixes that were removed from the names."""

    @abstractmethod
    def names(self) -> list[str]:
        """Their names, `module.parameter`, in a fixed order."""

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""

    @abstractmethod
    def is_float(self, name: str) -> bool:
        """Whether a tensor may hold slopes."""

    @abstractmethod
    def read(self, name: str) -> Array:
        """The values of a tensor."""

    def identity(self, name: str) -> object:
        """Equal for two names of one tensor."""
        return name


def contents_of(file: NamedTensors) -> Contents:
    """The slopes of a file, identified by names and shapes."""
    first: dict[object, str] = {}
    aliases: dict[str, list[str]] = {}
    for name in file.names():
        own = first.setdefault(file.identity(name), name)
        aliases.setdefault(own, []).append(name)
    names = list(aliases)
    tensors = [_tensor(file, name) for name in names]
    layers = tuple(
        _layer(file, slope, aliases[names[slope.index]])
        for slope in find_slopes(tensors, file.ordered)
    )
    notes = [told_by_names([layer.name for layer in layers], "the file contains only weights")]
    if file.unwrapped:
        notes.append(read_from(file.unwrapped))
    return Contents(
        framework="torch",
        producer=file.producer,
        n_parameters=sum(tensor.size for tensor in tensors if not tensor.is_buffer),
        layers=layers,
        notes=tuple(notes),
    )


def _tensor(file: NamedTensors, name: str) -> Tensor:
    owner, _, own = name.rpartition(".")
    return Tensor(owner, own, file.shape(name), file.is_float(name))


def _layer(file: NamedTensors, slope: NamedSlope, names: list[str]) -> PReLULayer:
    values = file.read(names[0])
    calls = [name.rpartition(".")[0] or name if slope.alone else name for name in names]
    shape = input_of(values.shape)
    return slopes_layer(calls[0], values, names[0], slope.preceding, shape, nodes=calls)
