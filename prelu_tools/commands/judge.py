"""Hold outputs and layers of a candidate against the reference's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from prelu_tools.backends.interface import Reach
from prelu_tools.commands.feeds import Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.layout import candidates, inverse
from prelu_tools.core.parity import compare_outputs, default_tolerance
from prelu_tools.core.results import LayerParity, OutputParity, Tolerance, Verdict
from prelu_tools.core.slopediff import compare_slopes, line_up, owner_of
from prelu_tools.core.slopes import PReLULayer


def compare_all_outputs(
    references: Sequence[Mapping[str, Array]],
    results: Sequence[Mapping[str, Array]],
    layouts: Layouts,
    moved: bool,
    tolerance: Tolerance | None,
) -> tuple[tuple[OutputParity, ...], Tolerance]:
    """Compare every output of the reference, over all runs.

    Args:
        references: for each run, the reference's outputs by name.
        results: for each run, the candidate's.
        layouts: what the user said.
        moved: whether the inputs had to be moved to another layout.
        tolerance: None for the default of the types.

    Raises:
        PReLUToolsError: the numbers of outputs differ, or a layout is in doubt.
    """
    names = _pair_outputs(list(references[0]), list(results[0]))
    compared = []
    used = tolerance or Tolerance(0.0, 0.0, scaled=True, origin="no outputs")
    for reference_name, candidate_name in names:
        left = [run[reference_name] for run in references]
        right = [run[candidate_name] for run in results]
        right = [
            _to_reference(a, b, layouts, moved, candidate_name)
            for a, b in zip(left, right, strict=True)
        ]
        used = tolerance or _coarser(left[0], right[0])
        compared.append(compare_outputs(candidate_name, left, right, used))
    return tuple(compared), used


def _pair_outputs(references: list[str], results: list[str]) -> list[tuple[str, str]]:
    if len(references) != len(results):
        raise PReLUToolsError(
            f"it has {len(results)} outputs ({', '.join(results)}); the reference has "
            f"{len(references)} ({', '.join(references)})"
        )
    if set(references) == set(results):
        return [(name, name) for name in references]
    return list(zip(references, results, strict=True))


def _to_reference(
    reference: Array, candidate: Array, layouts: Layouts, moved: bool, name: str
) -> Array:
    """The candidate's output in the reference's axis order."""
    if not moved or reference.ndim < 3:
        return candidate
    fitting = candidates(reference.shape, candidate.shape)
    given = layouts.permutation(reference.ndim)
    if given is not None and given in fitting:
        return candidate.transpose(inverse(given))
    if len(fitting) > 1:
        raise PReLUToolsError(
            f"output {name} has shape {list(candidate.shape)}, and the reference's "
            f"{list(reference.shape)}: their layouts cannot be told from that; give "
            "--layout reference=nchw|nhwc and --layout candidate=nchw|nhwc"
        )
    return candidate.transpose(inverse(fitting[0])) if fitting else candidate


def _coarser(left: Array, right: Array) -> Tolerance:
    options = [default_tolerance(left.dtype), default_tolerance(right.dtype)]
    return max(options, key=lambda tolerance: tolerance.rtol)


def layer_coverage(layer: PReLULayer, reach: Reach) -> Array:
    """For each slope of a layer, flat, whether the inputs reached its negative branch."""
    return reach.masks.get(layer.name, np.zeros(int(np.prod(layer.stored_shape)), np.bool_))


def compare_all_layers(
    references: Sequence[PReLULayer],
    found: Sequence[PReLULayer],
    layouts: Layouts,
    reach: Reach,
) -> tuple[LayerParity, ...]:
    """Compare the slopes of every layer of either side, in the reference's order."""
    candidates_ = _split_unproven(references, found)
    lined_up = line_up(references, candidates_)
    parities = {
        reference.name: _layer_parity(reference, candidate, references, layouts, reach)
        for reference, candidate in lined_up.pairs
    }
    for layer in lined_up.missing:
        parities[layer.name] = _failed(layer.name, f"{layer.name}: missing in the candidate")
    for layer in lined_up.unexpected:
        reason = f"{layer.name}: a PReLU that the reference does not have"
        parities[f"+{layer.name}"] = _failed(layer.name, reason)
    order = [layer.name for layer in references if layer.name in parities]
    order += [name for name in parities if name.startswith("+")]
    return tuple(parities[name] for name in order)


def _split_unproven(
    references: Sequence[PReLULayer], found: Sequence[PReLULayer]
) -> list[PReLULayer]:
    """Take apart what merely shares an initializer, where that gives the reference's number."""
    if len(found) == len(references):
        return list(found)
    split: list[PReLULayer] = []
    for layer in found:
        parts = 1 if layer.same_instance else len(layer.nodes)
        if parts == 1:
            split.append(layer)
        else:
            split += [replace(layer, name=node, nodes=(node,)) for node in layer.nodes]
    return split if len(split) == len(references) else list(found)


def _layer_parity(
    reference: PReLULayer,
    candidate: PReLULayer,
    references: Sequence[PReLULayer],
    layouts: Layouts,
    reach: Reach,
) -> LayerParity:
    difference = compare_slopes(reference, candidate, layouts.permutation(reference.slopes.ndim))
    words = difference.description
    if not difference.equal and not difference.ambiguous:
        others = [layer for layer in references if layer.name != reference.name]
        owner = owner_of(candidate, others)
        words = f"has {owner}'s slopes" if owner else words
    elif len(reference.nodes) != len(candidate.nodes):
        words = f"used {len(candidate.nodes)} times where {len(reference.nodes)} were expected"
    verdict: Verdict = "pass" if words is None else "fail"
    if difference.ambiguous:
        verdict = "inconclusive"
    covered = reach.masks.get(reference.name)
    return LayerParity(
        name=reference.name,
        slopes_equal=difference.equal,
        difference=f"{reference.name}: {words}" if words else None,
        max_abs_diff=None,
        max_ulp_diff=None,
        coverage=None if covered is None else float(covered.mean()),
        verdict=verdict,
    )


def _failed(name: str, reason: str) -> LayerParity:
    return LayerParity(
        name=name,
        slopes_equal=False,
        difference=reason,
        max_abs_diff=None,
        max_ulp_diff=None,
        coverage=None,
        verdict="fail",
    )
