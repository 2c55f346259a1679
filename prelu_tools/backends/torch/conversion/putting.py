"""Replace a module's slopes with known ones while an exporter traces it.

However a PReLU is written, and however its slopes are computed, the exporter sees torch's own PReLU
with the given tensor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.overrides import _pop_mode_temporarily

from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.torch.eagerly import scripted_as_python
from prelu_tools.backends.torch.files.weights import to_numpy
from prelu_tools.backends.torch.regions import CallSignature, Region
from prelu_tools.backends.torch.running.known import Known, knowing
from prelu_tools.backends.torch.running.watch import Watch, tensor_names
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook


class Tagged(NamedTuple):
    """The slopes of a module, and what stands for them."""

    parameters: dict[str, SlopeParameter]
    """The slope tensors by their key in the tags."""
    put: dict[tuple[str, int], torch.Tensor]
    """For a call of slopes of this name, counted from 0, the tags, broadcast to its input."""
    held: dict[str, torch.Tensor]
    """The tags of parameters that have to take their place in the module's own state."""
    shown: list[tuple[Array, Array]]
    """Other slopes with their tags, broadcast to an input: the graph shows them."""


def tagged(module: nn.Module, calls: Iterable[PReLUCall], tags: TagBook, puts: bool) -> Tagged:
    """Tags for the slopes of some calls; each call that can be replaced has its own.

    Args:
        module: the module.
        calls: all its calls.
        tags: hands them out.
        puts: whether calls can be replaced: a mode may see what the exporter runs.
    """
    found, calls = Tagged({}, {}, {}, []), tuple(calls)
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}

    def is_own(call: PReLUCall) -> bool:
        own = state.get(call.parameter)
        return own is not None and same_bits(to_numpy(own), call.values)

    def is_hidden(call: PReLUCall) -> bool:
        return call.is_hidden or not puts

    # With a tag in place of a parameter, values computed from it would be unknown.
    computed = (call for call in calls if is_hidden(call) and not is_own(call))
    read = {call.parameter.partition("#")[0] for call in computed}
    numbers: Counter[str] = Counter()
    for call in calls:
        name, number, hidden = call.parameter, numbers[call.parameter], is_hidden(call)
        numbers[name] += 1
        key = name if hidden else f"{name}@{number}"
        known = found.parameters.get(key)
        if known is not None:
            found.parameters[key] = known.called_again()
            continue
        made = tags.tag(key, tuple(call.values.shape))
        found.parameters[key] = SlopeParameter(
            call.layer, name, call.values, call.indices, 1, number
        )
        if not hidden:
            found.put[name, number] = torch.from_numpy(np.array(made.reshape(-1)[call.indices]))
        elif is_own(call) and name not in read:
            found.held[name] = torch.from_numpy(made)
        else:
            laid = (values.reshape(-1)[call.indices] for values in (call.values, made))
            found.shown.append((next(laid), next(laid)))
    return found


@contextmanager
def putting(
    root: nn.Module,
    known: Mapping[CallSignature, str],
    slopes: Mapping[tuple[str, int], torch.Tensor],
    inputs: Any,
) -> Iterator[None]:
    """Within the block, the PReLUs of a module have these slopes.

    Args:
        root: the module.
        known: what the slopes of each signature of a PReLU are called.
        slopes: see `Tagged.put`.
        inputs: what the module is called with.
    """
    if not slopes:
        yield
        return
    mode = _Putting(root, known, slopes)
    mode.tracer.take_inputs(inputs)
    with mode, scripted_as_python(), _compiling_unseen():
        yield


@contextmanager
def _compiling_unseen() -> Iterator[None]:
    """Within the block, the mode is off while torch compiles a body, as it does for torch.cond."""
    kept: Any = torch.compile

    def compiled(*args: Any, **kwargs: Any) -> Any:
        function: Any = kept(*args, **kwargs)

        def call(*inner: Any, **named: Any) -> Any:
            with _pop_mode_temporarily():
                return function(*inner, **named)

        return call

    with patch.object(torch, "compile", compiled):
        yield


class _Putting(Watch):
    """Puts slopes in the place of those of a module."""

    def __init__(
        self,
        root: nn.Module,
        known: Mapping[CallSignature, str],
        slopes: Mapping[tuple[str, int], torch.Tensor],
    ) -> None:
        super().__init__(root, tensor_names(root), knowing(known, lambda _: True))
        self._known = Known(known)
        self._slopes = slopes
        self._numbers: Counter[str] = Counter()

    def _tell_region(
        self, region: Region, result: torch.Tensor, function: str
    ) -> torch.Tensor | None:
        same = self._place_of(region)
        is_new = same not in self._told
        found = super()._tell_region(region, result, function)
        if found is None or not is_new:
            return found
        name = self._known.name(region.signature) or ""
        slopes = self._slopes.get((name, self._numbers[name]))
        self._numbers[name] += 1
        if slopes is None or slopes.dtype != region.x.dtype:
            return found
        put = _prelu(region.x, slopes)
        if region.y.is_in_place:
            result.copy_(put)
            put = result
        self.tracer.move(region.y, put)
        self._told[same] = put
        return put


def _prelu(x: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """PReLU with slopes of any layout; where torch has a function for it, by that."""
    by_channel = x.ndim > 1 and slopes.numel() == slopes.shape[1]
    if by_channel or slopes.numel() == 1:
        return torch.prelu(x, slopes.reshape(-1))
    return torch.where(x > 0, x, slopes * x)
