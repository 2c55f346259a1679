"""A torch module as a source."""

from __future__ import annotations

import inspect as python_inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from prelu_tools.backends.calls import PReLUCall, activation_of, layers_of, parameters_of
from prelu_tools.backends.conversion import Conversion
from prelu_tools.backends.interface import (
    Observer,
    Runner,
    SearchLimits,
    TensorSpec,
    WideRunner,
)
from prelu_tools.backends.outputs import distinct_outputs
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.seeking import seek
from prelu_tools.backends.torch.search import gradients_of
from prelu_tools.backends.torch.skeleton import without_weights
from prelu_tools.backends.torch.watch import (
    CallFinder,
    Watch,
    parameter_names,
    telling,
    to_array,
)
from prelu_tools.backends.torch.wide import WideTorchRunner
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import ConversionOptions, Dim, SourceOptions
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.canonical import fuse_prelus
from prelu_tools.graph.metadata import TORCH_SCOPES, module_scope, properties

_BATCH = 2  # torch.export takes a dimension of size 1 for a constant


class TorchSource:
    """A `torch.nn.Module` in eval mode."""

    framework = "torch"

    def __init__(self, module: nn.Module, spelled: str, options: SourceOptions) -> None:
        """Take a module; nothing is run yet."""
        self.spelled = spelled
        self.producer = f"torch {torch.__version__}"
        self.n_parameters = sum(parameter.numel() for parameter in module.parameters())
        self._module = module
        self._options = options
        self._calls: list[PReLUCall] | None = None
        self._specs: list[TensorSpec] | None = None
        self._outputs: list[str] = []

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
        notes = []
        if training:
            notes.append(f"{training[0]} stays in training mode after eval()")
        if batch:
            notes.append(
                f"{batch[0]} has no running statistics and uses those of each batch "
                "(track_running_stats=False): a row's result depends on the others"
            )
        return tuple(notes)

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from `--input`, else from the module's `example_inputs()`."""
        if self._specs is None:
            self._specs = self._in_order(self._find_inputs())
        return self._specs

    def _in_order(self, specs: list[TensorSpec]) -> list[TensorSpec]:
        """The inputs in the order in which `forward` takes them, where their names are its own."""
        names = list(python_inspect.signature(self._module.forward).parameters)
        if not all(spec.name in names for spec in specs):
            return specs
        ordered = sorted(specs, key=lambda spec: names.index(spec.name))
        found = [spec.name for spec in ordered]
        if found != names[: len(found)]:
            raise UsageError(
                f"{self.spelled} takes {', '.join(names)}, and inputs are given for "
                f"{', '.join(found)}: give those before the last of them too"
            )
        return ordered

    def _find_inputs(self) -> list[TensorSpec]:
        if self._options.inputs:
            return [
                TensorSpec(option.name, "float32", option.shape, _example(option.shape))
                for option in self._options.inputs
            ]
        names = list(python_inspect.signature(self._module.forward).parameters)
        make = getattr(self._module, "example_inputs", None)
        if make is None:
            wanted = " ".join(f"--input {name}:batch,..." for name in names)
            raise UsageError(
                f"the input shapes of {self.spelled} are not known: give {wanted} (for an image "
                f"--input {names[0] if names else 'x'}:batch,3,112,112), or the module a method "
                "example_inputs() that returns tensors"
            )
        given = make()
        examples = dict(given) if isinstance(given, Mapping) else _named(given, names)
        return [_spec(name, value) for name, value in examples.items()]

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return layers_of(self._find_calls())

    def _find_calls(self) -> list[PReLUCall]:
        if self._calls is None:
            feeds = {
                spec.name: np.zeros(_batched(spec), np.dtype(spec.dtype)) for spec in self.inputs()
            }
            finder = CallFinder()
            with torch.no_grad(), Watch(self._module, parameter_names(self._module), finder):
                outputs = self._run(feeds)
            self._calls = finder.calls
            self._outputs = list(self._named(outputs))
        return self._calls

    def _run(self, feeds: Mapping[str, Array], state: Mapping[str, Any] | None = None) -> Any:
        """The outputs as the module returns them; with other parameters and buffers if given."""
        tensors = {name: torch.from_numpy(np.array(array)) for name, array in feeds.items()}
        positional = tuple(tensors[spec.name] for spec in self.inputs())
        try:
            if state is None:
                return self._module(*positional)
            return torch.func.functional_call(self._module, dict(state), positional)
        except Exception as error:
            shapes = ", ".join(f"{name}{list(array.shape)}" for name, array in feeds.items())
            raise PReLUToolsError(
                f"{self.spelled} fails on inputs {shapes} with {type(error).__name__}: {error}"
            ) from error

    def _named(self, outputs: Any) -> dict[str, torch.Tensor]:
        return distinct_outputs(_flatten(outputs), [spec.name for spec in self.inputs()])

    def runner(self, observe: Observer | None = None) -> AbstractContextManager[Runner]:
        """See `Source.runner`."""
        self._find_calls()
        return nullcontext(_TorchRunner(self, observe))

    def wide_runner(self, observe: Observer | None = None) -> AbstractContextManager[WideRunner]:
        """See `Source.wide_runner`: parameters and buffers in float64 take the place of its own."""
        self._find_calls()
        wide = WideTorchRunner(self._module, lambda feeds, state: self.run(feeds, observe, state))
        return nullcontext(wide)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`."""
        return activation_of(self._find_calls(), layer)

    def seek(
        self, targets: Mapping[str, Array], start: Mapping[str, Array], limits: SearchLimits
    ) -> Iterator[dict[str, Array]]:
        """See `Source.seek`: gradient descent on the inputs."""
        calls = self._find_calls()
        pull = gradients_of(self._module, self.inputs(), calls)
        return seek(layers_of(calls), self.runner, pull, targets, start, limits)

    def run(
        self,
        feeds: Mapping[str, Array],
        observe: Observer | None,
        state: Mapping[str, torch.Tensor] | None = None,
    ) -> dict[str, Array]:
        """Run the module once, with other parameters and buffers if they are given."""
        with torch.no_grad(), self._watching(observe, state):
            outputs = self._named(self._run(feeds, state))
        return {name: to_array(tensor) for name, tensor in outputs.items()}

    def _watching(
        self, observe: Observer | None, state: Mapping[str, torch.Tensor] | None
    ) -> AbstractContextManager[Any]:
        if observe is None:
            return nullcontext()
        names = parameter_names(self._module)
        if state is not None:
            names = {id(tensor): name for name, tensor in state.items()}
        return Watch(self._module, names, telling(self._find_calls(), observe))

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `ConvertibleSource.convert`."""
        calls = self._find_calls()
        parameters = parameters_of(calls)
        specs = self.inputs()
        args = tuple(torch.zeros(_batched(s), dtype=getattr(torch, s.dtype)) for s in specs)
        tags = TagBook()
        with quiet(self._options.show_chatter, logger="torch.onnx"):
            try:
                program = torch.export.export(
                    self._module, args, dynamic_shapes=_dynamic(specs, torch.export.Dim.DYNAMIC)
                )
                self._put_tags(program, tags, parameters)
                exported = torch.onnx.export(
                    program,
                    dynamo=True,
                    opset_version=wanted.opset,
                    input_names=[spec.name for spec in specs],
                    output_names=self._outputs,
                    dynamic_shapes=_dynamic(specs, None),
                    verbose=False,
                )
            except Exception as error:
                raise PReLUToolsError(
                    f"torch.onnx.export refuses {self.spelled} with {type(error).__name__}: "
                    f"{_first_line(error)}"
                ) from error
        if exported is None:
            raise PReLUToolsError(f"torch.onnx.export returned nothing for {self.spelled}")
        model = without_weights(exported.model)
        fuse_prelus(model, lambda match: tags.find(match.slopes) is not None)
        _name_nodes(model.proto.graph)
        keep = {name: name for name in self._module.state_dict()}
        route = f"torch.onnx dynamo {torch.__version__}"
        return Conversion(model, tags, parameters, route, keep)

    @staticmethod
    def _put_tags(program: Any, tags: TagBook, parameters: Mapping[str, Any]) -> None:
        state = program.state_dict
        for name, parameter in parameters.items():
            if name in state:
                shape = tuple(parameter.values.shape)
                state[name] = nn.Parameter(torch.from_numpy(tags.tag(name, shape)))


class _TorchRunner:
    """Runs the module."""

    def __init__(self, source: TorchSource, observe: Observer | None) -> None:
        self._source = source
        self._observe = observe

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        return self._source.run(feeds, self._observe)


def _named(given: Any, names: Sequence[str]) -> dict[str, torch.Tensor]:
    tensors = (given,) if isinstance(given, torch.Tensor) else tuple(given)
    return dict(zip(names, tensors, strict=False))


def _spec(name: str, value: torch.Tensor) -> TensorSpec:
    sizes = tuple(value.shape)
    shape: tuple[Dim, ...] = ("batch", *sizes[1:]) if sizes else ()
    return TensorSpec(name, str(value.dtype).removeprefix("torch."), shape, sizes)


def _example(shape: Sequence[Dim]) -> tuple[int, ...]:
    return tuple(
        size if isinstance(size, int) else (1 if axis == 0 else 32)
        for axis, size in enumerate(shape)
    )


def _batched(spec: TensorSpec) -> tuple[int, ...]:
    if spec.shape and isinstance(spec.shape[0], str):
        return (_BATCH, *spec.example[1:])
    return spec.example


def _dynamic(specs: Sequence[TensorSpec], hint: Any) -> tuple[dict[int, Any], ...]:
    return tuple(
        {axis: hint or dim for axis, dim in enumerate(spec.shape) if isinstance(dim, str)}
        for spec in specs
    )


def _flatten(outputs: Any) -> dict[str, torch.Tensor]:
    """Outputs by name, whatever they are nested in, in the order in which they are exported."""
    if isinstance(outputs, torch.Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping):
        parts = [(str(key), value) for key, value in outputs.items()]
    else:
        names = getattr(outputs, "_fields", None)
        parts = [(names[i] if names else f"output_{i}", value) for i, value in enumerate(outputs)]
    flat: dict[str, torch.Tensor] = {}
    for name, value in parts:
        if isinstance(value, torch.Tensor):
            flat[name] = value
        elif value is not None:
            inner = _flatten(value)
            flat |= {f"{name}.{key}": tensor for key, tensor in inner.items()}
    return flat


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Name nodes after the modules that the exporter saw them in."""
    for node in graph.node:
        module = module_scope(properties(node).get(TORCH_SCOPES, ""))
        node.name = f"{module}/{node.op_type}" if module else ""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else "no message"
