"""Writes the nets as the raw exporters write them, and their bounds.

    python -m benchmarks.nets.write build/bench [NAME...] [--batch N]

For every net NAME.onnx, from ``torch.onnx.export`` or Keras' ``model.export`` as they come, with a
fixed batch; and NAME.relu.onnx, the same net with ReLU in place of every PReLU, which is what its
PReLU could cost at the least.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from benchmarks.nets.build import build, sample, with_relu
from benchmarks.nets.catalog import BY_NAME, NETS, Net
from prelu_tools.backends.quiet import quiet


def write(net: Net, folder: Path, batch: int = 1) -> tuple[Path, Path]:
    """Write the net and its bound into ``folder``, and return the two paths."""
    paths = folder / f"{net.name}.onnx", folder / f"{net.name}.relu.onnx"
    if net.name == "digits":
        for activation, path in zip(("prelu", "relu"), paths, strict=True):
            write_keras(activation, (batch, *net.shape), path)
        return paths
    module = build(net.name)
    write_torch(module, (batch, *net.shape), paths[0])
    write_torch(with_relu(module), (batch, *net.shape), paths[1])
    return paths


def write_torch(module: nn.Module, shape: Sequence[int], path: Path) -> None:
    """Write what ``torch.onnx.export`` makes of the module, weights inside the file."""
    example = torch.zeros(*shape)
    with quiet(show=False):
        torch.onnx.export(module, (example,), str(path), external_data=False, verbose=False)


def write_keras(activation: str, shape: Sequence[int], path: Path) -> None:
    """Write what ``model.export(format="onnx")`` makes of Keras' ConvNet."""
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    with quiet(show=False):
        import keras

        signature = [keras.InputSpec(shape=tuple(shape), dtype="float32")]
        model = sample("keras_digits").convnet(activation=activation)
        model.export(str(path), format="onnx", input_signature=signature, verbose=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BY_NAME]:
        parser.error(f"no such net: {', '.join(unknown)}; expected one of {', '.join(BY_NAME)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    for net in NETS:
        if not options.names or net.name in options.names:
            for path in write(net, options.folder, options.batch):
                print(f"{path}  {path.stat().st_size / 2**20:.1f} MB", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
