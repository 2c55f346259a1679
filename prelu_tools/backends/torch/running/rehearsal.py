"""Run a copy of a module again while other code trains the module itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from prelu_tools.backends.protocol.calls import PReLUCall, layers_of
from prelu_tools.backends.torch.eagerly import as_python
from prelu_tools.backends.torch.finding import CallFinder
from prelu_tools.backends.torch.prepare import prepared
from prelu_tools.backends.torch.regions import CallSignature
from prelu_tools.backends.torch.running.capture import Run
from prelu_tools.backends.torch.running.known import knowing, telling
from prelu_tools.backends.torch.running.watch import Exploring, Watch, tensor_names
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.coverage import CoverageBook


class Rehearsal:
    """Runs copies of a module on the CPU, with what it was called with."""

    def __init__(self, root: nn.Module, runs: Sequence[Run]) -> None:
        """Find the PReLU calls, by a run in eval mode and one as in training.

        Args:
            root: the module, without its wrappers.
            runs: calls of it.
        """
        self._root = root
        self._runs = [run.few_rows() for run in runs]
        self._known: dict[CallSignature, str] = {}
        self.calls: list[PReLUCall] | None = None
        """What was found; None if the module could not be run."""
        self.notes: tuple[str, ...] = ()
        """Why it could not."""
        try:
            self.calls = self._found_with_any_rows(runs) if runs else None
            why = "it was never called, and no example inputs were given"
        except Exception as error:
            why = f"running it again failed ({type(error).__name__}: {error})"
        if self.calls is None:
            self.notes = (
                f"the slopes were identified by names and shapes: {' '.join(why.split())}",
            )

    def _found_with_any_rows(self, runs: Sequence[Run]) -> list[PReLUCall]:
        """The calls with a few rows; with all of them where rows belong together, as in a graph."""
        try:
            return self._found()
        except Exception:
            self._runs = [run.whole() for run in runs]
            return self._found()

    def _found(self) -> list[PReLUCall]:
        """The calls in eval mode, and those of layers that only a training has."""
        calls = self._looked(_copied(self._root))
        known = {call.parameter for call in calls}
        with suppress(Exception):  # such as a batch norm with too few rows
            trained = self._looked(self._in_its_modes(_copied(self._root)))
            calls += [call for call in trained if call.parameter not in known]
        return calls

    def _looked(self, module: nn.Module) -> list[PReLUCall]:
        finder = CallFinder(module)
        with Exploring(module, tensor_names(module), finder) as watch:
            self._run(module, watch)
        self._known |= finder.known
        return finder.calls

    def _in_its_modes(self, module: nn.Module) -> nn.Module:
        """A copy with each part in the mode that it has in the training."""
        modes = {path: part.training for path, part in self._root.named_modules()}
        for path, part in module.named_modules():
            part.training = modes.get(path, True)
        return module

    def negatives(self) -> Mapping[str, Array] | None:
        """See `LiveModel.negatives`."""
        if not self.calls:
            return None
        book, met = CoverageBook(layers_of(self.calls)), set()

        def note(layer: str, _call: int, x: Array, _y: Array) -> None:
            met.add(layer)
            book.note(layer, x)

        try:
            module = self._in_its_modes(_copied(self._root))
            told = knowing(self._known, telling(self.calls, note))
            with Watch(module, tensor_names(module), told) as watch:
                self._run(module, watch)
        except Exception:  # a diagnosis must not stop the training run
            return None
        return {layer: book.counts(layer) for layer in met}

    def _run(self, module: nn.Module, watch: Watch) -> None:
        halves = any(p.dtype == torch.float16 for p in self._root.parameters())
        with torch.no_grad(), torch.random.fork_rng(devices=[]), as_python():
            for run in self._runs:
                call = pytree.tree_map(_widened, run[1:]) if halves else run[1:]
                watch.tracer.take_inputs(call)
                args, kwargs = call
                module.get_submodule(run.path)(*args, **kwargs)


def _widened(leaf: Any) -> Any:
    is_half = isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float16
    return leaf.float() if is_half else leaf


def _copied(root: nn.Module) -> nn.Module:
    """A copy on the CPU, out of its wrappers and in eval mode.

    Only modules and tensors are copied. What else they hold, such as a trainer or a hook, is
    shared.
    """
    known: dict[int, Any] = {}
    for part in root.modules():
        for value in vars(part).values():
            for item in value.values() if isinstance(value, dict) else (value,):
                if isinstance(item, torch.Tensor):
                    known[id(item)] = _on_cpu(item)
                elif not isinstance(item, nn.Module | dict | list | tuple | set):
                    known[id(item)] = item
    with torch.no_grad():
        return prepared(copy.deepcopy(root, known)).module


def _on_cpu(tensor: torch.Tensor) -> torch.Tensor:
    values = tensor.detach().cpu().clone()
    return nn.Parameter(values, False) if isinstance(tensor, nn.Parameter) else values
