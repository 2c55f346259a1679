"""The conversion task: a torch module, and all that the routes have to know about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.torch.arguments import Arguments, zeros_for
from prelu_tools.backends.torch.conversion.putting import putting
from prelu_tools.backends.torch.regions import CallSignature

INNER = "inner"
"""Where `Flat` keeps the module: it stands in front of every name of the graph."""


@dataclass(frozen=True)
class Task:
    """A module that is to be converted."""

    module: nn.Module
    """In eval mode."""
    label: str
    """As the user spelled it."""
    arguments: Arguments
    """What it is called with."""
    outputs: tuple[str, ...]
    """Names of its outputs."""
    calls: tuple[PReLUCall, ...]
    """Its calls of PReLU."""
    known: Mapping[CallSignature, str]
    """What the slopes of each signature of a PReLU are called."""
    flatten: Callable[[Any], list[torch.Tensor]]
    """Its outputs, out of what they are nested in."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Inputs to trace it with."""
        return tuple(torch.from_numpy(array) for array in zeros_for(self.arguments.specs).values())

    @property
    def input_names(self) -> list[str]:
        """Names of its inputs."""
        return [spec.name for spec in self.arguments.specs]

    @property
    def placeholders(self) -> dict[str, str]:
        """What an exporter is to call inputs and outputs, with their names.

        Names of the module's own might be those of values inside, which exporters choose.
        """
        found = {f"prelu_tools_in_{i}": name for i, name in enumerate(self.input_names)}
        return found | {f"prelu_tools_out_{i}": name for i, name in enumerate(self.outputs)}


class Flat(nn.Module):
    """Takes and returns tensors, whatever the module nests them in."""

    def __init__(self, task: Task, slopes: Mapping[tuple[str, int], torch.Tensor]) -> None:
        """Hold the module, which stays as it is.

        Args:
            task: the module.
            slopes: what to put in the place of slopes, by their name and the number of the call.
        """
        super().__init__()
        self.training = False
        self.inner = task.module
        self._task = task
        self._places = list(slopes)
        for number, slope in enumerate(slopes.values()):
            self.register_buffer(f"slopes_{number}", slope)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the module."""
        named = dict(zip(self._task.input_names, tensors, strict=True))
        args, kwargs = self._task.arguments.build(named)
        held = (getattr(self, f"slopes_{number}") for number in range(len(self._places)))
        slopes = dict(zip(self._places, held, strict=True))
        with putting(self.inner, self._task.known, slopes, (args, kwargs)):
            outputs = self.inner(*args, **kwargs)
        return tuple(self._task.flatten(outputs))


class RouteError(Exception):
    """A route does not take the module; the message says why, in one line."""


class LateRouteError(RouteError):
    """torch.export takes the module; what comes after it does not, however it was exported."""


def first_line(error: BaseException) -> str:
    """The first line of what a framework says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
