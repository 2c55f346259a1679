"""`.pt2`: an exported torch program as a source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from prelu_tools.backends.protocol.inputs import TensorSpec, stated_spec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.torch.arguments import Arguments, Constant, from_structure
from prelu_tools.backends.torch.calling import paths_of
from prelu_tools.backends.torch.files.vetting import refuse_unsafe
from prelu_tools.backends.torch.source import TorchSource
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions, free_size


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Load a program that torch.export.save wrote.

    Raises:
        PReLUToolsError: it is not such a file, is damaged, is of another version of torch, or would
            run code.
    """
    try:
        with quiet(options.show_chatter):
            if not options.allow_unsafe_load:
                refuse_unsafe(path)
            program = torch.export.load(path)
            return ProgramSource(program, label, options)
    except PReLUToolsError:
        raise
    except Exception as error:
        raise PReLUToolsError(
            f"{path} cannot be read as a torch program: torch.export.save did not write it, it "
            f"is damaged, or torch {torch.__version__} does not support its version"
        ) from error


class ProgramSource(TorchSource):
    """A `torch.export.ExportedProgram`."""

    frees_sizes = False  # they are in its graph

    def __init__(self, program: ExportedProgram, label: str, options: SourceOptions) -> None:
        """Take a program; nothing is run yet."""
        super().__init__(program.module(), label, options)
        self._program = program

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of its arguments; whatever mode it was exported in is in its graph."""
        return self._arguments().notes

    def _find_arguments(self) -> Arguments:
        program = self._program
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        structure = program.call_spec.in_spec
        if structure is None:
            raise PReLUToolsError(f"{self.label} does not say how to call it")
        given = [
            argument.arg
            for argument in program.graph_signature.input_specs
            if argument.kind == InputKind.USER_INPUT
        ]
        paths = paths_of(structure)
        free: dict[str, str] = {}
        leaves: list[TensorSpec | Constant] = []
        for argument, path in zip(given, paths, strict=True):
            value = values.get(argument.name)
            if isinstance(value, torch.Tensor):
                leaves.append(_spec(_name(argument.name, path), value, free))
            else:
                leaves.append(Constant(getattr(argument, "value", None)))
        return from_structure(structure, leaves)


def _name(placeholder: str, path: Sequence[str]) -> str:
    """An input's name, with its keys after dots: `batch.image` of the program's `batch_image`."""
    behind = "_".join(path)
    if not path or not placeholder.endswith(f"_{behind}"):
        return placeholder
    return ".".join([placeholder[: -len(behind) - 1], *path])


def _spec(name: str, value: torch.Tensor, names: dict[str, str]) -> TensorSpec:
    """An input, with a name for each dimension that is dynamic; equal ones share it."""
    sizes = [
        size if isinstance(size, int) else names.setdefault(str(size), free_size(name, axis))
        for axis, size in enumerate(value.shape)
    ]
    return stated_spec(name, str(value.dtype).removeprefix("torch."), sizes, None)
