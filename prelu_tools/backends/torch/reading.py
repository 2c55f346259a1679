"""Watch the Python code of a module read numbers out of tensors, and decide by them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakTensorKeyDictionary

_CONDITIONS: Final = ("__bool__", "is_nonzero", "equal", "allclose", "__contains__")
_NUMBERS: Final = ("__float__", "__int__", "__index__")
_FREE_OF_VALUES: Final = ("new_zeros", "new_ones", "new_empty", "new_full")
_LIBRARIES: Final = ("torch", "keras")


class TooLongError(Exception):
    """A run makes far more calls than it should."""


class Place(NamedTuple):
    """The expression of the user's code that reads a number; a line may have several."""

    file: str
    """The file's path."""
    line: int
    """The line."""
    column: int
    """Where in the line the expression begins."""
    end: int
    """Where it ends."""


class Read(NamedTuple):
    """A number that Python code read out of a tensor which depends on an input."""

    place: Place
    """Where."""
    value: Any
    """What it read: a boolean, where it decides by it."""
    calls_before: int
    """Calls of torch that the module had made by then."""


class Reading(TorchFunctionMode):
    """Sees which numbers the code of a module reads; one of them can be replaced.

    Tensors that depend on an input are followed through every call. What `item` gives is a number
    that tells of its comparisons.
    """

    def __init__(
        self, replaced: int = -1, replace: Callable[[Any], Any] | None = None, most: int = 0
    ) -> None:
        """Nothing is seen yet.

        Args:
            replaced: which of the reads is replaced, in order; -1 for none.
            replace: makes the other value of the one that was read.
            most: calls of torch after which a run is given up; 0 for no limit.
        """
        super().__init__()
        self.reads: list[Read] = []
        self.calls: list[str] = []
        """The functions of torch that were called, with their parameters and numbers."""
        self._replaced = replaced
        self._replace = replace
        self._most = most
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
            return self.read(result)
        if name in ("item", "tolist"):
            return pytree.tree_map(self._number, result)
        self._note(name, (args, kwargs))
        if name.endswith("_") or name == "__setitem__":
            self.follow(args[0])
        if not name.endswith("_like") and name not in _FREE_OF_VALUES:
            self.follow(result)
        return result

    def _note(self, name: str, given: Any) -> None:
        """Take a call down, with the parameters and the numbers that are given to it."""
        leaves = pytree.tree_leaves(given)
        with torch._C.DisableTorchFunction():
            marks = [id(x) for x in leaves if isinstance(x, torch.nn.Parameter)]
        numbers = [repr(x) for x in leaves if isinstance(x, bool | int | float | str)]
        self.calls.append(f"{name} {marks} {numbers}")
        if self._most and len(self.calls) > self._most:
            raise TooLongError

    def _number(self, value: Any) -> Any:
        if isinstance(value, bool):
            return self.read(value)
        if isinstance(value, float):
            return _Float.of(value, self)
        return _Int.of(value, self) if isinstance(value, int) else value

    def read(self, value: Any) -> Any:
        """Note a value that was read, where user code reads it; the value to go on with."""
        place = _place()
        if place is None:
            return value
        if len(self.reads) == self._replaced and self._replace is not None:
            value = self._replace(value)
        self.reads.append(Read(place, value, len(self.calls)))
        return value


def _place() -> Place | None:
    """Where the user's own code is; in a library, where the model is one of its modules."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    first = frame
    while frame is not None and frame.f_code.co_filename.startswith(_homes(*_LIBRARIES)):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith(_homes("prelu_tools")):
        frame = first
    if frame is None:
        return None
    # A condition of a loop is compiled twice: its place in the text tells that it is one.
    positions = islice(frame.f_code.co_positions(), frame.f_lasti // 2, None)
    _, _, column, end = next(positions, (None, None, None, None))
    return Place(frame.f_code.co_filename, frame.f_lineno, column or 0, end or 0)


def _homes(*packages: str) -> tuple[str, ...]:
    loaded = [sys.modules[name] for name in packages if name in sys.modules]
    return tuple(f"{Path(str(module.__file__)).parent}{os.sep}" for module in loaded)


class _Number:
    """What a number that was read adds to a plain one: it tells of what it decides."""

    _plain: type
    _reading: Reading

    @classmethod
    def of(cls, value: Any, reading: Reading) -> Any:
        """The number, told of by this."""
        made = cls(value)  # type: ignore[call-arg]
        made._reading = reading
        return made

    def __bool__(self) -> bool:
        return bool(self._reading.read(bool(self._plain(self))))

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
        return self._reading.read(found) if isinstance(found, bool) else found

    return method


def _computes(name: str, plain: type) -> Any:
    compute = getattr(plain, name)

    def method(self: Any, *others: Any) -> Any:
        found = compute(self, *others)
        kind = _KINDS.get(type(found))
        return found if kind is None else kind.of(found, self._reading)

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
