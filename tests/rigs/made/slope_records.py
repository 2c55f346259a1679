"""Records of a training's slopes, as a logger makes them."""

from __future__ import annotations

from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.movement import SlopeTrack
from prelu_tools.core.prelu.statistics import slope_health, slope_statistics
from prelu_tools.core.results.inspection import Finding
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord


def slope_record(
    step: int, slopes: Array, track: SlopeTrack | None = None, findings: tuple[Finding, ...] = (),
    gradient: float | None = 0.5,
) -> SlopeRecord:  # fmt: skip
    """A record of one layer, `block.act`; the track follows it over several."""
    track = track or SlopeTrack()
    track.add(slopes)
    layer = LayerRecord(
        name="block.act",
        parameter="block.act.weight",
        form="PReLU",
        slopes=slopes,
        is_sampled=False,
        statistics=slope_statistics(slopes),
        health=slope_health(slopes),
        trends=track.trends(),
        movement=track.movements[-1],
        gradient=gradient,
        weight_decay=0.0,
        is_trained=True,
    )
    return SlopeRecord(step, 1_700_000_000.5 + step, (layer,), findings)
