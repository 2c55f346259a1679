"""A result of every kind, and of awkward sizes, each of which makes a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from made_checks import passing
from made_results import compared, examined, exported, layer, model, optimized, usual, verified

from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.prelu.statistics import slope_health, slope_statistics
from prelu_tools.core.process.timing import Ratio
from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.core.results.inspection import Finding, InspectResult, LayerUsage
from prelu_tools.core.results.quantization import (
    QuantizedLayer,
    QuantizedOutput,
    QuantizedTimes,
    QuantizeLimits,
    QuantizeResult,
)
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.series import LayerPoint, LayerSeries, SeriesPoint, SeriesResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.json import one_line

LONG = "backbone.stages.3.blocks.{}.residual_function.activation_after_the_convolution"


def pages() -> Mapping[str, Result]:
    """The results by name."""
    return {
        "inspect": usual(),
        "inspect-deep": deep(),
        "inspect-empty": model(findings=[Finding("no_prelu", "warning", "no PReLU was found")]),
        "compare": compared(),
        "series": series(),
        "verify": verified(),
        "verify-passed": passed(),
        "verify-long": long_names(),
        "verify-two": two(),
        "export": exported(verified()),
        "optimize": optimized(),
        "quantize": quantized(),
        "doctor": examined(),
        "checks": many("verify"),
        "batch": many("inspect"),
    }


def deep() -> InspectResult:
    """Forty layers of every sharing, with a finding for most of them."""
    random = np.random.default_rng(0)
    layers = []
    for number in range(40):
        name = LONG.format(number)
        size = (1, 16, 256, 3000)[number % 4]
        slopes = random.normal(0.25, 0.3 + number / 80, size)
        usage = LayerUsage(np.clip(random.random(size), 0, 1), 0.1)
        finding = Finding("sign", "warning", f"a third of its slopes are below {number}", name)
        layers.append(layer(name, slopes, usage=usage, findings=[finding] if number % 3 else []))
    return model(*layers, path="a/rather/long/way/to/the/model/" * 3 + "net.onnx")


def series() -> SeriesResult:
    """Six layers over twenty points, one of which only later ones have."""
    random = np.random.default_rng(1)
    layers = []
    for number in range(6):
        track, points = SlopeTrack(), []
        start = random.normal(0.25, 0.05, 8 * (number + 1))
        for step in range(20):
            slopes = start + 0.02 * number * step * np.sign(start - 0.25)
            known = LayerPoint(
                slopes, slope_statistics(slopes), slope_health(slopes), track.add(slopes)
            )
            points.append(None if number == 5 and step < 8 else known)
        layers.append(LayerSeries(LONG.format(number), None, "PReLU", tuple(points), ()))
    places = tuple(SeriesPoint(f"step {10 * n}", "slopes.jsonl", 10 * n) for n in range(20))
    return SeriesResult("slopes.jsonl", places, tuple(layers), ())


def long_names() -> Result:
    """A check of twelve layers with long names, of which half failed."""
    (report,) = verified().candidates
    layers = [
        dataclasses.replace(
            report.layers[number % 2], name=LONG.format(number), node=f"/{LONG.format(number)}"
        )
        for number in range(12)
    ]
    reasons = [f"{one.name}: {one.difference}; node {one.node}" for one in layers if one.difference]
    changed = dataclasses.replace(report, layers=tuple(layers), reasons=tuple(reasons))
    every = tuple(f"net.onnx: {reason}" for reason in reasons)
    return dataclasses.replace(verified(), candidates=(changed,), reasons=every)


def two() -> Result:
    """Two candidates, of which one passed."""
    (report,) = verified().candidates
    good = dataclasses.replace(
        report, model="other.onnx", verdict="pass", layers=report.layers[:1], reasons=(), special=()
    )
    return dataclasses.replace(verified(), candidates=(report, good))


def passed() -> Result:
    """A check that passed, with a warning; the output's values have limits of their own."""
    (report,) = passing().candidates
    outputs = tuple(
        dataclasses.replace(report.outputs[0], name=f"output_{number}", worst_of_rounding=multiple)
        for number, multiple in enumerate((0.0, 2.0, 15.9))
    )
    notes = (Reason("all 512 slopes of nets.py:Net have their initial value", "slopes_initial"),)
    changed = dataclasses.replace(report, outputs=outputs)
    return passing(candidates=(changed,), notes=notes)


def quantized() -> QuantizeResult:
    """A model in int8, one layer of which stayed in floating point."""
    sizes = (8, 32, 46, 46)
    layers = (
        QuantizedLayer(
            *("stem.act", sizes, 32, "int_split_conv", "timing", 0.0051, 7.5e-9),
            *(33.6, 33.5, 34.0, 0.98, (3,)),
        ),
        QuantizedLayer(
            *("head.act", None, 8, "float", "cost model", None, None), *(40.0, 39.5, 40.7, 0.25)
        ),
    )
    ratio = Ratio(0.29, 0.28, 0.3, 68)
    return QuantizeResult(
        source="net.onnx",
        path="int8.onnx",
        n_bytes=419_365,
        verdict="pass",
        reasons=(),
        layers=layers,
        outputs=(QuantizedOutput("y", 23.2, 24.4, 23.9, 0.9375, 1.0),),
        times=QuantizedTimes(
            2.8e-3, 2.6e-3, 0.75e-3, ratio, ratio, 1, (("x", sizes),), "1.32", "A"
        ),
        metric=None,
        limits=QuantizeLimits(10.0, 1.0),
        rows=(48, 16),
        options={},
        verification=passing(),
        notes=("left in floating point, because its inputs are not quantized: head.act",),
        seconds=15.7,
    )


def many(command: str) -> BatchResult:
    """Models of which one is good, one has warnings, one failed and one has no result."""
    results = [verified(), verified()] if command == "verify" else [usual(), model(layer("a", 0.5))]
    statuses = ("fail", "pass") if command == "verify" else ("ok", "ok")
    entries = [
        BatchEntry(
            *(f"folder/{LONG.format(number)}.onnx", "net.onnx", status),
            text=one_line(result, Style()),
            reasons=("act2: channels 3 and 7 swapped",) if status == "fail" else (),
            candidates=("net.onnx", "folder/other.onnx"),
        )
        for number, (result, status) in enumerate(zip(results, statuses, strict=True))
    ]
    lost = BatchEntry("lost", "gone.onnx", "error", reasons=("gone.onnx: no such file",))
    return BatchResult(command, (*entries, lost), path="models.csv")  # type: ignore[arg-type]
