"""One model through one route; a process of its own for each, so that its memory is its own.

    python -m benchmarks.exporters.convert ROUTE SOURCE OUTPUT

The routes are the raw exporters, called as their documentation shows, and ``outputs``, which runs
the model in its framework and saves what it makes of a seeded input, with the names of all its
parameters.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.exporters.models import MODELS, Model
from benchmarks.nets.inputs import Floats, natural
from prelu_tools.backends.source_spec import build_object, parse_source_spec


def inputs(model: Model) -> Floats:
    """Draw what the model is compared on."""
    if len(model.shape) > 2:
        return natural(model.shape, seed=5)
    return np.random.default_rng(5).normal(size=model.shape).astype(np.float32)


def torch_export(module: Any, model: Model, path: Path) -> None:
    """PyTorch's exporter."""
    import torch

    torch.onnx.export(module.eval(), (torch.zeros(*model.shape),), str(path), verbose=False)


def torch_legacy(module: Any, model: Model, path: Path) -> None:
    """PyTorch's exporter before 2.9, by tracing."""
    import torch

    torch.onnx.export(module.eval(), (torch.zeros(*model.shape),), str(path), dynamo=False)


def keras_export(net: Any, model: Model, path: Path) -> None:
    """Keras' own method, which wants the model to have been called."""
    net(np.zeros(model.shape, np.float32))
    net.export(str(path), format="onnx", verbose=False)


def tf2onnx(net: Any, model: Model, path: Path) -> None:
    """tf2onnx by itself, from a function, since it does not take models of Keras 3."""
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec(net.inputs[0].shape, tf.float32, name="x")]
    function = tf.function(lambda x: net(x, training=False), input_signature=signature)
    tf2onnx.convert.from_function(function, signature, output_path=str(path))


def outputs(net: Any, model: Model, path: Path) -> None:
    """Save what the framework computes, and what the parameters are called."""
    x = inputs(model)
    if model.framework == "keras":
        found = net(x, training=False)
        paths = [variable.path for variable in net.variables]
        # A Sequential puts its own name before all of them; either will do.
        names = paths + [path.removeprefix(f"{net.name}/") for path in paths]
    else:
        import torch

        with torch.no_grad():
            found = net.eval()(torch.from_numpy(x))
        names = [name for name, _ in net.named_parameters()]
    arrays = found if isinstance(found, (tuple, list)) else [found]
    np.savez(path, *[np.asarray(array) for array in arrays])
    path.with_suffix(".json").write_text(json.dumps(names))


ROUTES: dict[str, Callable[[Any, Model, Path], None]] = {
    "torch.onnx.export": torch_export,
    "torch.onnx.export, legacy": torch_legacy,
    "keras export": keras_export,
    "tf2onnx": tf2onnx,
    "outputs": outputs,
}


def main(arguments: Sequence[str]) -> int:
    """Convert."""
    route, source, output = arguments
    model = next(model for model in MODELS if model.source == source)
    made: Any = build_object(parse_source_spec(source))
    ROUTES[route](made() if isinstance(made, type) else made, model, Path(output))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
