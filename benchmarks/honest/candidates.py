"""The honest ONNX files of a net: by this tool, by the framework's own exporters, and optimised."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.honest.registry import HonestNet

OPSETS = (18, 17, 20, 13, 21, 22)
"""Of the exports of this tool; the seeds take turns. The first one is the default."""


def quietly(action: Callable[[], Any]) -> Any:
    """Run something that talks, without its messages."""
    from prelu_tools.backends.quiet import quiet

    with quiet(show=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            return action()
        finally:
            logging.disable(level)


def raw_exports(
    honest: HonestNet, model: Any, folder: Path, seed: int
) -> dict[str, Callable[[], Path]]:
    """What writes a file with the framework's own exporters, by its name."""
    if honest.framework == "torch":
        return {
            "torch dynamo": lambda: _dynamo(honest, model, folder / "dynamo.onnx", seed),
            "torch legacy": lambda: _legacy(honest, model, folder / "legacy.onnx", seed),
        }
    return {
        "keras export": lambda: _keras(model, folder / "keras.onnx"),
        "tf2onnx": lambda: _tf2onnx(honest, model, folder / "tf2onnx.onnx", seed),
    }


def optimised(path: Path, folder: Path, seed: int) -> dict[str, Callable[[], Path]]:
    """What rewrites an export with others' optimizers, by its name."""
    level = ("extended", "basic", "all")[seed % 3]
    return {
        f"onnxruntime {level}": lambda: _onnxruntime(path, folder / "ort.onnx", level),
        "onnxsim": lambda: _onnxsim(path, folder / "sim.onnx"),
        "onnxslim": lambda: _onnxslim(path, folder / "slim.onnx"),
    }


def _tensors(honest: HonestNet, seed: int) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(value) for name, value in honest.examples(seed).items()}


def _dynamo(honest: HonestNet, model: Any, path: Path, seed: int) -> Path:
    import torch

    tensors = _tensors(honest, seed)
    names = {size for t in honest.inputs.values() for size in t.shape if isinstance(size, str)}
    dims = dict.fromkeys(names, torch.export.Dim.DYNAMIC)
    shapes = {
        name: {axis: dims[size] for axis, size in enumerate(t.shape) if isinstance(size, str)}
        for name, t in honest.inputs.items()
    }
    torch.onnx.export(
        model, (), path, kwargs=tensors, dynamo=True, dynamic_shapes=shapes, verbose=False,
        external_data=False, opset_version=(18, 20, 21)[seed % 3],
    )  # fmt: skip
    return path


def _legacy(honest: HonestNet, model: Any, path: Path, seed: int) -> Path:
    import torch

    tensors = _tensors(honest, seed)
    axes = {
        name: {axis: size for axis, size in enumerate(t.shape) if isinstance(size, str)}
        for name, t in honest.inputs.items()
    }
    torch.onnx.export(
        model, tuple(tensors.values()), path, dynamo=False, input_names=list(tensors),
        dynamic_axes=axes, opset_version=(17, 13, 16)[seed % 3],
    )  # fmt: skip
    return path


def _keras(model: Any, path: Path) -> Path:
    model.export(str(path), format="onnx", verbose=False)
    return path


def _tf2onnx(honest: HonestNet, model: Any, path: Path, seed: int) -> Path:
    import tensorflow as tf
    import tf2onnx

    signature = [
        tf.TensorSpec(spec.shape, spec.dtype, name=spec.name)
        for spec in model.inputs
    ]  # fmt: skip

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def run(*args: Any) -> Any:
        return model(args[0] if len(args) == 1 else list(args), training=False)

    tf2onnx.convert.from_function(
        run, signature, opset=(17, 15, 18)[seed % 3], output_path=str(path)
    )
    return path


def _onnxruntime(source: Path, path: Path, level: str) -> Path:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}"
    )
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return path


def _onnxsim(source: Path, path: Path) -> Path:
    import onnx
    import onnxsim

    model, _ = onnxsim.simplify(onnx.load(source))
    onnx.save(model, path)
    return path


def _onnxslim(source: Path, path: Path) -> Path:
    import onnx
    import onnxslim

    model = onnxslim.slim(str(source))
    onnx.save(model, path)
    return path


def versions(names: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of what takes part."""
    from importlib import metadata

    found = {}
    for name in names or ("onnx", "onnxruntime", "torch", "onnxscript", "keras", "tensorflow",
                          "tf2onnx", "onnxsim", "onnxslim", "numpy"):  # fmt: skip
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
