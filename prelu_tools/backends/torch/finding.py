"""Probe the parts of a torch module: is this a PReLU?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from prelu_tools.backends.probing.probe import Answer, probe
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.torch.files.weights import to_numpy
from prelu_tools.backends.torch.regions import CallSignature
from prelu_tools.backends.torch.running.watch import Seen
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.slopes import Shape


class CallFinder:
    """Collects the PReLU calls of a module: a `Teller` of `Watch` that probes each of them."""

    def __init__(self, root: nn.Module) -> None:
        """Nothing is seen yet."""
        self.calls: list[PReLUCall] = []
        self.known: dict[CallSignature, str] = {}
        """What the slopes of each signature are called."""
        self.narrow: dict[str, str] = {}
        """The type of layers that compute in a narrower one than float32."""
        self._root = root
        self._names: dict[tuple[str, str], str] = {}

    def __call__(self, seen: Seen) -> bool:
        """Probe it."""
        if not seen.x.is_floating_point():
            return False
        rows, answer = self._asked(seen)
        if answer is None:
            return False
        origin = answer.origin
        is_plain = answer.is_own and not answer.is_reordered and not origin.startswith("#")
        if origin.startswith("#"):
            origin = f"{seen.place}.slopes".lstrip(".")
        name = self._named(origin, "" if is_plain else seen.signature.constants)
        layer = _layer_name(self._root, origin) + name.removeprefix(origin)
        self.known[seen.signature] = name
        values = answer.values
        if answer.is_own:
            values = to_numpy(seen.constants[answer.origin]).copy()
        if seen.x.dtype in (torch.bfloat16, torch.float16):
            self.narrow[layer] = str(seen.x.dtype).removeprefix("torch.")
        self.calls.append(
            PReLUCall(
                layer=layer,
                parameter=name,
                kind=seen.kind,
                values=values,
                indices=answer.indices,
                input_shape=_shape(seen.x),
                preceding_parameters=seen.preceding,
                apply=lambda x: _in_rows(seen.call, rows, x, {}),
                origin=answer.origin,
                sources=tuple(key for key in seen.constants if not key.startswith("#")),
                is_own=answer.is_own,
                ask=lambda x, changed: _in_rows(seen.call, rows, x, changed),
                is_hidden=seen.is_hidden,
            )
        )
        return True

    def _asked(self, seen: Seen) -> tuple[int, Answer | None]:
        """Its answer for one row or for as many as it was called with, and their number."""
        constants = {
            key: np.asarray(to_numpy(value), np.float32) for key, value in seen.constants.items()
        }
        for rows in sorted({1, *seen.x.shape[:1]}):
            answer = probe(seen.call, constants, _shape(seen.x), rows)
            if answer is not None:
                return rows, answer
        return 1, None

    def _named(self, origin: str, derivation: str) -> str:
        """The slopes' name; with a number where several are made of one parameter."""
        made_of = (origin, derivation)
        if made_of not in self._names:
            number = 1 + sum(other == origin for other, _ in self._names)
            self._names[made_of] = origin + (f"#{number}" if number > 1 else "")
        return self._names[made_of]


def _in_rows(
    call: Callable[[Array, Mapping[str, Array]], Array],
    rows: int,
    x: Array,
    changed: Mapping[str, Array],
) -> Array:
    """A computation that takes this number of rows at a time; 1 stands for any."""
    if rows == 1:
        return call(x, changed)
    missing = -len(x) % rows
    full = np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)])
    parts = [call(full[i : i + rows], changed) for i in range(0, len(full), rows)]
    return np.concatenate(parts)[: len(x)]


def _shape(x: torch.Tensor) -> Shape:
    return (None, *x.shape[1:]) if x.ndim else ()


def _layer_name(root: nn.Module, parameter: str) -> str:
    """The module of a PReLU's weight; the weight itself where its module is more than that."""
    path, _, _ = parameter.rpartition(".")
    owner = root.get_submodule(path)
    held = list(owner.named_parameters())
    if [name for name, _ in held] == [parameter.removeprefix(f"{path}.")]:
        return path or type(owner).__name__
    return parameter
