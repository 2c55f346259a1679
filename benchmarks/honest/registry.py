"""Which nets there are, what they take, and how each is built with a seed."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Framework = Literal["torch", "keras"]
Task = Literal["regress", "restore", "classify"]

FILES: dict[Framework, tuple[str, ...]] = {
    "torch": (
        "faces", "superres", "restoration", "segmentation", "detectors", "speech", "sequences",
        "tables", "points", "backbones", "generative",
    ),
    "keras": ("keras_vision", "keras_pixels", "keras_sequences", "keras_tables"),
}  # fmt: skip
"""The modules of `benchmarks.honest.nets`, by what they import."""


@dataclass(frozen=True)
class Tensor:
    """An input: its sizes, and how values are drawn for training and as examples."""

    shape: tuple[int | str, ...]
    """Sizes; a name stands for one that is free."""
    kind: Literal["normal", "uniform", "ids", "mask", "lengths"] = "normal"
    """How its values are drawn."""
    low: float = 0.0
    """Of `uniform`, `ids` and `lengths`: the smallest value."""
    high: float = 1.0
    """The largest value; of `ids` and `lengths` the first that is too large."""

    @property
    def is_domain(self) -> bool:
        """Whether a user has to give the range of this input with `--input-range`."""
        return self.kind == "uniform"

    def draw(self, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray[Any, Any]:
        """Values of this input for the sizes of the free dimensions."""
        shape = [sizes[size] if isinstance(size, str) else size for size in self.shape]
        if self.kind == "normal":
            return rng.standard_normal(shape).astype(np.float32)
        if self.kind == "uniform":
            return rng.uniform(self.low, self.high, shape).astype(np.float32)
        if self.kind == "mask":
            mask = rng.uniform(size=shape) < 0.7
            mask[..., 0] = True
            return mask.astype(np.float32)
        return rng.integers(int(self.low), int(self.high), shape)


def normal(*shape: int | str) -> Tensor:
    """Values from N(0, 1)."""
    return Tensor(shape)


def uniform(low: float, high: float, *shape: int | str) -> Tensor:
    """Values that have to stay between `low` and `high`: a domain that the user states."""
    return Tensor(shape, "uniform", low, high)


def ids(count: int, *shape: int | str) -> Tensor:
    """Integers from 0 to `count` - 1."""
    return Tensor(shape, "ids", 0, count)


def mask(*shape: int | str) -> Tensor:
    """Zeros and ones as floats; the first of each row is 1."""
    return Tensor(shape, "mask")


@dataclass(frozen=True)
class HonestNet:
    """A net of the collection."""

    name: str
    """`torch/IResNet`, `keras/pnet`."""
    framework: Framework
    """What it is written in."""
    source: str
    """The publication that it is written from."""
    make: Callable[[], Any]
    """Builds it; the caller seeds."""
    inputs: Mapping[str, Tensor]
    """By the names of the arguments."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """What the free dimensions are in the examples."""
    task: Task = "regress"
    """What it is trained on for a few steps."""
    fast: bool = False
    """Whether `make test` verifies it too."""

    @property
    def shapes(self) -> dict[str, tuple[int | str, ...]]:
        """As `input=` of the library's functions takes them."""
        return {name: tensor.shape for name, tensor in self.inputs.items()}

    @property
    def ranges(self) -> dict[str, tuple[float, float]] | None:
        """As `input_range=` of `verify` takes them; None where no input has a domain."""
        found = {
            name: (tensor.low, tensor.high)
            for name, tensor in self.inputs.items()
            if tensor.is_domain
        }
        return found or None

    def examples(self, seed: int, **sizes: int) -> dict[str, np.ndarray[Any, Any]]:
        """Inputs of the example's sizes, or of others."""
        rng = np.random.default_rng((seed, zlib.crc32(self.name.encode())))
        chosen = {"batch": 2, **self.sizes, **sizes}
        return {name: tensor.draw(chosen, rng) for name, tensor in self.inputs.items()}


_FOUND: dict[str, HonestNet] = {}


def net(
    source: str,
    *,
    framework: Framework = "torch",
    sizes: Mapping[str, int] | None = None,
    task: Task = "regress",
    fast: bool = False,
    **inputs: Tensor,
) -> Callable[[Callable[[], Any]], Any]:
    """Declare a net: a class or a function that is called without arguments."""

    def register(make: Callable[[], Any]) -> Any:
        name = f"{framework}/{make.__name__}"
        if name in _FOUND:
            raise ValueError(f"{name} is declared twice")
        _FOUND[name] = HonestNet(
            name, framework, source, make, inputs, dict(sizes or {}), task, fast
        )
        return make

    return register


def nets_of(framework: Framework) -> tuple[HonestNet, ...]:
    """All nets of a framework, which is imported for it."""
    for name in FILES[framework]:
        importlib.import_module(f"benchmarks.honest.nets.{name}")
    return tuple(found for found in _FOUND.values() if found.framework == framework)


def find(name: str) -> HonestNet:
    """A net by its name; only its framework is imported.

    Raises:
        KeyError: there is none of this name.
    """
    framework: Framework = "torch" if name.startswith("torch/") else "keras"
    return {found.name: found for found in nets_of(framework)}[name]


def build(honest: HonestNet, seed: int) -> Any:
    """The net with its first weights, which the seed determines."""
    if honest.framework == "torch":
        import torch

        torch.manual_seed(seed)
        return honest.make()
    import keras

    keras.utils.set_random_seed(seed)
    return honest.make()


def every_framework() -> Iterator[Framework]:
    """The frameworks, in the order of the tables."""
    yield from FILES
