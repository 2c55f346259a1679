"""Whole nets on every runtime: the table of tested nets in docs/runtimes.md."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.nets.build import build, sample
from benchmarks.nets.write import write_torch
from prelu_tools.api import export, verify
from prelu_tools.backends.quiet import quiet
from prelu_tools.backends.runtimes.onnxruntime_web import installed
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.verification.candidate import CandidateReport

OPTIONS: Final[dict[str, Any]] = {"samples": 2, "search_seconds": 0.0, "power": False}


@dataclass(frozen=True)
class Net:
    """One net of the table."""

    name: str
    """Of `benchmarks.nets.build`, or `elementwise`."""
    title: str
    """As the table calls it."""
    shape: tuple[int, ...]
    """Of its input, without the batch, as PyTorch or Keras has it."""
    keras: str | None = None
    """The same net in `samples/mtcnn_keras.py`, of which its `.tflite` is made."""


NETS: Final = (
    Net("pnet", "MTCNN's PNet, 48x64", (3, 48, 64), "PNet"),
    Net("rnet", "MTCNN's RNet", (3, 24, 24), "RNet"),
    Net("onet", "MTCNN's ONet", (3, 48, 48), "ONet"),
    Net("fsrcnn", "FSRCNN, 24x32", (1, 24, 32)),
    Net("srvgg", "SRVGG, 24x24", (3, 24, 24)),
    Net("mobilefacenet", "MobileFaceNet", (3, 112, 112)),
    Net("convtasnet", "Conv-TasNet, 50 steps", (512, 50)),
    Net("elementwise", "a Keras net with element-wise slopes", (12, 12, 3)),
)


def runtimes() -> tuple[str, ...]:
    """Those that take an ONNX file and are installed."""
    try:
        installed("to measure it")
        return ("ncnn", "openvino", "mnn", "onnxruntime-web")
    except PReLUToolsError:
        return ("ncnn", "openvino", "mnn")


def save(net: Net, folder: Path) -> Path:
    """Write a net of PyTorch as torch's own exporter does, or one of Keras as `export` does."""
    path = folder / f"{net.name}.onnx"
    if net.name == "elementwise":
        model = keras_model(net)
        model.save(folder / "elementwise.keras")
        export(folder / "elementwise.keras", path, quick=True)
        return path
    write_torch(build(net.name), (1, *net.shape), path)
    return path


def keras_model(net: Net) -> Any:
    """A net as a Keras model: of MTCNN, or one with Keras' default, a slope for each element."""
    import keras

    if net.keras:
        return getattr(sample("mtcnn_keras"), net.keras)()

    keras.utils.set_random_seed(0)
    start = keras.initializers.RandomUniform(-0.5, 1)
    layers: list[Any] = [keras.Input((12, 12, 3), name="x")]
    for letter, channels in (("a", 5), ("b", 4), ("c", 3)):
        layers.append(keras.layers.Conv2D(channels, 3, padding="same"))
        layers.append(keras.layers.PReLU(start, name=f"act_{letter}"))
    return keras.Sequential([*layers, keras.layers.Conv2D(2, 1, name="y")])


def save_lite(model: Any, path: Path) -> Path:
    """Write a Keras model as TensorFlow's converter does."""
    import tensorflow as tf

    with quiet(show=False):
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


def answers(net: Net, names: Sequence[str], folder: Path) -> Iterator[tuple[str, CandidateReport]]:
    """What verify says of a net on onnxruntime (`cpu`) and the other runtimes."""
    path = save(net, folder)
    source = folder / "elementwise.keras" if net.name == "elementwise" else path
    for report in verify(source, path, runtime=names, **OPTIONS).candidates:
        yield report.provider.requested if report.provider else "", report
    if net.keras or net.name == "elementwise":
        model = keras_model(net)
        lite = save_lite(model, folder / f"{net.name}.tflite")
        reports = verify(model, lite, **OPTIONS, **sizes(net, model)).candidates
        yield "litert", max(reports, key=lambda one: (one.verdict != "pass", _figure(one)))


def sizes(net: Net, model: Any) -> dict[str, Any]:
    """The option that says at which size a Keras net is checked, where it takes any."""
    if None not in model.inputs[0].shape[1:]:
        return {}
    return {"input": {model.inputs[0].name: ("batch", *net.shape[1:], net.shape[0])}}


def _figure(report: CandidateReport) -> float:
    return max((output.worst_of_rounding or 0.0 for output in report.outputs), default=0.0)


def measured() -> str:
    """The table, in Markdown."""
    names = runtimes()
    columns = {"cpu": "onnxruntime", **dict(zip(names, names, strict=True)), "litert": "litert"}
    lines = [
        f"| net | PReLU layers | {' | '.join(columns.values())} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for net in NETS:
        with tempfile.TemporaryDirectory() as folder:
            found = dict(answers(net, names, Path(folder)))
        n_layers = len(found["cpu"].layers)
        cells = [_cell(found.get(name)) for name in columns]
        lines.append(f"| {net.title} | {n_layers} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def _cell(report: CandidateReport | None) -> str:
    if report is None:
        return "-"
    if report.verdict != "pass":
        return f"**{report.verdict}**"
    return f"pass, {_figure(report):.2g}"
