"""Does a fault change anything, and would the usual checks see it?

Nothing of prelu-tools takes part: an honest file and a faulty one run in onnxruntime on many
inputs, and their difference is compared, element by element, with how far the honest file itself
is from its source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.honest.numbers import Answer, Array, Feed, run_file, session
from benchmarks.honest.registry import HonestNet

FAULT = 50.0
"""From this multiple of the rounding of its element on, a difference is a fault."""
SUBTLE = 2.0
"""From here on it is a small one, which is counted apart."""


@dataclass(frozen=True)
class Honest:
    """An honest file, what it answers, and how far rounding takes it from its source."""

    known: Sequence[Answer]
    """What the source answers."""
    found: Sequence[Sequence[Array]]
    """What the file answers to the same inputs."""
    rounding: dict[tuple[int, tuple[int, ...]], Array]
    """For each output and its shape what is rounding, element by element."""


def honest_file(path: Path, known: Sequence[Answer]) -> Honest:
    """Run the honest file on all inputs."""
    live = session(path)
    found = [run_file(live, answer.feed) for answer in known]
    rounding: dict[tuple[int, tuple[int, ...]], Array] = {}
    for answer, values in zip(known, found, strict=True):
        for place, (value, expected) in enumerate(zip(values, answer.values, strict=True)):
            if np.issubdtype(value.dtype, np.floating):
                here = np.abs(value.astype(np.float64) - expected)
                here += 4 * np.spacing(np.abs(expected)).astype(np.float64)
                key = (place, value.shape)
                rounding[key] = np.maximum(rounding.get(key, 0.0), here)
    return Honest(known, found, rounding)


def tensors_inside(model: onnx.ModelProto, feed: Feed) -> dict[str, Array]:
    """The values of every tensor for one input, unoptimised."""
    import onnxruntime

    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    names = [value.name for value in wider.graph.output]
    names += [name for node in model.graph.node for name in node.output if name]
    del wider.graph.output[:]
    names = list(dict.fromkeys(names))
    wider.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    live = onnxruntime.InferenceSession(
        wider.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, run_file(live, feed), strict=True))


def change(path: Path, honest: Honest) -> float | None:
    """The largest difference as a multiple of rounding; None where the file runs on no input."""
    try:
        live = session(path)
    except Exception:
        return None
    worst, ran = 0.0, False
    for answer, values in zip(honest.known, honest.found, strict=True):
        try:
            found = run_file(live, answer.feed)
        except Exception:
            worst = float("inf")
            continue
        ran = True
        if [v.shape for v in found] != [v.shape for v in values]:
            return float("inf")
        for place, (left, right) in enumerate(zip(found, values, strict=True)):
            worst = max(worst, _multiple(left, right, honest.rounding.get((place, right.shape))))
    return worst if ran else None


def _multiple(left: Array, right: Array, rounding: Array | None) -> float:
    if rounding is None:
        return float("inf") if float((left != right).mean()) > 0.02 else 0.0
    if (np.isfinite(left) != np.isfinite(right)).any():
        return float("inf")
    with np.errstate(all="ignore"):
        share = np.abs(left.astype(np.float64) - right) / rounding
    return float(np.nanmax(share, initial=0.0))


def allclose_fails(path: Path, answer: Answer) -> bool:
    """`numpy.allclose(rtol=1e-3, atol=1e-5)` on one batch of random inputs, as many people do."""
    try:
        found = run_file(session(path), answer.feed)
        return not all(
            np.allclose(a, b, rtol=1e-3, atol=1e-5)
            for a, b in zip(found, answer.values, strict=True)
        )
    except Exception:
        return True


def polygraphy_feed(honest: HonestNet, seed: int = 1) -> Feed:
    """As Polygraphy 0.53 draws it: floats from U[0, 1), integers 0 and 1, free batch 1.

    Other free dimensions have the example's sizes, where Polygraphy takes 1: most nets do not run
    at 1.
    """
    rng = np.random.default_rng(seed)
    feed = honest.examples(seed, batch=1)
    return {
        name: rng.integers(0, 2, value.shape)
        if np.issubdtype(value.dtype, np.integer)
        else rng.random(value.shape).astype(np.float32)
        for name, value in feed.items()
    }


def polygraphy_fails(path: Path, answer: Answer) -> bool:
    """Polygraphy's default comparison: an element fails beyond both 1e-5 and 1e-5 relative."""
    try:
        found = run_file(session(path), answer.feed)
        return any(_beyond(a, b) for a, b in zip(found, answer.values, strict=True))
    except Exception:
        return True


def _beyond(found: Array, expected: Array) -> bool:
    left, right = found.astype(np.float64), expected.astype(np.float64)
    with np.errstate(all="ignore"):
        absolute = np.abs(left - right)
        relative = absolute / np.abs(right)
    bad: Any = ((absolute > 1e-5) | np.isnan(absolute)) & ((relative > 1e-5) | np.isnan(relative))
    return bool(bad.any())
