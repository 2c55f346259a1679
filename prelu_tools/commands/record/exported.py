"""Input sizes of a source that does not know its own: those of an ONNX file exported from it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from prelu_tools.commands.export.provenance import base_name
from prelu_tools.commands.record.request import RecordRequest
from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.commands.verify.inputs.other import asking
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import OtherInputs, SourceOptions
from prelu_tools.graph.io.metadata import stated_source
from prelu_tools.graph.io.reader import read_model


def with_sizes(request: RecordRequest) -> SourceOptions:
    """The options of the source; it may ask the ONNX files next to the record for its inputs."""

    def ask() -> OtherInputs | None:
        told = asking(request.options, _exported(request), {}, Layouts()).other
        return None if told is None else told()

    return replace(request.options, other=ask)


def _exported(request: RecordRequest) -> list[str]:
    """The files next to the record that say that they were exported from its source."""
    wanted, found = base_name(request.source), []
    for path in sorted(request.output.parent.glob("*.onnx")):
        with suppress(PReLUToolsError):
            if stated_source(read_model(path).proto)[0] == wanted:
                found.append(str(path))
    return found
