"""A torch module, and what a run of it shows: how it is called, and which calls are PReLUs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.protocol.failures import failed_on, sizes_from
from prelu_tools.backends.protocol.freeing import freed_inputs
from prelu_tools.backends.protocol.inputs import (
    TensorSpec,
    one_size_a_name,
)
from prelu_tools.backends.protocol.outputs import distinct_outputs
from prelu_tools.backends.torch.arguments import Arguments, arguments_of, zeros_for
from prelu_tools.backends.torch.eagerly import as_python
from prelu_tools.backends.torch.files.weights import to_tensor
from prelu_tools.backends.torch.finding import CallFinder
from prelu_tools.backends.torch.prepare import Prepared
from prelu_tools.backends.torch.regions import CallSignature
from prelu_tools.backends.torch.running.uncalled import uncalled
from prelu_tools.backends.torch.running.watch import Exploring, Watch, tensor_names
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions


class ExploredModule:
    """A module, its arguments and its calls, found by running it as they are asked for."""

    def __init__(
        self, module: nn.Module, label: str, options: SourceOptions, prepared: Prepared
    ) -> None:
        self.label = label
        self._prepared = prepared
        self._module = module
        self._options = options
        self._calls: list[PReLUCall] | None = None
        self._known: dict[CallSignature, str] = {}
        self._narrow: dict[str, str] = {}
        self._by_operators = False  # how its PReLUs are observed
        self._taken: Arguments | None = None
        self._outputs: list[str] = []
        self._unnamed: frozenset[str] = frozenset()  # of the outputs
        self._uncalled: list[str] = []

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from `--input`, otherwise from the module's `example_inputs()`.

        Which axes of the examples count rows is found out by running the module.
        """
        if self._arguments().is_assumed:
            self._find_calls()
        if self._arguments().is_of_example:
            self._free_sizes()
        return self._arguments().specs

    def _arguments(self) -> Arguments:
        if self._taken is None:
            self._taken = self._find_arguments()
        return self._taken

    def _free_sizes(self) -> None:
        """Free the sizes of the example where the module takes those of the other model too."""
        taken, ask = replace(self._arguments(), is_of_example=False), self._options.other
        self._taken = taken
        other = None
        with suppress(PReLUToolsError):  # none of the others can be read
            other = ask() if ask is not None else None
        found = other and freed_inputs(taken.specs, other, self.label, self._takes)
        if found:
            notes = (*taken.notes, found.note)
            self._taken = replace(taken, specs=tuple(one_size_a_name(found.specs)), notes=notes)

    def _takes(self, feeds: Mapping[str, Array]) -> bool:
        try:
            with torch.no_grad():
                self._run(feeds)
        except PReLUToolsError:
            return False
        return True

    def _find_arguments(self) -> Arguments:
        make = getattr(self._module, "example_inputs", None)
        taken = arguments_of(self._module.forward, make, self._options, self.label)
        return taken.widened() if self._prepared.is_widened else taken

    def _find_calls(self) -> list[PReLUCall]:
        if self._calls is None:
            self._look_for_rows_inside()
            try:
                with sizes_from(self._arguments().origin):
                    self._calls = self._look()
            except PReLUToolsError as error:
                if not self._arguments().is_assumed:
                    raise
                self._calls = self._look_at_one_batch(error)
        return self._calls

    def _look(self) -> list[PReLUCall]:
        finder, finding, outputs, missing = self._explored(by_operators=False)
        if finding.tracer.n_unknown:
            with suppress(PReLUToolsError):  # not every function can be seen by its operators
                closer = self._explored(by_operators=True)
                found, before = ({c.parameter for c in f.calls} for f in (closer[0], finder))
                self._by_operators = found > before  # a loop shows each turn
                if self._by_operators:
                    finder, _, outputs, missing = closer
        used = {call.parameter for call in finder.calls}
        self._uncalled = [name for name, own in missing.items() if not used & own]
        self._known, self._narrow = finder.known, finder.narrow
        self._outputs = list(self._named(outputs))
        own = {name: is_own for name, is_own, _ in _found_in(outputs)}
        self._unnamed = frozenset(
            name
            for name, (key, is_own) in zip(self._outputs, own.items(), strict=True)
            if not is_own or name != key
        )
        return finder.calls

    def _explored(
        self, by_operators: bool
    ) -> tuple[CallFinder, Exploring, Any, dict[str, set[str]]]:
        """What a run shows of the module; PReLUs are seen by functions, or by operators."""
        with torch.no_grad(), self._finder() as finder, uncalled(self._module) as missing:
            finding = Exploring(self._module, tensor_names(self._module), finder, by_operators)
            with finding:
                outputs = self._run(zeros_for(self._arguments().specs), watch=finding)
        finding.tracer.take_outputs(outputs)
        return finder, finding, outputs, missing

    def _finder(self) -> AbstractContextManager[CallFinder]:
        """What takes the calls of a run, within the block."""
        return nullcontext(CallFinder(self._module))

    def _look_for_rows_inside(self) -> None:
        """Take rows for those of the second axis where the module takes more of them so."""
        free = self._arguments()
        inside = free.with_rows_inside() if free.is_assumed else None
        if inside is None or free.is_of_one_row:
            return  # an example of one row is run with two, which shows it
        self._taken = inside
        try:
            with torch.no_grad():
                self._run(zeros_for(inside.with_another_row().specs))
        except PReLUToolsError:
            self._taken = free

    def _look_at_one_batch(self, error: PReLUToolsError) -> list[PReLUCall]:
        """The module takes no other batch than that of its examples, if it takes that one."""
        free = self._arguments()
        for other in (free.with_rows_inside(), free.with_fixed_batch(str(error))):
            if other is None:
                continue
            self._taken = other
            try:
                return self._look()
            except PReLUToolsError:
                self._taken = free
        raise error from None

    def _run(
        self,
        feeds: Mapping[str, Array],
        state: Mapping[str, Any] | None = None,
        watch: Watch | None = None,
    ) -> Any:
        """The outputs as the module returns them; with other parameters and buffers if given."""
        tensors = {name: to_tensor(np.array(array)) for name, array in feeds.items()}
        args, kwargs = self._arguments().build(tensors)
        if watch is not None:
            watch.tracer.take_inputs((args, kwargs))
        try:
            with as_python():
                if state is None:
                    return self._module(*args, **kwargs)
                return torch.func.functional_call(
                    self._module, dict(state), args, kwargs, tie_weights=False
                )
        except Exception as error:
            raise failed_on(self.label, feeds, error) from error

    def _named(self, outputs: Any) -> dict[str, torch.Tensor]:
        return distinct_outputs(_flatten(outputs), [spec.name for spec in self._arguments().specs])

    @property
    def unnamed(self) -> frozenset[str]:
        """See `Source.unnamed`: outputs at positions, and inputs that are no arguments."""
        self._find_calls()
        return self._unnamed | self._arguments().unnamed


def _flatten(outputs: Any) -> dict[str, torch.Tensor]:
    """Outputs by name, whatever they are nested in, in the order in which they are exported."""
    return {name: tensor for name, _, tensor in _found_in(outputs)}


def _found_in(outputs: Any) -> Iterator[tuple[str, bool, torch.Tensor]]:
    """Each output with its name, and whether that is made of keys and fields only."""
    if isinstance(outputs, torch.Tensor):
        yield "output", False, outputs
        return
    fields = getattr(outputs, "_fields", None)
    has_keys = isinstance(outputs, Mapping) or fields is not None
    if isinstance(outputs, Mapping):
        parts = [(str(key), value) for key, value in outputs.items()]
    else:
        parts = [(fields[i] if fields else f"output_{i}", value) for i, value in enumerate(outputs)]
    for name, value in parts:
        if isinstance(value, torch.Tensor):
            yield name, has_keys, value
        elif value is not None:
            for key, is_own, tensor in _found_in(value):
                yield f"{name}.{key}", has_keys and is_own, tensor
