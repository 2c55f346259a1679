"""Torch nets for tests: a file of a few lines, exported by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from exporting import slopes_in
from running import Outcome, cli

_HEAD = """\
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, parametrize


def slopes(*values):
    return nn.Parameter(torch.tensor(values))


def prelu(*values):
    made = nn.PReLU(len(values))
    made.weight = slopes(*values)
    return made
"""


@dataclass(frozen=True)
class Exported:
    """What export wrote."""

    graph: onnx.GraphProto
    """The graph."""
    opset: int
    """Its opset."""
    text: str
    """What was said, with every run of white space as one blank."""

    @property
    def operators(self) -> list[str]:
        """Its operators in order."""
        return [node.op_type for node in self.graph.node]

    @property
    def slopes(self) -> dict[str, Any]:
        """The slopes of each PRelu node by its name."""
        return slopes_in(self.graph)

    @property
    def inputs(self) -> dict[str, list[int | str]]:
        """Its inputs and their sizes."""
        return {
            value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in self.graph.input
        }

    @property
    def outputs(self) -> list[str]:
        """The names of its outputs."""
        return [value.name for value in self.graph.output]


def write_nets(path: Path, code: str) -> Path:
    """Write a file of nets."""
    path.write_text(_HEAD + code)
    return path


def export(source: str, *options: str) -> Exported:
    """Export and verify a net, which has to work."""
    outcome = try_export(source, *options)
    assert outcome.code == 0, outcome.words
    model = onnx.load(_target(source))
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    return Exported(model.graph, opset, outcome.words)


def try_export(source: str, *options: str) -> Outcome:
    """Export and verify a net, whatever comes of it."""
    return cli("export", source, "-o", _target(source), "--force", *options)


def _target(source: str) -> Path:
    return Path(source.partition(".py:")[0]).with_suffix(".onnx")
