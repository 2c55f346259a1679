"""Which tensors are slopes, judged by names and shapes alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")

_PREFIXES = ("module.", "model.", "_orig_mod.")
_FEW = 3  # names with the prefix, for each name without it
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SLOPE_WORDS = {"alpha", "slope"}
_SLOPE_NAMES = ("prelu", "parametricrelu")
_NORM_WORDS = {"ln", "bn", "gn", "rms"}
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file of weights."""

    owner: str
    """The module or layer that it belongs to."""
    name: str
    """Its own name there."""
    shape: tuple[int, ...]
    """Its shape."""
    is_float: bool
    """Whether its type is a floating one."""

    @property
    def size(self) -> int:
        """Its elements."""
        return math.prod(self.shape)

    @property
    def is_buffer(self) -> bool:
        """Whether it is a statistic of a normalization, and no parameter."""
        return self.name in _BUFFERS


@dataclass(frozen=True)
class NamedSlope:
    """A tensor that was taken for the slopes of a layer."""

    index: int
    """Its place among the tensors."""
    alone: bool
    """Whether its owner has no other tensor: then the owner is the layer."""
    preceding: int | None
    """Weights and biases of the layer before it; None if there is none."""


def says_slope(name: str) -> bool:
    """Whether a name speaks of slopes: `prelu1`, `p_re_lu_3`, `alpha`, `LearnedSlope`."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(words & _SLOPE_WORDS) or any(part in letters for part in _SLOPE_NAMES)


def find_slopes(tensors: Sequence[Tensor], ordered: bool) -> list[NamedSlope]:
    """The tensors that are slopes by name, or by shape as `nn.PReLU` in a Sequential.

    A slope is a tensor whose own name says so; a vector that is its owner's only tensor, if the
    owner's name says so; or a vector `weight` that is its owner's only tensor, of size 1 or of the
    size of the previous layer's output. Tensors of normalizations and LoRA are not slopes.

    Args:
        tensors: in the order of the file.
        ordered: whether that is the model's. If not, any layer may be the one before, and which
            one it was is known of layers that are numbered in one Sequential only.
    """
    n_tensors = Counter(tensor.owner for tensor in tensors)
    before = _Before()
    anywhere = set() if ordered else _sizes_of(tensors)
    found = []
    for index, tensor in enumerate(tensors):
        alone = n_tensors[tensor.owner] == 1
        if _is_slope(tensor, alone, before.sizes | anywhere):
            known = ordered or _are_numbered(before.owner, tensor.owner)
            found.append(NamedSlope(index, alone, before.n_parameters if known else None))
            before.close()
        else:
            before.add(tensor)
    return found


def _is_slope(tensor: Tensor, alone: bool, sizes: set[int]) -> bool:
    if not tensor.is_float or tensor.size == 0 or "lora" in tensor.owner.lower():
        return False
    if says_slope(tensor.name):
        return True
    if not alone or len(tensor.shape) > 1 or _is_norm(tensor.owner):
        return False
    if says_slope(_last(tensor.owner)):
        return True
    return tensor.name == "weight" and len(tensor.shape) == 1 and tensor.size in sizes | {1}


def _is_norm(owner: str) -> bool:
    last = _last(owner)
    return "norm" in last.lower() or bool({w.lower() for w in _WORD.findall(last)} & _NORM_WORDS)


def _sizes_of(tensors: Iterable[Tensor]) -> set[int]:
    """What sizes the layers of a file put out."""
    telling = (t for t in tensors if len(t.shape) > 1 or (t.name == "bias" and t.shape))
    return {tensor.shape[0] for tensor in telling}


def _are_numbered(*owners: str) -> bool:
    """Whether these are numbered layers of one Sequential."""
    parts = [owner.rpartition(".") for owner in owners]
    return len({above for above, _, _ in parts}) == 1 and all(own.isdigit() for _, _, own in parts)


def _last(path: str) -> str:
    return re.split(r"[./]", path)[-1]


class _Before:
    """The last layer with a matrix or a kernel, and the output sizes of it and of later layers."""

    def __init__(self) -> None:
        self.n_parameters: int | None = None
        self.sizes: set[int] = set()
        self.owner = ""
        self._owner: str | None = None
        self._names: set[str] = set()
        self._total = 0
        self._has_kernel = False

    def add(self, tensor: Tensor) -> None:
        """Take the next tensor that is not a slope."""
        if tensor.is_buffer:
            return
        if tensor.owner != self._owner or tensor.name in self._names:
            self.close()
            self._owner = tensor.owner
        self._names.add(tensor.name)
        self._total += tensor.size
        if len(tensor.shape) > 1:
            self._has_kernel = True
            self.owner = tensor.owner
            self.sizes = {tensor.shape[0]}
        else:
            self.sizes.add(tensor.size)  # a bias or a BatchNorm: as long as the output
        if self._has_kernel:
            self.n_parameters = self._total

    def close(self) -> None:
        """The layer ends here: what comes next is another one, whatever its name."""
        self._owner = None
        self._names = set()
        self._total = 0
        self._has_kernel = False


def numbered(names: Iterable[str]) -> list[str]:
    """The names, with `#2` and so on after those that came before."""
    count: Counter[str] = Counter()
    found = []
    for name in names:
        count[name] += 1
        found.append(name if count[name] == 1 else f"{name}#{count[name]}")
    return found


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that puts `features.10` after `features.2`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part) if part.isdigit() else -1, part) for part in parts]


def strip_prefixes(tensors: Mapping[str, Value]) -> tuple[dict[str, Value], list[str]]:
    """Remove the prefixes that DataParallel, Lightning and torch.compile add to (nearly) all names.

    Beside the model's own a training keeps a few tensors, as `n_averaged` and `loss.weight`.

    Returns:
        The tensors by their own names, and the prefixes that were taken off.
    """
    names = dict(tensors)
    taken: list[str] = []
    while (prefix := next((p for p in _PREFIXES if _is_before_most(p, names)), None)) is not None:
        taken.append(prefix)
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    return names, taken


def _is_before_most(prefix: str, names: Collection[str]) -> bool:
    having = [name for name in names if name.startswith(prefix)]
    others = set(names) - set(having)
    is_free = not any(name.removeprefix(prefix) in others for name in having)
    return bool(having) and len(others) * _FEW <= len(having) and is_free


def read_from(taken: Sequence[str]) -> str:
    """A note on the way to a file's tensors: keys, and prefixes of names, which end in `.`."""
    keys = " > ".join(one for one in taken if not one.endswith("."))
    prefixes = ", ".join(one for one in taken if one.endswith("."))
    said = (
        f"the weights are under {keys}" if keys else "",
        f"removed from the weights' names: the prefix {prefixes}" if prefixes else "",
    )
    return "; ".join(filter(None, said))


def strip_to(
    tensors: Mapping[str, Value], expected: Collection[str]
) -> tuple[dict[str, Value], list[str], list[str]]:
    """The tensors of a model whose names are known, out of a file that may hold more.

    If all of its names have a prefix in common, names without it are left out. If there are several
    such prefixes, the shortest is used.

    Args:
        tensors: by name.
        expected: the names of the model.

    Returns:
        The tensors by their own names, the prefix that was taken off, and what was left out.
    """
    if not expected or set(expected) & set(tensors):
        return dict(tensors), [], []
    fitting = fitting_prefixes(tensors, expected)
    if not fitting:
        stripped, taken = strip_prefixes(tensors)
        return stripped, taken, []
    prefix = min(fitting, key=lambda found: (len(found), found))
    own = {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
    return own, [prefix], [name for name in tensors if not name.startswith(prefix)]


def fitting_prefixes(tensors: Collection[str], expected: Collection[str]) -> list[str]:
    """The prefixes with which a file has all names of a model."""
    longest = max(expected, key=len, default="")
    prefixes = [name.removesuffix(longest) for name in tensors if name.endswith(f".{longest}")]
    return [p for p in prefixes if all(f"{p}{name}" in tensors for name in expected)]
