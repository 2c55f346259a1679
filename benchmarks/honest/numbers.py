"""What a candidate answers beside its source, by onnxruntime and the framework alone.

Nothing of prelu-tools takes part: this says which file is really wrong when a verdict says so, and
which really is when a verdict does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.honest.registry import HonestNet
from benchmarks.honest.training import call, leaves

Array = np.ndarray[Any, Any]
Feed = dict[str, Array]

GROSS = 1e-3
"""An error of this share of an output's largest value is not a rounding, whatever the net."""
MULTIPLE = 100.0
"""And it is this many times the framework's own rounding, where float64 is available."""


@dataclass(frozen=True)
class Answer:
    """What the source answers to one input."""

    feed: Feed
    """The input."""
    values: tuple[Array, ...]
    """Its outputs in float32."""
    rounding: tuple[float, ...]
    """For each output the largest difference from float64; 0 where that is not known."""


@dataclass(frozen=True)
class Difference:
    """How far a candidate is from its source."""

    error: float
    """The largest share of an output's largest value."""
    wrong: str | None
    """Why it is wrong beyond doubt; None where it is not."""


def feeds(honest: HonestNet, count: int) -> Iterator[Feed]:
    """Inputs in the net's domain: of its example's sizes, and of others."""
    free = {
        size
        for tensor in honest.inputs.values()
        for size in tensor.shape
        if isinstance(size, str) and size != "batch"
    }
    sizes = itertools.cycle(
        [{"batch": 1}, {"batch": 3}]
        + [{"batch": 2, name: honest.sizes[name] * 2} for name in sorted(free)]
        + [{"batch": 2, **{name: honest.sizes[name] + 1 for name in free}}]
    )
    for number, chosen in zip(range(count), sizes, strict=False):
        yield honest.examples(10_000 + number, **chosen)


def answers(honest: HonestNet, model: Any, count: int = 8) -> list[Answer]:
    """What the source answers; inputs of sizes that it refuses are left out."""
    given = list(feeds(honest, count))
    if honest.framework == "torch":  # elsewhere nothing says what rounding does to such inputs
        given.append(_flat_rows(honest))
    return answers_to(honest, model, given)


def _flat_rows(honest: HonestNet) -> Feed:
    """Inputs with a row of zeros and a row of one value: silence, a picture of one colour."""
    feed = {name: value.copy() for name, value in honest.examples(10_000, batch=3).items()}
    for name, tensor in honest.inputs.items():
        if tensor.kind == "normal" and "batch" in tensor.shape and feed[name].ndim > 1:
            rows = np.moveaxis(feed[name], tensor.shape.index("batch"), 0)
            rows[0], rows[1] = 0, 0.5
    return feed


def answers_to(honest: HonestNet, model: Any, given: Sequence[Feed]) -> list[Answer]:
    """The same for these inputs."""
    run = _torch(model) if honest.framework == "torch" else _keras(model)
    found = []
    for feed in given:
        try:
            values, rounding = run(feed)
        except Exception:
            continue
        found.append(Answer(feed, tuple(values), tuple(rounding)))
    return found


def _torch(model: Any) -> Callable[[Feed], tuple[list[Array], list[float]]]:
    import copy

    import torch

    try:
        wide = copy.deepcopy(model).double()
    except Exception:
        wide = None

    def run(feed: Feed) -> tuple[list[Array], list[float]]:
        tensors = {name: torch.from_numpy(value) for name, value in feed.items()}
        with torch.no_grad():
            values = [leaf.numpy() for leaf in leaves(model(**tensors))]
            rounding = [0.0] * len(values)
            if wide is not None:
                doubled = {
                    n: t.double() if t.is_floating_point() else t for n, t in tensors.items()
                }
                try:
                    exact = [leaf.numpy() for leaf in leaves(wide(**doubled))]
                    rounding = [_largest(a, b) for a, b in zip(values, exact, strict=True)]
                except Exception:
                    pass
        return values, rounding

    return run


def _keras(model: Any) -> Callable[[Feed], tuple[list[Array], list[float]]]:
    def run(feed: Feed) -> tuple[list[Array], list[float]]:
        values = [np.asarray(leaf) for leaf in leaves(call(model, feed))]
        return values, [0.0] * len(values)

    return run


def _largest(left: Array, right: Array) -> float:
    with np.errstate(all="ignore"):
        difference = np.abs(left.astype(np.float64) - right.astype(np.float64))
    return float(np.nanmax(difference, initial=0.0))


def session(path: Path) -> Any:
    """A quiet onnxruntime session on one thread, without optimizations of its own."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run_file(live: Any, feed: Mapping[str, Array]) -> list[Array]:
    """The outputs of a session; inputs are found by name, else by their order."""
    names = [node.name for node in live.get_inputs()]
    left = dict(feed)
    if not set(names) <= set(left):
        left = dict(zip(names, left.values(), strict=True))
    types = {node.name: node.type for node in live.get_inputs()}
    cast = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
    left = {name: left[name].astype(cast.get(types[name], left[name].dtype)) for name in names}
    return [np.asarray(value) for value in live.run(None, left)]


def compare(path: Path, known: list[Answer], names: Sequence[str] = ()) -> Difference:
    """A candidate beside the answers of its source, whose outputs have these names in a dict."""
    sorted_names = [names.index(name) for name in sorted(names)]
    try:
        live = session(path)
    except Exception as error:
        return Difference(float("nan"), f"does not load: {_short(error)}")
    worst = 0.0
    for answer in known:
        sizes = {name: value.shape for name, value in answer.feed.items()}
        try:
            found = run_file(live, answer.feed)
        except Exception as error:
            return Difference(float("nan"), f"does not run at {sizes}: {_short(error)}")
        found = _in_order(found, answer.values, sorted_names)
        if len(found) != len(answer.values):
            return Difference(float("nan"), f"{len(found)} outputs, not {len(answer.values)}")
        for place, (value, expected) in enumerate(zip(found, answer.values, strict=True)):
            if value.shape != expected.shape:
                return Difference(
                    float("nan"),
                    f"output {place} is {value.shape} at {sizes}, not {expected.shape}",
                )
            share, wrong = _judge(value, expected, answer.rounding[place])
            worst = max(worst, share)
            if wrong:
                return Difference(worst, f"output {place} {_in_words(share)}")
    return Difference(worst, None)


def _in_order(found: list[Array], expected: Sequence[Array], by_name: Sequence[int]) -> list[Array]:
    """TensorFlow sorts the keys of a dict: the outputs in the source's order, where they fit so."""
    shapes = [value.shape for value in expected]
    if len(by_name) != len(found) or [value.shape for value in found] == shapes:
        return found
    turned: list[Array] = list(found)
    for place, source in enumerate(by_name):
        turned[source] = found[place]
    return turned if [value.shape for value in turned] == shapes else found


def names_of(honest: HonestNet, model: Any) -> list[str]:
    """The keys of a dict of outputs; nothing where it is none."""
    feed = honest.examples(0)
    if honest.framework == "torch":
        import torch

        with torch.no_grad():
            found = model(**{name: torch.from_numpy(value) for name, value in feed.items()})
    else:
        found = call(model, feed)
    return list(found) if isinstance(found, dict) else []


def _judge(value: Array, expected: Array, rounding: float) -> tuple[float, bool]:
    if not np.issubdtype(expected.dtype, np.floating):
        return (float((value != expected).mean()), float((value != expected).mean()) > 0.02)
    if (np.isnan(value) != np.isnan(expected)).any():
        return float("inf"), True
    scale = max(float(np.nanmax(np.abs(expected), initial=0.0)), 1e-30)
    error = _largest(value, expected)
    return error / scale, error > GROSS * scale and error > MULTIPLE * rounding


def _in_words(share: float) -> str:
    if np.isinf(share):
        return "is not finite in the same places as the framework's"
    return f"is off by {share:.2g} of its largest value"


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
