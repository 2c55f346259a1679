"""A folder of models, and what `init` makes of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import onnx
from running import Outcome, cli
from tiny_models import save_dense

NETS = """
import torch
from torch import nn


class SmallNet(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(4, width)
        self.act = nn.PReLU(width)

    def forward(self, x, scale=1.0):
        return self.act(self.fc(x)) * scale


class Inherited(SmallNet):
    pass


class Told(SmallNet):
    def example_inputs(self):
        return (torch.zeros(2, 4),)


class Sized(nn.Module):
    def __init__(self, size, *, depth):
        super().__init__()


def made() -> "nn.Module":
    return SmallNet()


class Helper:
    pass
"""


def init(*options: str) -> Outcome:
    """What `init` says, as JSON."""
    return cli("init", "--format", "json", *options)


def again() -> Outcome:
    """The same, after its file was removed."""
    Path("prelu-tools.toml").unlink()
    return init("--force")


def pairs_of(found: Outcome) -> list[tuple[str, tuple[str, ...]]]:
    """The reference and the candidates of each check that it names."""
    return [(one["reference"], tuple(one["candidates"])) for one in found.json["checks"]]


def written_checks() -> list[dict[str, Any]]:
    """The checks that it wrote."""
    checks: list[dict[str, Any]] = tomllib.loads(Path("prelu-tools.toml").read_text())["checks"]
    return checks


def touch(*names: str) -> None:
    """Empty files."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def save_nets(*names: str) -> None:
    """ONNX files, each of a net with one PReLU."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save_dense(Path(name))


def stated(name: str, source: str, sha256: str = "") -> None:
    """An ONNX file that says what it was exported from."""
    save_nets(name)
    model = onnx.load(name)
    model.metadata_props.add(key="prelu_tools.source", value=source)
    if sha256:
        model.metadata_props.add(key="prelu_tools.source_sha256", value=sha256)
    onnx.save(model, name)


def with_options(name: str, source: str, options: object) -> None:
    """The same, with the options that it was exported with."""
    stated(name, source)
    model = onnx.load(name)
    model.metadata_props.add(key="prelu_tools.options", value=json.dumps(options))
    onnx.save(model, name)
