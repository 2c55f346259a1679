"""ONNX nets written as text, and what `verify` says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser
from running import Outcome, cli

SLOPES = np.array([0.25, -0.5, 0.125], np.float32)  # powers of two: products of these are exact
COLUMN = SLOPES.reshape(3, 1, 1)
IMAGE = "float[batch,3,4,5]"


def save(
    path: Path, body: str, inputs: str = f"{IMAGE} x", outputs: str = f"{IMAGE} y", **constants: Any
) -> Path:
    """A model from the text of its nodes; `[name] y = PRelu(x, a)` gives a node a name."""
    text = f"""<ir_version: 8, opset_import: ["": 18]>
        graph ({inputs}) => ({outputs}) {{ {body} }}"""
    proto = parser.parse_model(text)
    for name, values in constants.items():
        array = values if isinstance(values, np.ndarray) else np.asarray(values, np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.save(proto, path)
    return path


def npz(path: Path, **arrays: Any) -> Path:
    """A file of inputs."""
    np.savez(path, **arrays)
    return path


def verify(*arguments: object) -> Outcome:
    """Run `verify` for its JSON document."""
    return cli("verify", *arguments, "--format", "json")


def candidate(found: Outcome) -> Any:
    """What was found of the only candidate."""
    (report,) = found.json["candidates"]
    return report


def verdicts(found: Outcome) -> dict[str, str]:
    """The verdict of each layer of the only candidate."""
    return {layer["name"]: layer["verdict"] for layer in candidate(found)["layers"]}
