"""Modules, and names of a package, that are loaded on first use.

A command is fast only if it imports little, so modules that only some models or options need are
loaded by them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """A stand-in for a module, which is loaded when one of its attributes is read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def lazy_import_module(name: str) -> ModuleType:
    """A module that is imported when a name of it is first read.

    Next to it, under `TYPE_CHECKING`, is the same import for type checkers.
    """
    return _LazyModule(name)


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package that loads its names when they are read (PEP 562).

    Args:
        package: its name.
        homes: for each name, the module in the package that has it; a module's own name for that
            module itself.
    """

    def load(name: str) -> Any:
        """Load a name on request, and keep it."""
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = importlib.import_module(f"{package}.{homes[name]}")
        found = home if homes[name] == name else getattr(home, name)
        setattr(sys.modules[package], name, found)
        return found

    return load, lambda: sorted({*vars(sys.modules[package]), *homes})
