"""`.pt2`: an exported torch program as a source; its graph says where PReLU is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from prelu_tools.backends.calls import PReLUCall
from prelu_tools.backends.conversion import Conversion
from prelu_tools.backends.interface import Source, TensorSpec
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.backends.torch.watch import functional_prelu
from prelu_tools.backends.torch.weights import to_numpy
from prelu_tools.core.arrays import IntArray
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import ConversionOptions, Dim, SourceOptions
from prelu_tools.core.slopes import Shape

_PRELU = "aten.prelu.default"
_VIEWS = ("aten.view.default", "aten.reshape.default", "aten.alias.default", "aten.detach.default")
_EXAMPLE = 48  # size of a free dimension other than the batch


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Load a program that torch.export.save wrote.

    Raises:
        PReLUToolsError: it is no such file, damaged, or of another version of torch.
    """
    try:
        with quiet(options.show_chatter):
            program = torch.export.load(path)
            return ProgramSource(program, spelled, options)
    except Exception as error:
        raise PReLUToolsError(
            f"{path} cannot be read as a torch program: torch.export.save did not write it, it is "
            f"damaged, or torch {torch.__version__} does not know its version"
        ) from error


class ProgramSource(TorchSource):
    """A `torch.export.ExportedProgram`."""

    def __init__(self, program: ExportedProgram, spelled: str, options: SourceOptions) -> None:
        """Take a program; nothing is run yet."""
        super().__init__(program.module(), spelled, options)
        self._program = program

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know where no PReLU was found: which spellings are not looked for."""
        if self._find_calls():
            return ()
        return (
            f"only aten.prelu is looked for in a torch program, and {self.spelled} has none: a "
            "PReLU that is spelled with where or mul is seen once it is exported to ONNX",
        )

    def _find_inputs(self) -> list[TensorSpec]:
        names: dict[str, str] = {}
        specs = []
        for argument in self._program.graph_signature.input_specs:
            if argument.kind == InputKind.USER_INPUT:
                value = self._values().get(str(argument.arg.name))
                if isinstance(value, torch.Tensor):
                    specs.append(_spec(argument.arg.name, value, names))
        return specs

    def _values(self) -> dict[str, Any]:
        return {node.name: node.meta.get("val") for node in self._program.graph.nodes}

    def _find_calls(self) -> list[PReLUCall]:
        if self._calls is None:
            self._calls = _calls_of(self._program)
        return self._calls

    def convert(self, wanted: ConversionOptions) -> Conversion:
        """See `ConvertibleSource.convert`."""
        sizes = {s.name: (2 if isinstance(s.shape[0], str) else s.shape[0], *s.example[1:])
                 for s in self.inputs()}  # fmt: skip
        feeds = {s.name: np.zeros(sizes[s.name], np.dtype(s.dtype)) for s in self.inputs()}
        self._outputs = list(self.run(feeds, None))
        return super().convert(wanted)


def _calls_of(program: ExportedProgram) -> list[PReLUCall]:
    """Every call of aten.prelu on a parameter, in the order of the graph."""
    signature = program.graph_signature
    sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    state = program.state_dict
    calls = []
    preceding: int | None = None
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        if str(node.target) == _PRELU:
            name = sources.get(_origin(node.args[1]).name)
            if name is not None:
                calls.append(_call(name, state, node.args[0].meta["val"].shape, preceding))
            continue
        used = [sources[n.name] for n in node.all_input_nodes if n.name in sources]
        owners = [name.rpartition(".")[0] for name in used if state[name].ndim > 1]
        if owners:
            parts = [n for n in signature.parameters if n.rpartition(".")[0] == owners[-1]]
            preceding = sum(state[name].numel() for name in parts)
    return calls


def _origin(node: Any) -> Any:
    """What a node is a view of."""
    while node.op == "call_function" and str(node.target) in _VIEWS:
        node = node.args[0]
    return node


def _call(
    name: str, state: Mapping[str, torch.Tensor], sizes: Any, preceding: int | None
) -> PReLUCall:
    owner = name.rpartition(".")[0]
    alone = sum(other.startswith(f"{owner}.") for other in state) == 1
    values = to_numpy(state[name])
    shape: Shape = tuple(size if isinstance(size, int) else None for size in sizes)
    return PReLUCall(
        layer=owner if owner and alone else name,
        parameter=name,
        kind="PReLU",
        values=values,
        indices=_indices(values.size, len(shape)),
        input_shape=(None, *shape[1:]),
        preceding_parameters=preceding,
        apply=lambda x: functional_prelu(x, values),
    )


def _indices(n_slopes: int, rank: int) -> IntArray:
    """aten.prelu: one slope, or one a channel, and channels are axis 1."""
    shape = [n_slopes if axis == 1 else 1 for axis in range(rank)]
    return np.arange(n_slopes, dtype=np.int64).reshape(shape if n_slopes > 1 else [1] * rank)


def _spec(name: str, value: torch.Tensor, names: dict[str, str]) -> TensorSpec:
    """An input, with a name for each dimension that is free; equal ones share it."""
    shape: list[Dim] = []
    for axis, size in enumerate(value.shape):
        if isinstance(size, int):
            shape.append(size)
        else:
            shape.append(names.setdefault(str(size), f"{name}_dim_{axis}" if axis else "batch"))
    example = tuple(
        size if isinstance(size, int) else (1 if axis == 0 else _EXAMPLE)
        for axis, size in enumerate(shape)
    )
    return TensorSpec(name, str(value.dtype).removeprefix("torch."), tuple(shape), example)
