"""A torch module as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from prelu_tools.backends.probing.deciding import Decisions
from prelu_tools.backends.probing.reading import Readings
from prelu_tools.backends.probing.seeking import seek
from prelu_tools.backends.protocol.calls import activation_of, layers_of, not_called
from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.failures import failed_on
from prelu_tools.backends.protocol.inputs import (
    Lookup,
    SearchLimits,
)
from prelu_tools.backends.protocol.interface import Conversion
from prelu_tools.backends.protocol.runners import Observer, Runner, WideRunner
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.torch.conversion.recurrent import step_by_step
from prelu_tools.backends.torch.conversion.task import Task
from prelu_tools.backends.torch.eagerly import as_python
from prelu_tools.backends.torch.explored import ExploredModule
from prelu_tools.backends.torch.files.weights import to_numpy, to_tensor
from prelu_tools.backends.torch.prepare import Prepared, check_types
from prelu_tools.backends.torch.running.drawing import Drawing, drawings, states
from prelu_tools.backends.torch.running.known import knowing, telling
from prelu_tools.backends.torch.running.lookups import LookupWatch
from prelu_tools.backends.torch.running.perturbing import Perturbing
from prelu_tools.backends.torch.running.reading import Reading, conditions_as_python
from prelu_tools.backends.torch.running.search import gradients_of
from prelu_tools.backends.torch.running.watch import Watch, tensor_names
from prelu_tools.backends.torch.running.wide import WideTorchRunner
from prelu_tools.backends.torch.scripted import CompiledGraph
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import ConversionOptions, SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.verification.decisions import Decision
from prelu_tools.core.rounding.noise import Noise


class TorchSource(ExploredModule, SourceDefaults):
    """A `torch.nn.Module` in eval mode."""

    framework = "torch"
    frees_sizes = True

    def __init__(
        self,
        module: nn.Module,
        label: str,
        options: SourceOptions,
        prepared: Prepared | None = None,
    ) -> None:
        """Take a module; nothing is run yet. `prepared` says what was done to it before."""
        super().__init__(module, label, options, prepared or Prepared(module))
        self.producer = f"torch {torch.__version__}"
        self.n_parameters = sum(parameter.numel() for parameter in module.parameters())
        self._decisions = Decisions(self._read)
        self._drew: Mapping[str, Array] | None = None  # inputs of a run that drew random numbers
        self._drawings: tuple[Drawing, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as it would be in inference, though the module is in eval mode."""
        modules = list(self._module.named_modules())
        training = [name or "the module" for name, module in modules if module.training]
        batch = [
            name
            for name, module in modules
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None
        ]
        notes: list[str] = [*self._prepared.notes, *(self._taken.notes if self._taken else ())]
        notes += [not_called(name) for name in self._uncalled]
        if training:
            notes.append(f"{training[0]} stays in training mode after eval()")
        if batch:
            notes.append(
                f"{batch[0]} has no running statistics and uses those of each batch "
                "(track_running_stats=False): a row's result depends on the others"
            )
        return tuple(notes)

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return layers_of(self._find_calls(), self._starts())

    def _starts(self) -> Mapping[str, float | None]:
        """Where the slopes of PyTorch's own PReLU start, by the parameter's name."""
        modules = self._module.named_modules()
        return {
            f"{name}.weight".lstrip("."): float(module.init)
            for name, module in modules
            if isinstance(module, nn.PReLU)
        }

    def decisions(self, runs: Sequence[Mapping[str, Array]]) -> tuple[Decision, ...]:
        """See `Source.decisions`: what the module's Python code decides by numbers."""
        return self._decisions.of(runs)

    def _read(self, feeds: Mapping[str, Array], readings: Readings) -> dict[str, Array]:
        """Run the module, and report what its code reads."""
        tensors = {name: to_tensor(np.array(array)) for name, array in feeds.items()}
        args, kwargs = self._arguments().build(tensors)
        reading = Reading(readings)
        reading.follow((args, kwargs))
        try:
            with torch.no_grad(), as_python(), conditions_as_python(), reading:
                found = self._module(*args, **kwargs)
        except Exception as error:
            raise failed_on(self.label, feeds, error) from error
        return {name: to_numpy(tensor) for name, tensor in self._named(found).items()}

    def lookups(self, feeds: Mapping[str, Array]) -> Sequence[Lookup]:
        """See `Source.lookups`."""
        self._find_calls()
        with torch.no_grad(), LookupWatch() as watch:
            self._run(feeds)
        return list(watch.found)

    def random_parts(self) -> tuple[Drawing, ...]:
        """See `Source.random_parts`: what a run has drawn from, where outputs depend on it."""
        if self._drew is not None:
            feeds = self._drew
            self._drawings = drawings(lambda: self.run(feeds, None))
            self._drew = None
        return self._drawings

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        self._find_calls()
        return nullcontext(_TorchRunner(self, observe))

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """See `Source.wide_runner`: parameters and buffers in float64 take the place of its own."""
        if any(isinstance(part, CompiledGraph) for part in self._module.modules()):
            raise PReLUToolsError("TorchScript computes in the types that were compiled into it")
        self._find_calls()
        wide = WideTorchRunner(self._module, lambda feeds, state: self.run(feeds, observe, state))
        return nullcontext(wide)

    @contextmanager
    def perturbed_runner(self, noise: Noise, observe: Observer | None = None) -> Iterator[Runner]:
        """See `Source.perturbed_runner`: at the operators of ATen."""
        self._find_calls()
        with step_by_step(self._module):
            yield _TorchRunner(self, observe, Perturbing(noise))

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""
        return activation_of(self._find_calls(), layer)

    def is_unread(self, layer: str, feeds: Mapping[str, Array]) -> bool:
        """Whether other slopes of a layer change no bit of any output.

        Args:
            layer: its name.
            feeds: inputs that reach its slopes.
        """
        name = next(call.parameter for call in self._find_calls() if call.layer == layer)
        tensor = dict(self._module.named_parameters(remove_duplicate=False)).get(name)
        if tensor is None:
            return False
        before, after = self.run(feeds, None), self.run(feeds, None, {name: tensor.detach() + 1})
        return all(same_bits(values, after[output]) for output, values in before.items())

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: gradient descent on the inputs."""
        calls = self._find_calls()
        pull = gradients_of(self._module, self._arguments(), calls, self._known)
        return seek(layers_of(calls), self.runner, pull, targets, start, limits)

    def run(
        self,
        feeds: Mapping[str, Array],
        observe: Observer | None,
        state: Mapping[str, torch.Tensor] | None = None,
    ) -> dict[str, Array]:
        """Run the module once, with other parameters and buffers if they are given."""
        before = states()
        with torch.no_grad(), self._watching(observe, state) as watch:
            outputs = self._named(self._run(feeds, state, watch))
        if states() != before:
            self._drew = feeds
        return {name: to_numpy(tensor) for name, tensor in outputs.items()}

    def _watching(
        self, observe: Observer | None, state: Mapping[str, torch.Tensor] | None
    ) -> AbstractContextManager[Watch | None]:
        if observe is None:
            return nullcontext()
        names = tensor_names(self._module)
        names |= {id(tensor): name for name, tensor in reversed([*(state or {}).items()])}
        told = knowing(self._known, telling(self._find_calls(), observe))
        return Watch(self._module, names, told, self._by_operators)

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`."""
        from prelu_tools.backends.torch.conversion.convert import (
            converted,  # slow to load: not for verify
        )
        from prelu_tools.backends.torch.conversion.dynamo import FixedDimensionError

        check_types(self._module, self.label)
        self._find_calls()
        for layer, kind in self._narrow.items():
            raise PReLUToolsError(
                f"{layer} of {self.label} computes in {kind}, in which onnxruntime's CPU "
                "provider has no convolutions: expected float32; remove torch.autocast from "
                "forward() for the export"
            )
        with quiet(self._options.show_chatter, logger="torch.onnx"):
            try:
                conversion = converted(self._task(), wanted)
            except FixedDimensionError as error:
                why = error.code or "the module fixes it"
                self._taken = self._arguments().with_fixed_batch(why)
                self._calls = None  # a loop over rows calls its layers less often now
                conversion = converted(self._task(), wanted)
        return replace(conversion, notes=(*self.notes, *conversion.notes))

    def _task(self) -> Task:
        return Task(
            module=self._module,
            label=self.label,
            calls=tuple(self._find_calls()),
            arguments=self._arguments(),
            outputs=tuple(self._outputs),
            known=self._known,
            flatten=lambda outputs: list(self._named(outputs).values()),
        )


class _TorchRunner:
    """Runs the module."""

    def __init__(
        self, source: TorchSource, observe: Observer | None, noise: Perturbing | None = None
    ) -> None:
        self._source = source
        self._observe = observe
        self._mode: AbstractContextManager[Any] = noise or nullcontext()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        with self._mode:
            return self._source.run(feeds, self._observe)
