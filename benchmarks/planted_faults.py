"""What catches a wrong slope: this tool's checks, against allclose with inputs from [0, 1).

    python benchmarks/planted_faults.py

Exports the samples and MTCNN, plants slope faults in copies of the results (one slope moved by
10 %, two exchanged, a layer negated, averaged, shifted, rounded to float16, ...), and counts who
notices: the exact comparison of slopes; the numeric checks alone, at the layers and at the outputs;
and `np.allclose(rtol=1e-3, atol=1e-5)` at the outputs for 16 inputs drawn from U[0, 1), the check
that everybody runs. Faults in slopes that no input reaches are counted apart.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from prelu_tools.backends.onnxruntime.source import OnnxSource
from prelu_tools.backends.opening import open_source
from prelu_tools.cli.main import run
from prelu_tools.commands.verify.candidates.outputs import OutputJudge
from prelu_tools.commands.verify.candidates.power import PowerPlan, SlopeCopy, choose_faults, plant
from prelu_tools.commands.verify.inputs.drawing import DrawPlan
from prelu_tools.commands.verify.inputs.linking import Layouts, link_inputs, move
from prelu_tools.commands.verify.inputs.planning import settle
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.reference.reference import Reference
from prelu_tools.commands.verify.reference.run import ReferencePlan, run_reference
from prelu_tools.commands.verify.reference.searching import SearchPlan
from prelu_tools.core.arrays import Array, frozen
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.coverage import CoverageBook
from prelu_tools.core.prelu.slopediff import compare_slopes
from prelu_tools.core.rounding.tolerance import CALIBRATED

SAMPLES = Path(__file__).parent.parent / "samples"
TORCH = (
    "mtcnn_torch.py:PNet",
    "mtcnn_torch.py:RNet",
    "mtcnn_torch.py:ONet",
    "torch_layers.py:OneSlopeNet",
    "torch_layers.py:BlockNet",
    "torch_layers.py:PerChannel",
    "torch_layers.py:Mlp",
    "torch_layers.py:ConvNet32",
)
KERAS = ("mtcnn_keras.py:PNet", "mtcnn_keras.py:RNet", "mtcnn_keras.py:ONet",
         "keras_where.py:sequential_net", "keras_where.py:decayed_net")  # fmt: skip
WANTED = 500
SEEDS = 12


def faults_of(name: str, folder: Path, counts: Counter[str], seeds: range) -> None:
    """Plant faults in one export, and count who notices."""
    label = str(SAMPLES / name)
    path = folder / f"{name.replace(':', '-')}.onnx"
    if not path.exists() and run(["export", label, "-o", str(path), "-q", "--no-verify"]) != 0:
        raise SystemExit(f"{name} could not be exported")
    source = open_source(label, SourceOptions())
    candidate = open_source(str(path), SourceOptions())
    if not isinstance(candidate, OnnxSource):
        raise SystemExit(f"{path} is not ONNX")
    linked = Linked("candidate", candidate, link_inputs(source.inputs(), candidate.inputs(),
                    Layouts("nchw", "nchw")), Layouts("nchw", "nchw"))  # fmt: skip
    drawn = settle(source, [], DrawPlan(16, 0, {}))
    plan = ReferencePlan(wide=True, layers=True, search=SearchPlan(), seed=0, ranges={},
                         whole=False, rows=drawn.rows)  # fmt: skip
    with run_reference(source, drawn.feeds, plan) as reference:
        for seed in seeds:
            _plant(reference, candidate, linked, counts, seed)
            if counts["planted"] >= WANTED:
                return


def _plant(
    reference: Reference, candidate: OnnxSource, linked: Linked, counts: Counter[str], seed: int
) -> None:
    feeds = [move(feed, linked.links) for feed in reference.feeds]
    reached = CoverageBook(candidate.layers())
    with candidate.runner(lambda layer, _call, x, _y: reached.note(layer, x)) as runner:
        for feed in feeds:
            runner.run(feed)
    outputs = OutputJudge(
        reference.outputs, reference.extents, linked.layouts, linked.moved, CALIBRATED
    )
    plan = PowerPlan(reference.layers, candidate, "cpu", feeds, outputs, reached, seed)
    copy = SlopeCopy(plan)
    usual = _Usual(reference, linked, copy)
    faults, _ = choose_faults(copy, plan)
    for item in plant(copy, faults):
        kind = "reached" if item.reached else "unreached"
        target = copy.targets[item.fault.layer]
        shape = target.layer.slopes.shape
        if item.fault.kind == "misplaced":
            shape = (*[1] * (len(shape) - 1), item.fault.slopes.size)
        slopes = frozen(item.fault.slopes.reshape(shape))
        wrong = replace(target.layer, slopes=slopes)
        order = linked.layouts.permutation(target.layer.slopes.ndim)
        counts["planted"] += 1
        counts[kind] += 1
        counts[f"{kind} exact"] += not compare_slopes(target.reference, wrong, order).equal
        counts[f"{kind} layers"] += item.by_layer
        counts[f"{kind} outputs"] += item.by_output
        counts[f"{kind} numeric"] += item.noticed
        values = dict.fromkeys(target.inputs, item.fault.slopes)
        counts[f"{kind} allclose"] += usual.notices(copy, values)


class _Usual:
    """The check that everybody runs."""

    def __init__(self, reference: Reference, linked: Linked, copy: SlopeCopy) -> None:
        generator = np.random.default_rng(0)
        feeds = {
            spec.name: generator.random((16, *spec.example[1:])).astype(spec.dtype)
            for spec in reference.source.inputs()
        }
        with reference.source.runner() as runner:
            self._expected = list(runner.run(feeds).values())
        self._feeds = move(feeds, linked.links)
        if self.notices(copy, {}):
            raise SystemExit("allclose finds fault with the honest copy")

    def notices(self, copy: SlopeCopy, slopes: dict[str, Array]) -> bool:
        """Whether any output is beyond the tolerance."""
        found = copy.session.fetch({**self._feeds, **copy.right, **slopes}, copy.outputs)
        return not all(
            np.allclose(a, b, rtol=1e-3, atol=1e-5)
            for a, b in zip(self._expected, found.values(), strict=True)
        )


def main() -> None:
    """Plant, count, and print a Markdown table."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        names = [*TORCH, *([] if "--torch" in sys.argv else KERAS)]
        for name in names:
            faults_of(name, Path(folder), counts, range(1))
            print(f"{name}: {counts['planted']} so far", file=sys.stderr)
        for seed in range(1, SEEDS):
            for name in names:
                if counts["planted"] < WANTED:
                    faults_of(name, Path(folder), counts, range(seed, seed + 1))
    rows = (
        ("exact comparison of slopes", "exact"),
        ("numeric checks alone", "numeric"),
        ("of these, at the layer", "layers"),
        ("of these, at an output", "outputs"),
        ("allclose at the outputs, U[0, 1)", "allclose"),
    )
    print(f"{counts['planted']} faults; {counts['unreached']} in slopes that no input reaches\n")
    print("| caught by | on reached slopes | on the others |\n|---|---:|---:|")
    for title, key in rows:
        cells = [
            f"{counts[f'{kind} {key}']} of {counts[kind]}" for kind in ("reached", "unreached")
        ]
        print(f"| {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
