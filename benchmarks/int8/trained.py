"""Trained nets in int8: the accuracy of a net of digits, and MTCNN's answers on photographs.

    python -m benchmarks.int8.trained build/int8 [--page docs/howto/int8.md]

The digits are scikit-learn's (1,797 pictures of 8x8, UCI ML hand-written digits); the net is
trained here, with a fixed seed, on two thirds of them. MTCNN has the weights of its authors; its
pictures are crops of the two photographs that scikit-learn brings, at several sizes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images

from benchmarks.int8.nets import BY_NAME, write
from benchmarks.pages import machine, put
from prelu_tools import QuantizeResult, quantize
from prelu_tools.backends.onnxruntime.quantizing import quantized_statically, quantizer_options
from prelu_tools.backends.onnxruntime.running.racing import open_run
from prelu_tools.commands.quantize.quantizing import float_model
from prelu_tools.graph.io.reader import OnnxModel

Array = NDArray[np.float32]
CROPS = {"pnet": 12, "rnet": 400, "onet": 200}


def digits_net(path: Path) -> tuple[Array, Array, NDArray[np.int64]]:
    """Train a net of digits and write it; training pictures, and test pictures with labels."""
    import torch
    from torch import nn

    from benchmarks.nets.write import write_torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    found = load_digits()
    images = (found.images[:, None] / 16.0).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:1200], order[1200:]
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.PReLU(16), nn.Conv2d(16, 32, 3, padding=1),
        nn.PReLU(32), nn.MaxPool2d(2), nn.Conv2d(32, 32, 3), nn.PReLU(32), nn.Flatten(),
        nn.Linear(128, 32), nn.PReLU(32), nn.Linear(32, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    x, labels = torch.from_numpy(images[train]), torch.from_numpy(found.target[train])
    for _ in range(30):
        for part in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[part]), labels[part]).backward()
            optimizer.step()
    write_torch(net.eval(), (1, 1, 8, 8), path)
    return images[train], images[test], found.target[test]


def photographs(name: str, seed: int = 0) -> Array:
    """Crops of photographs as a net of MTCNN is fed with them."""
    import torch

    generator = np.random.default_rng(seed)
    pictures = load_sample_images().images
    _, high, wide = BY_NAME[name].shape
    rows = []
    for number in range(CROPS[name]):
        picture = pictures[number % len(pictures)]
        scale = generator.uniform(1.0, min(picture.shape[0] / high, picture.shape[1] / wide))
        size = int(high * scale), int(wide * scale)
        top, left = (generator.integers(0, n - s + 1) for n, s in
                     zip(picture.shape, size, strict=False))  # fmt: skip
        crop = picture[top : top + size[0], left : left + size[1]].astype(np.float32)
        x = torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1)))[None]
        small = torch.nn.functional.interpolate(x, (high, wide), mode="area")
        rows.append((small.numpy() - 127.5) / 128)
    return np.concatenate(rows)


def run(proto: onnx.ModelProto, rows: Array) -> list[Array]:
    """The outputs of a model on rows, one at a time."""
    name = proto.graph.input[0].name
    session = open_run(OnnxModel(proto, None), 1, "a net")
    results = [session({name: row[None]}) for row in rows]
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def three(path: Path, rows: Array) -> tuple[Mapping[str, onnx.ModelProto], QuantizeResult]:
    """A net in floating point, plainly quantized, and by `quantize`; calibrated on the rows."""
    name = onnx.load(path).graph.input[0].name
    output = path.with_suffix(".int8.onnx")
    result = quantize(path, output, calibration={name: rows}, force=True, tune=False)
    model = float_model(OnnxModel(onnx.load(path), path))
    feeds = [{name: row[None]} for row in rows]
    plain = quantized_statically(model.proto, feeds, quantizer_options({}))
    found = {"float": onnx.load(path), "plain": plain}
    if result.n_bytes is not None:
        found["int8"] = onnx.load(output)
    return found, result


def digits(folder: Path) -> Iterator[str]:
    """A row of the table: the accuracy on digits that no model has seen."""
    path = folder / "digits.onnx"
    train, test, labels = digits_net(path)
    models, result = three(path, train[:200])
    scores = {}
    for key, proto in models.items():
        classes = run(proto, test)[0].argmax(axis=1)
        scores[key] = f"{100 * float((classes == labels).mean()):.2f}%"
    output = result.outputs[0]
    yield (
        f"| digits | {len(test)} images | accuracy ({scores['float']} in floating point) | "
        f"{scores['plain']} | {scores.get('int8', '-')} | {output.snr_plain:.1f} dB | "
        f"{output.snr:.1f} dB | {result.verdict} |"
    )


def mtcnn(name: str, folder: Path) -> Iterator[str]:
    """A row: how often it decides as in floating point, and how far its outputs are off."""
    path = folder / f"{name}.onnx"
    if not path.exists():
        write(BY_NAME[name], path)
    rows = photographs(name)
    half = len(rows) // 2
    models, result = three(path, rows[:half])
    expected = run(models["float"], rows[half:])
    scores = [i for i, values in enumerate(expected) if values.shape[1] == 2]
    alike, snr = {}, {}
    for key in list(models)[1:]:
        found = run(models[key], rows[half:])
        ratios = [10 * np.log10((a**2).sum() / ((a - b) ** 2).sum())
                  for a, b in zip(expected, found, strict=True)]  # fmt: skip
        same = [float(((found[i][:, 1] > 0.6) == (expected[i][:, 1] > 0.6)).mean()) for i in scores]
        alike[key] = f"{100 * same[0]:.3f}%"
        snr[key] = f"{', '.join(f'{r:.1f}' for r in ratios)} dB"
    yield (
        f"| {BY_NAME[name].title} | {len(rows) - half} crops | decisions as in floating point | "
        f"{alike['plain']} | {alike.get('int8', '-')} | {snr['plain']} | {snr.get('int8', '-')} | "
        f"{result.verdict} |"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", type=Path, help="a page whose table is to be renewed")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "| net | data | | plain | `quantize` | SNR plain | SNR `quantize` | verdict |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows in (digits(folder), *(mtcnn(name, folder) for name in CROPS)):
        lines += rows
        print(lines[-1], flush=True)
    if options.page is not None:
        put(options.page, "trained", "\n".join([*lines, "", f"{machine()}."]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
