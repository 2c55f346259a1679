"""The PReLU modules that a run does not call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def uncalled(root: nn.Module) -> Iterator[dict[str, set[str]]]:
    """After the block, the `nn.PReLU` of a module that were not called in it.

    Yields:
        Their names, each with all names of its parameter: functions may have used that.
    """
    found = {m: name for name, m in root.named_modules() if isinstance(m, nn.PReLU)}
    left: dict[str, set[str]] = {}
    called: set[nn.Module] = set()

    def note(module: nn.Module, _args: Any) -> None:
        called.add(module)

    handles = [module.register_forward_pre_hook(note) for module in found]
    try:
        yield left
    finally:
        for handle in handles:
            handle.remove()
    parameters = list(root.named_parameters(remove_duplicate=False))
    for module, name in found.items():
        if module not in called:
            left[name or type(module).__name__] = {n for n, p in parameters if p is module.weight}
