"""Capture the arguments of a module's calls that are not made by another module.

A module is often trained through one of its parts (`self.net(x)` in a LightningModule), so all
parts are watched. The inside of a module under torch.compile is left alone: a hook there would be
compiled too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils import _pytree as pytree

from prelu_tools.backends.torch.prepare import wrapper_of

ROWS = 8
"""Rows of a batch that are kept."""


class Run(NamedTuple):
    """One call of a module."""

    path: str
    """The module that was called, below the root without its wrappers; "" for the root itself."""
    args: tuple[Any, ...]
    """What it was called with."""
    kwargs: dict[str, Any]
    """By name."""

    def few_rows(self) -> Run:
        """The same on the CPU, with the first `ROWS` rows of tensors as long as the first one."""
        leaves = [leaf for leaf in pytree.tree_leaves(self[1:]) if _has_rows(leaf)]
        return self._cut(leaves[0].shape[0] if leaves else 0)

    def whole(self) -> Run:
        """The same on the CPU."""
        return self._cut(0)

    def _cut(self, n_rows: int) -> Run:
        def cut(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor):
                return leaf
            kept = leaf[:ROWS] if _has_rows(leaf) and leaf.shape[0] == n_rows else leaf
            return kept.detach().cpu().clone()

        args, kwargs = pytree.tree_map(cut, (tuple(self.args), dict(self.kwargs)))
        return Run(self.path, args, kwargs)


class Capture:
    """Keeps the first outermost call of each part of a module, until it is closed."""

    def __init__(self, model: nn.Module) -> None:
        """Watch a module, in its wrappers if it has any."""
        self.runs: list[Run] = []
        self._depth = 0
        self._undo: list[Callable[[], None]] = []
        for path, part, is_compiled in _watchable(model, ""):
            self._watch(part, path, is_compiled)

    def close(self) -> None:
        """Take all hooks off."""
        while self._undo:
            self._undo.pop()()

    def _watch(self, part: nn.Module, path: str, is_compiled: bool) -> None:
        if is_compiled and part._compiled_call_impl is not None:
            compiled: Any = part._compiled_call_impl

            def call(*args: Any, **kwargs: Any) -> Any:
                self._enter(path, args, kwargs)
                try:
                    return compiled(*args, **kwargs)
                finally:
                    self._depth -= 1

            part._compiled_call_impl = call
            self._undo.append(lambda: setattr(part, "_compiled_call_impl", compiled))
            return
        enter = part.register_forward_pre_hook(
            lambda _module, args, kwargs: self._enter(path, args, kwargs), with_kwargs=True
        )
        leave = part.register_forward_hook(self._leave, always_call=True)
        self._undo += [enter.remove, leave.remove]

    def _enter(self, path: str, args: Any, kwargs: Any) -> None:
        if self._depth == 0 and all(run.path != path for run in self.runs):
            self.runs.append(Run(path, args, kwargs))
        self._depth += 1

    def _leave(self, _module: nn.Module, _args: Any, _output: Any) -> None:
        self._depth -= 1


def _watchable(model: nn.Module, path: str) -> Iterator[tuple[str, nn.Module, bool]]:
    """A module and its parts with their paths, and whether each is compiled: then not its parts."""
    wrapper = wrapper_of(model)
    is_compiled = model._compiled_call_impl is not None or (
        wrapper is not None and wrapper[0] == "_orig_mod"
    )
    if wrapper is None or is_compiled:
        yield path, model, is_compiled
    if is_compiled:
        return
    for name, child in model.named_children():
        inner = path if wrapper is not None and name == wrapper[0] else f"{path}.{name}".lstrip(".")
        yield from _watchable(child, inner)


def _has_rows(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.ndim > 0
