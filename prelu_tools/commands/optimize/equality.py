"""How equal two forms of a model are: layer by layer, and in the bits of the outputs."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from prelu_tools.backends.onnxruntime.running.racing import Run, runtime_version
from prelu_tools.backends.onnxruntime.running.single import SingleLayers
from prelu_tools.commands.optimize.rewritable import RewritableLayer
from prelu_tools.commands.optimize.tuning import Bench, Choices
from prelu_tools.commands.verify.inputs.feeds import Feeds
from prelu_tools.commands.verify.layers.isolated import UNLIKE
from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.prelu.slopes import align
from prelu_tools.core.prelu.special import special_values
from prelu_tools.core.results.optimization import EqualityReport
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.rounding.parity import ulps
from prelu_tools.graph.io.reader import OnnxModel
from prelu_tools.graph.match.layers import LocatedLayer, locate_layers
from prelu_tools.graph.view import GraphView

_ROWS = 64


def equality_of(
    before: OnnxModel,
    after: OnnxModel,
    originals: OriginalOutputs,
    run: Run,
    verification: VerifyResult,
) -> EqualityReport:
    """What was found equal.

    Args:
        before: every PReLU is a PRelu node.
        after: the same model in the forms that were chosen.
        originals: the outputs of the original model.
        run: the model as it is now.
        verification: of the new file.
    """
    distance = _farthest(before, after)
    told = [value for report in verification.candidates for value in report.special]
    special = all(value.expected == 0 and value.found == 0 for value in told)
    return EqualityReport(
        layer=distance == 0,
        bitwise=originals.agrees(run),
        special=special,
        max_ulps=distance,
        n_inputs=sum(map(_first_size, originals.feeds)),
        processor=processor(),
        runtime=runtime_version(),
    )


class OriginalOutputs:
    """The outputs of the original model, to compare others with."""

    def __init__(self, original: Run, feeds: Sequence[Feeds]) -> None:
        """Run it on each of these inputs."""
        self.feeds = feeds
        self._outputs = [original(feed) for feed in feeds]

    def agrees(self, other: Run) -> bool:
        """Whether another model gives the same bits at every output."""
        return all(
            same_bits(a, b)
            for feed, expected in zip(self.feeds, self._outputs, strict=True)
            for a, b in zip(expected, other(feed), strict=True)
        )


def keep_bits(
    bench: Bench, layers: Sequence[RewritableLayer], choices: Choices, originals: OriginalOutputs
) -> None:
    """Take back the forms that change a bit of the model's outputs, in place.

    A layer may change how onnxruntime fuses the nodes around it. Each such layer takes the next
    best form that, together with those that were settled before it, changes nothing.

    Args:
        bench: opens the model in other forms.
        layers: the layers.
        choices: what was chosen.
        originals: the outputs that have to stay.
    """
    found = list(_disturbing(bench, [layer.name for layer in layers], choices.forms, originals))
    settled = {name: form for name, form in choices.forms.items() if name not in found}
    if not originals.agrees(bench.open(settled)):  # together they change what none changes alone
        found, settled = [layer.name for layer in layers], {}
    for layer in (layer for layer in layers if layer.name in found):
        chosen = choices.forms[layer.name]
        order = [chosen, *(form for form in layer.forms if form != chosen)]
        for form in order[: order.index("prelu") + 1]:
            if originals.agrees(bench.open({**settled, layer.name: form})):
                break
        settled[layer.name] = form
        if form != chosen:
            choices.forms[layer.name] = form
            choices.chosen[layer.name] = "exactness"
            choices.gains.pop(layer.name, None)


def _disturbing(
    bench: Bench, names: Sequence[str], forms: Mapping[str, str], originals: OriginalOutputs
) -> Iterator[str]:
    """The layers whose forms change bits, found by bisection: there are few."""
    if originals.agrees(bench.open({name: forms[name] for name in names})):
        return
    if len(names) == 1:
        yield names[0]
        return
    half = len(names) // 2
    yield from _disturbing(bench, names[:half], forms, originals)
    yield from _disturbing(bench, names[half:], forms, originals)


def _farthest(before: OnnxModel, after: OnnxModel) -> int:
    """How far the layers are apart in isolation, in ulp, on finite values of every size."""
    pairs = list(zip(_located(before), _located(after), strict=True))
    if not pairs:
        return 0
    left = SingleLayers([item for item, _ in pairs], "cpu", "the model with PRelu nodes")
    right = SingleLayers([item for _, item in pairs], "cpu", "the optimized model")
    inputs = {item.layer.name: _values(item) for item, _ in pairs}
    names = {item.layer.name: other.layer.name for item, other in pairs}
    expected = left.run(inputs)
    found = right.run({names[name]: x for name, x in inputs.items()})
    return max(_apart(y, found[names[name]]) for name, y in expected.items())


def _located(model: OnnxModel) -> tuple[LocatedLayer, ...]:
    return locate_layers([GraphView(model)])


def _values(item: LocatedLayer) -> Array:
    """Rows that meet every slope with values of all sizes and both signs."""
    _, match = item.calls[0]
    rank = len(item.layer.input_shape or ()) or max(match.slopes.ndim, 2)
    slopes = align(match.slopes, rank)
    dtype = slopes.dtype
    generator = np.random.default_rng(0)
    rows = _ROWS if slopes.shape[:1] in ((), (1,)) else slopes.shape[0]  # a batch that is fixed
    shape = (rows, *slopes.shape[1:])
    if dtype.kind in "iu":
        least = -1000 if dtype.kind == "i" else 0
        return generator.integers(least, 1000, shape).astype(dtype)
    limits = np.finfo(dtype)
    exponents = generator.uniform(limits.minexp, limits.maxexp, shape)
    sizes = np.minimum(np.exp2(exponents), float(limits.max))  # rounding must not give infinity
    wide = sizes * generator.choice([-1.0, 1.0], shape)
    usual = generator.normal(0.0, 1.0, shape)
    values = np.where(np.arange(rows).reshape(-1, *[1] * (rank - 1)) % 2 == 0, usual, wide)
    values = np.asarray(values.astype(dtype))
    special = special_values(dtype)
    finite = special[np.isfinite(special)]
    count = min(rows, finite.size)
    values[:count] = finite[:count].reshape(-1, *[1] * (rank - 1))
    return values


@np.errstate(all="ignore")
def _apart(expected: Array, found: Array) -> int:
    """0 if all values are equal by ==, or NaN on both sides."""
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    if same.all():
        return 0
    if not np.issubdtype(expected.dtype, np.floating):
        return UNLIKE
    left, right = expected[~same].astype(np.float64), found[~same].astype(np.float64)
    size = np.maximum(np.abs(left), np.abs(right))
    apart = np.abs(left - right)
    if not np.isfinite(apart).all():
        return UNLIKE
    return ulps(apart, size, expected.dtype)


def _first_size(feeds: Feeds) -> int:
    return next((len(values) for values in feeds.values() if values.ndim), 1)


def processor() -> str:
    """The processor's name; "" if it is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().decode("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
