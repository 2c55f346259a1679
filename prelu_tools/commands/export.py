"""Take a model to ONNX: one PRelu node a call, checked before it is put in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from prelu_tools.backends.interface import ConvertibleSource
from prelu_tools.backends.registry import open_source
from prelu_tools.backends.spelling import parse_spelling
from prelu_tools.commands.request import VerifyRequest
from prelu_tools.commands.verify import verify_source
from prelu_tools.core.errors import ExportVerificationError, PReLUToolsError
from prelu_tools.core.options import ConversionOptions, SourceOptions
from prelu_tools.core.results import ExportResult
from prelu_tools.core.verification import VerifyResult
from prelu_tools.graph.finish import finish
from prelu_tools.graph.layers import read_layers
from prelu_tools.graph.writer import refuse_existing, replacing, write_model

DEFAULT_OPSET = 18
OPSETS = range(16, 19)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ExportRequest:
    """What to export, and how."""

    source: str
    """The model as the user spelled it."""
    output: Path
    """The file to write."""
    opset: int = DEFAULT_OPSET
    """Opset of the default domain."""
    verify: bool = True
    """Whether to hold the result against its source before it is put in place."""
    force: bool = False
    """Whether to replace a file that is there."""
    options: SourceOptions = field(default_factory=SourceOptions)
    """How to read the source."""


def export(request: ExportRequest, progress: Progress) -> ExportResult:
    """Export a source; `progress` is told the name of each stage.

    Raises:
        UsageError: the output exists, or cannot be.
        ExportVerificationError: the result is not its source; nothing was written.
        PReLUToolsError: the source cannot be read, converted or checked; nothing was written.
    """
    refuse_existing(request.output, request.force)
    if request.opset not in OPSETS:
        raise PReLUToolsError(
            f"opset {request.opset} cannot be written: expected {OPSETS[0]} to {OPSETS[-1]}"
        )
    progress("loading")
    source = cast(ConvertibleSource, open_source(request.source, request.options))
    if not hasattr(source, "convert"):
        raise PReLUToolsError(
            f"{request.source} is ONNX already: export takes a Keras or PyTorch model"
        )
    progress("converting")
    conversion = source.convert(ConversionOptions(request.opset))
    model = conversion.model
    properties = {"prelu_tools.source": _base_name(request.source)}
    properties["prelu_tools.route"] = conversion.route
    finish(model, conversion.tags, conversion.parameters, conversion.kept_names, properties)
    if model.opset != request.opset:
        raise PReLUToolsError(
            f"the converter wrote opset {model.opset} where {request.opset} was asked: "
            f"give --opset {model.opset}"
        )
    with replacing(request.output) as temporary:
        progress("writing")
        n_bytes = write_model(model, temporary, "never").n_bytes
        verification = None
        if request.verify:
            progress("verifying")
            verification = _verify(source, temporary, request)
    return ExportResult(
        source=request.source,
        path=str(request.output),
        n_bytes=n_bytes,
        opset=model.opset,
        route=conversion.route,
        layers=read_layers(model),
        n_nodes=len(model.proto.graph.node),
        verification=verification,
        notes=conversion.notes,
    )


def _verify(source: ConvertibleSource, written: Path, request: ExportRequest) -> VerifyResult:
    result = verify_source(
        source,
        VerifyRequest(
            reference=request.source,
            candidates=(str(written),),
            layouts={"reference": "nchw", "candidate": "nchw"},  # the export keeps the layout
            search_seconds=0.0,
            power=False,
            allow_no_prelu=True,
            options=request.options,
        ),
    )
    result = _renamed(result, str(written), str(request.output))
    if result.verdict == "pass":
        return result
    reasons = "; ".join(result.reasons) or "no reason given"
    if result.verdict == "fail":
        raise ExportVerificationError(
            f"the exported model is not its source, and was not written: {reasons}"
        )
    raise PReLUToolsError(
        f"the exported model could not be verified, and was not written: {reasons}; "
        "--no-verify writes it unchecked"
    )


def _renamed(result: VerifyResult, temporary: str, final: str) -> VerifyResult:
    """The result with the name that the user gave in the place of the temporary file's."""
    return replace(
        result,
        candidates=tuple(replace(report, model=final) for report in result.candidates),
        reasons=tuple(reason.replace(temporary, final) for reason in result.reasons),
    )


def _base_name(source: str) -> str:
    """The source without its folders: the result must not depend on where it lies."""
    spelling = parse_spelling(source)
    name = Path(spelling.module or spelling.file or source).name
    call = f":{spelling.call}" if spelling.call else ""
    weights = f"@{spelling.weights.name}" if spelling.weights else ""
    return f"{name}{call}{weights}"
