"""Random inputs for quantized candidates: within the ranges that they were calibrated for."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.quantized.layers import codes_of_input
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError


def within_calibration(opened: Sequence[Linked], request: VerifyRequest) -> VerifyRequest:
    """The request with the ranges that candidates have their inputs rounded in, first of all.

    Outside these ranges everything is clipped, which says nothing about the quantization. The
    user's ranges stay.
    """
    if request.inputs_file is not None and request.samples is None:
        return request
    found: dict[str, tuple[float, float]] = {}
    for item in opened:
        graph, meaning = item.source.graph, None
        with suppress(PReLUToolsError):
            meaning = None if graph is None else graph.meaning()
        if meaning is None:
            continue
        for link in item.links:
            codes = codes_of_input(meaning, link.candidate)
            if codes is not None:
                low, high = found.get(link.reference, codes.ends)
                found[link.reference] = (max(low, codes.ends[0]), min(high, codes.ends[1]))
    given = request.ranges
    new = {n: r for n, r in found.items() if n not in given and "" not in given and r[0] < r[1]}
    return replace(request, ranges={**given, **new}) if new else request
