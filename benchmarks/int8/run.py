"""Times and losses in int8: PReLU in integers, plain `quantize_static`, and what ReLU costs.

    python -m benchmarks.int8.run build/int8 [NAME...] [--seconds 6] [--output docs/int8.json]
        [--page docs/howto/int8.md]

Each net is quantized by `prelu-tools quantize`; then the net in floating point, plain
`quantize_static`, the result, and the same net with LeakyRelu and with ReLU in place of PReLU (both
quantized) run in turns, in an order that is drawn again in every round. Medians, one thread.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.int8.nets import BY_NAME, NETS, Int8Net, bound, data, write
from benchmarks.pages import machine, put
from prelu_tools import quantize
from prelu_tools.backends.onnxruntime.quantizing import quantized_statically, quantizer_options
from prelu_tools.backends.onnxruntime.running.racing import open_run, race
from prelu_tools.commands.quantize.quantizing import float_model
from prelu_tools.core.process.timing import ratio_of
from prelu_tools.graph.io.reader import OnnxModel

ROUNDS = range(15, 1000)


def measure(net: Int8Net, folder: Path, seconds: float, tune: bool) -> dict[str, Any]:
    """One row of the table."""
    path = folder / f"{net.name}.onnx"
    if not path.exists():
        write(net, path)
    name = onnx.load(path, load_external_data=False).graph.input[0].name
    rows = data(net)
    output = folder / f"{net.name}.int8.onnx"
    result = quantize(
        path, output, calibration={name: rows}, force=True, verify=False, tune=tune,
        tune_seconds=max(seconds * 1.5, 10.0), max_loss=1.0,
    )  # fmt: skip
    feeds = [{name: row[None]} for row in rows]
    model = float_model(OnnxModel(onnx.load(path), path))
    models = {
        "float": onnx.load(path),
        "plain": quantized_statically(model.proto, feeds, quantizer_options({})),
        "int8": onnx.load(output),
        "leaky": bound(path, feeds, "LeakyRelu"),
        "relu": bound(path, feeds, "Relu"),
    }
    runs = {key: open_run(OnnxModel(m, None), 1, key) for key, m in models.items()}
    times = race(runs, feeds[0], seconds, ROUNDS, 0).seconds
    forms = [layer.form for layer in result.layers]
    return {
        "name": net.name,
        "title": net.title,
        "weights": net.weights,
        "rows": net.rows,
        "ms": {key: 1e3 * float(np.median(each)) for key, each in times.items()},
        "of_plain": ratio_of(times["int8"], times["plain"]).median,
        "of_relu": ratio_of(times["int8"], times["relu"]).median,
        "of_float": ratio_of(times["int8"], times["float"]).median,
        "snr": [output.snr for output in result.outputs],
        "snr_plain": [output.snr_plain for output in result.outputs],
        "forms": {form: forms.count(form) for form in sorted(set(forms))},
        "n_rounds": len(times["int8"]),
    }


def table(found: Sequence[dict[str, Any]], caption: str) -> str:
    """The rows as Markdown."""
    lines = [
        "| net | float32 | plain int8 | `quantize` | vs. plain | LeakyRelu int8 | ReLU int8 | "
        "vs. ReLU | SNR plain | SNR `quantize` |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        ms = row["ms"]
        cells = [
            row["title"], *(_time(ms[key]) for key in ("float", "plain", "int8")),
            f"{row['of_plain']:.2f}", *(_time(ms[key]) for key in ("leaky", "relu")),
            f"{100 * (row['of_relu'] - 1):+.0f}%", _decibels(row["snr_plain"]),
            _decibels(row["snr"]),
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", caption])


def summary(found: Sequence[dict[str, Any]]) -> str:
    """What the rows say of the marks: twice as fast as plain quantization, 30% over ReLU."""
    fast = [row for row in found if row["of_plain"] <= 0.5]
    slower = [f"{row['title']} {row['of_plain']:.2f}" for row in found if row not in fast]
    dear = [f"{row['title']} {100 * (row['of_relu'] - 1):.0f}%" for row in found
            if row["of_relu"] > 1.3]  # fmt: skip
    pairs = [(row["title"], ours - plain) for row in found
             for ours, plain in zip(row["snr"], row["snr_plain"], strict=True)
             if ours is not None and plain is not None]  # fmt: skip
    lost = [f"{title} {-gain:.1f} dB" for title, gain in pairs if gain < 0]
    words = [
        f"{len(fast)} of {len(found)} nets take at most half the time of plain quantization"
        + (f". The others: {', '.join(slower)}" if slower else ""),
        f"{len(found) - len(dear)} take at most 30% longer than ReLU in int8"
        + (f". The others: {', '.join(dear)}" if dear else ""),
        f"outputs that lose SNR compared with plain quantization: {', '.join(lost) or 'none'}",
    ]
    return "\n".join(f"- {line[0].upper()}{line[1:]}." for line in words)


def _time(milliseconds: float) -> str:
    digits = max(0, 2 - math.floor(math.log10(milliseconds)))
    return f"{milliseconds:.{digits}f} ms"


def _decibels(values: Sequence[float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:.1f}" for value in values) + " dB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BY_NAME)}")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each race")
    parser.add_argument("--output", type=Path, help="a JSON file to write")
    parser.add_argument("--page", type=Path, help="a page whose table is to be renewed")
    parser.add_argument("--no-tune", action="store_true", help="take the most exact forms")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    found = []
    for net in NETS:
        if options.names and net.name not in options.names:
            continue
        found.append(measure(net, options.folder, options.seconds, not options.no_tune))
        print(json.dumps(found[-1]), flush=True)
    caption = (
        f"{machine()}, one thread on a machine with {os.cpu_count()} cores, a batch of one; "
        "medians of interleaved rounds, in CPU time of the thread. SNR compared with floating "
        "point on held-out images, one figure for each output. Weights of MTCNN's nets are "
        "trained; those of the others are drawn with the statistics of trained ones "
        "(`benchmarks/nets/start.py`). Calibrated on synthetic images with the "
        "spectrum of natural ones."
    )
    text = f"{table(found, caption)}\n\n{summary(found)}"
    print(text)
    if options.page is not None:
        put(options.page, "int8", text)
    if options.output is not None:
        text = json.dumps({"nets": found, "caption": caption}, indent=2)
        with tempfile.NamedTemporaryFile("w", dir=options.output.parent, delete=False) as file:
            file.write(f"{text}\n")
        Path(file.name).replace(options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
