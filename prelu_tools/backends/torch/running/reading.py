"""Watch how the Python code of a module reads numbers from tensors and decides by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakTensorKeyDictionary

from prelu_tools.backends.probing.reading import Readings

_CONDITIONS: Final = ("__bool__", "is_nonzero", "equal", "allclose", "__contains__")
_NUMBERS: Final = ("__float__", "__int__", "__index__")
_FREE_OF_VALUES: Final = ("new_zeros", "new_ones", "new_empty", "new_full")


class Reading(TorchFunctionMode):
    """Sees which numbers the code of a module reads.

    Tensors that depend on an input are followed through every call. `item` returns a number that
    reports its comparisons.
    """

    def __init__(self, readings: Readings) -> None:
        """Tell of what is seen to these."""
        super().__init__()
        self._readings = readings
        self._dependent = WeakTensorKeyDictionary()

    def follow(self, values: Any) -> None:
        """The tensors in this are inputs."""
        for leaf in pytree.tree_leaves(values):
            if isinstance(leaf, torch.Tensor):
                self._dependent[leaf] = True

    def depends(self, values: Any) -> bool:
        """Whether any tensor in this depends on an input."""
        leaves = pytree.tree_leaves(values)
        return any(isinstance(x, torch.Tensor) and x in self._dependent for x in leaves)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = str(getattr(func, "__name__", func))
        result = func(*args, **kwargs)
        if not self.depends((args, kwargs)):
            self._note(name, (args, kwargs))
            return result
        if name in _CONDITIONS or name in _NUMBERS:
            return self._readings.read(result)
        if name in ("item", "tolist"):
            return pytree.tree_map(self._number, result)
        self._note(name, (args, kwargs))
        if name.endswith("_") or name == "__setitem__":
            self.follow(args[0])
        if not name.endswith("_like") and name not in _FREE_OF_VALUES:
            self.follow(result)
        return result

    def _note(self, name: str, given: Any) -> None:
        """Record a call, with its parameters and numbers."""
        leaves = pytree.tree_leaves(given)
        with torch._C.DisableTorchFunction():
            marks = [id(x) for x in leaves if isinstance(x, torch.nn.Parameter)]
        numbers = [repr(x) for x in leaves if isinstance(x, bool | int | float | str)]
        self._readings.note(f"{name} {marks} {numbers}")

    def _number(self, value: Any) -> Any:
        if isinstance(value, bool):
            return self._readings.read(value)
        if isinstance(value, float):
            return _Float.of(value, self._readings)
        return _Int.of(value, self._readings) if isinstance(value, int) else value


class _Number:
    """What a number that was read adds to a plain one: it reports what it decides."""

    _plain: type
    _readings: Readings

    @classmethod
    def of(cls, value: Any, readings: Readings) -> Any:
        """The number, wrapped to report its use."""
        made = cls(value)  # type: ignore[call-arg]
        made._readings = readings
        return made

    def __bool__(self) -> bool:
        return bool(self._readings.read(bool(self._plain(self))))

    def __hash__(self) -> int:
        return hash(self._plain(self))


class _Float(_Number, float):
    _plain = float


class _Int(_Number, int):
    _plain = int


def _compares(name: str, plain: type) -> Any:
    compare = getattr(plain, name)

    def method(self: Any, other: Any) -> Any:
        found = compare(self, other)
        return self._readings.read(found) if isinstance(found, bool) else found

    return method


def _computes(name: str, plain: type) -> Any:
    compute = getattr(plain, name)

    def method(self: Any, *others: Any) -> Any:
        found = compute(self, *others)
        kind = _KINDS.get(type(found))
        return found if kind is None else kind.of(found, self._readings)

    return method


_COMPARISONS: Final = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")
_ARITHMETIC: Final = (
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__"),
    *("__rtruediv__", "__floordiv__", "__rfloordiv__", "__mod__", "__rmod__", "__pow__"),
    *("__neg__", "__abs__", "__round__"),
)
_KINDS: Final[Mapping[type, type[_Number]]] = {float: _Float, int: _Int}
for _kind, _base in ((_Float, float), (_Int, int)):
    for _name in _COMPARISONS:
        setattr(_kind, _name, _compares(_name, _base))
    for _name in _ARITHMETIC:
        setattr(_kind, _name, _computes(_name, _base))


@contextmanager
def conditions_as_python() -> Iterator[None]:
    """Within the block `torch.cond` is an `if`, so that its condition is read like any other."""

    def cond(pred: Any, true_fn: Any, false_fn: Any, operands: Any = ()) -> Any:
        return true_fn(*operands) if pred else false_fn(*operands)

    with patch.object(torch, "cond", cond):
        yield
