"""Whether the reference was made from a candidate: then the sides are probably swapped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.source_spec import base_name
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.reasons import Reason
from prelu_tools.graph.io.metadata import stated_source


def swapped_sides(source: Source, opened: Sequence[Linked]) -> Iterator[Reason]:
    """A sentence for each candidate that the reference says it was exported from.

    Args:
        source: the reference.
        opened: all candidates.
    """
    said = "" if source.graph is None else stated_source(source.graph.model.proto)[0]
    for item in opened if said else ():
        with suppress(UsageError):  # a model in memory
            if "://" not in item.label and base_name(item.label) == said:
                yield Reason(
                    f"{source.label} was exported from {item.label}, which is the candidate here: "
                    "the reference is usually the model that was trained (verify "
                    f"{item.label} {source.label})",
                    "sides_swapped",
                )
