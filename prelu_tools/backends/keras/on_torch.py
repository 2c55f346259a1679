"""A Keras model on Keras' PyTorch backend as a source: run by PyTorch, with Keras' names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from prelu_tools.backends.keras.files.loading import load_weights
from prelu_tools.backends.keras.layers import Owner, Seen, data_layout, owners, walk, watching
from prelu_tools.backends.keras.library import keras
from prelu_tools.backends.keras.outside import call_outside
from prelu_tools.backends.keras.precision import OTHERS, computing_in, note_precisions
from prelu_tools.backends.keras.steps import has_free_steps, steps_as_rows
from prelu_tools.backends.keras.structure import Structure
from prelu_tools.backends.protocol.calls import PReLUCall
from prelu_tools.backends.protocol.failures import failed_on, sizes_from
from prelu_tools.backends.protocol.interface import Conversion, layouts_between
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.torch.arguments import Arguments, from_structure
from prelu_tools.backends.torch.finding import CallFinder
from prelu_tools.backends.torch.prepare import Prepared
from prelu_tools.backends.torch.running.watch import Seen as TorchSeen
from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import ConversionOptions, SourceOptions
from prelu_tools.graph.passes.cleaning.layouts import move_inputs, move_outputs
from prelu_tools.graph.passes.pipeline import AFTER_TORCH_OF_KERAS, run_passes


class KerasModule(nn.Module):
    """Calls a Keras model with its own parameters in the place of the model's variables.

    Keras' own modules name their parameters by numbers, keep them on a GPU, and compute in the
    type of their policy; these have the names of Keras, are on the CPU, and the model computes in
    the type that they have.
    """

    def __init__(self, model: Any, structure: Structure) -> None:
        """Take a model whose variables exist; they share their memory with the parameters."""
        super().__init__()
        self.training = False
        self._plain = {"model": model, "structure": structure}  # not registered as a submodule
        self._variables: list[tuple[str, Any]] = []
        self._is_other = bool(note_precisions(model))
        self._folds_steps = has_free_steps(model) and _treats_rows_alone(model, structure)
        self.owners: dict[str, Owner] = {}
        """The owner of each parameter."""
        owner = owners(model)
        for variable in model.weights:
            own = owner.get(id(variable)) or Owner("", variable.path, False, "", False)
            name = own.parameter.replace(".", "_")  # PyTorch's names are separated by dots
            while name in self.owners:
                name += "_"
            self.owners[name] = own
            self._variables.append((name, variable))
            self.register_parameter(name, _parameter(variable.value))

    @property
    def names(self) -> dict[int, str]:
        """The names of the parameters by the ids of their variables."""
        return {id(variable): name for name, variable in self._variables}

    def forward(self, *tensors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Call the model; outputs by name."""
        model, structure = self._plain["model"], self._plain["structure"]
        state = [(variable, self._parameters[name]) for name, variable in self._variables]
        wide = any(value is not None and value.dtype == torch.float64 for _, value in state)
        other = computing_in(model, "float64" if wide else "float32")
        typed = other if wide or self._is_other else nullcontext()
        steps = steps_as_rows(model) if self._folds_steps else nullcontext()
        with keras.device("cpu"), typed, steps, _unrolled(model), keras.StatelessScope(state):
            outputs = structure.call(model, tensors)
        named: dict[str, torch.Tensor] = structure.named_outputs(outputs)
        return named


@contextmanager
def _unrolled(model: Any) -> Iterator[None]:
    """Within the block, recurrent layers are loops over the steps: the others fix the batch."""
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.RNN) and not layer.unroll
    ]
    for layer in layers:
        layer.unroll = True
    try:
        yield
    finally:
        for layer in layers:
            layer.unroll = False


class KerasTorchSource(TorchSource):
    """A `keras.Model` that PyTorch runs, with training=False."""

    framework = "keras"
    weights_suffix = ".weights.h5"

    def __init__(
        self, model: Any, label: str, options: SourceOptions, weights: Path | None = None
    ) -> None:
        """Take a model; it is run once, which makes the variables that it lacks.

        Args:
            model: the model.
            label: what to call it.
            options: how to read it.
            weights: a `.weights.h5` file to load into it; None for none.

        Raises:
            UsageError: the shapes of its inputs are not known.
            PReLUToolsError: it does not run, or the weights do not fit.
        """
        self._model = model
        self._structure = Structure(model, label, options)
        _build(model, self._structure, label, options.show_chatter)
        if weights is not None:
            load_weights(model, weights, label)
        module = KerasModule(model, self._structure)
        super().__init__(module, label, options, Prepared(module, tuple(note_precisions(model))))
        self.producer = f"keras {keras.__version__}, torch {torch.__version__}"
        self._owners, self._names = module.owners, module.names

    @property
    def variable_names(self) -> dict[int, str]:
        """The names of the model's variables, as `PReLUCall.sources` has them, by their ids."""
        return self._names

    @property
    def unnamed(self) -> frozenset[str]:
        """See `Source.unnamed`: as Keras has it."""
        self._find_calls()
        return self._structure.unnamed

    def calls(self) -> list[PReLUCall]:
        """The calls of its PReLU layers, in their order."""
        return self._find_calls()

    def _find_arguments(self) -> Arguments:
        specs = self._structure.inputs()
        _, structure = pytree.tree_flatten((tuple(specs), {}))
        return replace(from_structure(structure, specs), notes=self._structure.notes)

    def _look(self) -> list[PReLUCall]:
        calls = super()._look()
        parameters = {call.parameter for call in calls}
        counts = Counter(self._owners[name].layer for name in parameters if name in self._owners)
        return [self._as_in_keras(call, counts) for call in calls]

    @contextmanager
    def _finder(self) -> Iterator[CallFinder]:
        finder = _Finder(self._module, self._names)
        with watching(self._model, None, finder.after):
            yield finder

    def _as_in_keras(self, call: PReLUCall, counts: Mapping[str, int]) -> PReLUCall:
        """A call with the name and the class of its layer, which PyTorch knows nothing of."""
        owner = self._owners.get(call.parameter)
        if owner is None or not owner.layer or counts[owner.layer] > 1:
            return call
        kind = owner.kind if owner.is_alone else call.kind
        return replace(call, layer=owner.layer, kind=kind)

    def _starts(self) -> Mapping[str, float | None]:
        """Where the slopes start, by the parameter's name."""
        return {name: owner.start for name, owner in self._owners.items()}

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `Source.convert`; PyTorch computes on channels first, and so the graph."""
        try:
            conversion = super().convert(wanted)
        except UsageError:
            raise
        except PReLUToolsError as error:
            zeros = [torch.from_numpy(array) for array in self._structure.zeros().values()]
            outside = _outside(self.label, lambda: self._module(*zeros))
            raise outside or error from error
        layout, graph = data_layout(self._model), conversion.model.proto.graph
        move_inputs(graph, layout, wanted.input_layout)
        move_outputs(graph, layout, wanted.output_layout)
        run_passes(conversion.model, AFTER_TORCH_OF_KERAS)
        return replace(
            conversion,
            input_layouts=layouts_between(layout, wanted.input_layout),
            output_layouts=layouts_between(layout, wanted.output_layout),
        )


class _Finder(CallFinder):
    """Knows which layer of Keras was called before."""

    def __init__(self, root: nn.Module, names: Mapping[int, str]) -> None:
        super().__init__(root)
        self._names_of_variables = names
        self._before: int | None = None

    def after(self, layer: Any, _x: Any, _y: Any) -> None:
        """Take a layer that was called: the one before the next PReLU, where it has a matrix."""
        slopes = {call.parameter for call in self.calls}
        if {self._names_of_variables.get(id(weight)) for weight in layer.weights} <= slopes:
            return
        if any(len(weight.shape) > 1 for weight in layer.trainable_weights):
            self._before = sum(int(np.prod(weight.shape)) for weight in layer.weights)

    def __call__(self, seen: TorchSeen) -> bool:
        return super().__call__(seen._replace(preceding=self._before))


def _build(model: Any, structure: Structure, label: str, show: bool) -> None:
    feeds = structure.zeros()
    flat = [keras.ops.convert_to_tensor(array) for array in feeds.values()]
    foreign: list[str] = []

    def run(after: Seen | None = None) -> None:
        with quiet(show), torch.no_grad(), watching(model, None, after):
            _note_foreign("the model", structure.call(model, flat), foreign)

    def after(layer: Any, _x: Any, y: Any) -> None:
        _note_foreign(f"layer {layer.name}", y, foreign)

    try:
        if not all(layer.built for layer in (model, *(layer for _, layer in walk(model)))):
            run()  # may create layers to watch
        run(after)
    except Exception as error:
        with sizes_from(structure.origin):
            raise (_outside(label, run) or failed_on(label, feeds, error)) from error
    if foreign:
        raise _outside(label, run) or PReLUToolsError(
            f"{label}: {foreign[0]}, which PyTorch cannot run: write the layer with keras.ops"
        )


def _note_foreign(what: str, outputs: Any, found: list[str]) -> None:
    """Take outputs that are neither tensors of PyTorch nor plain numbers."""
    for value in keras.tree.flatten(outputs):
        if not (value is None or isinstance(value, torch.Tensor | int | float | bool | str)):
            kind = type(value)
            found.append(f"{what} returns a {kind.__module__.partition('.')[0]}.{kind.__name__}")


def _outside(label: str, run: Callable[[], object]) -> PReLUToolsError | None:
    """What to say of a model whose own code calls another framework; None if it does not."""
    found = call_outside(run)
    if found is None:
        return None
    framework, line = found
    other = "export it on TensorFlow (--route tf2onnx), or "
    return PReLUToolsError(
        f"{label} calls a function of {framework}, which PyTorch cannot run ({line}): "
        f"{other if framework == 'TensorFlow' else ''}write it with keras.ops"
    )


def _treats_rows_alone(model: Any, structure: Structure) -> bool:
    """Whether a model's results are the same if all steps are rows of one call."""
    generator = np.random.default_rng(0)
    flat = [
        keras.ops.convert_to_tensor(
            generator.standard_normal(array.shape).astype(array.dtype)
            if array.dtype.kind == "f"
            else array
        )
        for array in structure.zeros().values()
    ]
    with torch.no_grad():
        plain = keras.tree.flatten(structure.call(model, flat))
        with steps_as_rows(model):
            folded = keras.tree.flatten(structure.call(model, flat))
    return len(plain) == len(folded) and all(
        a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-4)
        for a, b in zip(plain, folded, strict=True)
    )


def _parameter(value: torch.Tensor) -> nn.Parameter:
    plain = value.detach().cpu()
    if str(plain.dtype).removeprefix("torch.") in OTHERS:
        plain = plain.float()
    return nn.Parameter(plain, requires_grad=False)
