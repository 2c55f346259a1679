"""Convert a model to ONNX: one PRelu node per call, checked before the file is put in place."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from prelu_tools.backends.onnxruntime.running.session import newest_opset
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.interface import Conversion, Source
from prelu_tools.backends.quiet import listening, quiet
from prelu_tools.commands.export.layouts import layouts_by_role, moved_axes, refuse_idle_layouts
from prelu_tools.commands.export.provenance import (
    example_sizes_of,
    options_of_export,
    provenance,
)
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.export.route import take_route
from prelu_tools.commands.export.steps import (
    finished,
    for_onnxruntime,
    in_type,
    notes_without_prelu,
)
from prelu_tools.commands.output_check import demand_pass
from prelu_tools.commands.preflight import check_request
from prelu_tools.commands.targets import for_target, runtime_of
from prelu_tools.commands.untrained import untrained_notes
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.process.progress import ProgressCallback, silent
from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.results.optimization import OptimizeResult
from prelu_tools.core.results.reasons import counted
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.graph.io.inputs import tensor_inputs, tensor_outputs
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.placement import placing
from prelu_tools.graph.io.writer import refuse_existing, write_model
from prelu_tools.graph.match.layers import read_layers
from prelu_tools.graph.passes.canonical import unknown_form
from prelu_tools.graph.passes.opset import FIRST_OPSET, newest_known

DEFAULT_OPSET = 18


def export(
    request: ExportRequest, progress: ProgressCallback = silent, opened: Source | None = None
) -> ExportResult:
    """Export a source.

    Args:
        request: what to export, and how.
        progress: called with the name of each stage.
        opened: the source, where it is a live object and `request.source` only its name.

    Raises:
        UsageError: the output exists, or cannot be.
        ExportVerificationError: the result is not its source; nothing was written.
        PReLUToolsError: the source cannot be read, converted or checked; nothing was written.
    """
    _check_request(request)
    take_route(request.route)
    check_request(request, *([request.source] if opened is None else []))
    with listening() as warnings, quiet(request.options.show_chatter):
        progress("loading")
        source = open_source(request.source, request.options) if opened is None else opened
        refuse_ignored_options([source], request)
        wanted = request.opset or max(DEFAULT_OPSET, source.opset or 0)
        progress("converting")
        asked = ConversionOptions(
            opset=wanted,
            input_layout=request.input_layout,
            output_layout=request.output_layout,
            slope_axis=request.slope_axis,
            is_verified=request.verify,
        )
        conversion = source.convert(asked)
        refuse_idle_layouts(conversion, request)
        progress("canonicalising")
        origin = provenance(source, request.source, conversion.route, is_file=opened is None)
        origin |= example_sizes_of(source, conversion.input_layouts)
        origin |= options_of_export(source, request)
        origin |= moved_axes(conversion)
        model, missing = finished(conversion, source, origin, wanted, request.verify)
        model, notes = in_type(model, request.dtype)
        with placing(request.output, request.force) as temporary:
            model, optimized, told = _for_target(model, temporary.parent, request, progress)
            notes = (*notes, *told)
            progress("writing")
            written = write_model(model, temporary, request.external_data)
            verification = None
            if request.verify:
                progress("verifying")
                verification = _verify(conversion, source, temporary, request, missing)
            layers = read_layers(model)  # its values may be in a file next to the temporary one
            progress("putting in place")
    return ExportResult(
        source=request.source,
        path=str(request.output),
        n_bytes=written.n_bytes,
        opset=model.opset,
        route=conversion.route,
        layers=layers,
        n_nodes=len(model.proto.graph.node),
        verification=verification,
        notes=(
            *untrained_notes(source),
            *notes_without_prelu(source, layers, model),
            *conversion.notes,
            *notes,
            *_told(source, warnings),
        ),
        refused=conversion.refused,
        optimized=optimized,
        data_path=str(request.output.with_name(written.data.name)) if written.data else None,
        n_data_bytes=written.n_data_bytes,
        inputs=tensor_inputs(model.proto.graph),
        outputs=tensor_outputs(model.proto.graph),
    )


def _for_target(
    model: OnnxModel, folder: Path, request: ExportRequest, progress: ProgressCallback
) -> tuple[OnnxModel, OptimizeResult | None, Sequence[str]]:
    """The model in the forms that suit its target, how they were chosen, and notes on it."""
    if request.target == "onnxruntime-cpu" and read_layers(model):
        progress("optimizing")
        own = Path(tempfile.mkdtemp(dir=folder))
        return (*for_onnxruntime(model, own, request.options), ())
    if request.target in ("portable", "onnxruntime-cpu"):
        return model, None, ()
    progress("fitting the target")
    fitted, notes = for_target(model, request.target)
    return fitted, None, notes


def _told(source: Source, warnings: Sequence[str]) -> list[str]:
    return [f"{source.framework} warns: {text}" for text in warnings]


def _check_request(request: ExportRequest) -> None:
    """Reject hopeless requests before anything is loaded."""
    refuse_existing(request.output, request.force)
    known = range(FIRST_OPSET, min(newest_known(), newest_opset()) + 1)
    if request.opset is not None and request.opset not in known:
        raise UsageError(
            f"opset {request.opset} cannot be written: expected {known[0]} to {known[-1]}, the "
            "newest that the installed onnx and onnxruntime support"
        )
    if request.dtype not in (None, "float32", "float16"):
        raise UsageError(
            f"--dtype {request.dtype}: expected float32 or float16, as onnxruntime's CPU provider "
            "has no convolution in other types"
        )


def _verify(
    conversion: Conversion,
    source: Source,
    written: Path,
    request: ExportRequest,
    missing: Sequence[str],
) -> VerifyResult:
    """Compare the file with its source.

    Args:
        conversion: the conversion that made it.
        source: its source.
        written: the file.
        request: the options.
        missing: layers with missing calls: merged, dropped, or in a form that is not known.

    Raises:
        ExportVerificationError: it is not its source.
        PReLUToolsError: there was no verdict, or a layer with missing calls is not proven.
    """
    result = verify_source(
        conversion.reference or source,
        VerifyRequest(
            reference=request.source,
            candidates=(str(written),),
            layouts=layouts_by_role(None),
            input_layouts=layouts_by_role(conversion.input_layouts),
            output_layouts=layouts_by_role(conversion.output_layouts),
            ranges=request.ranges,
            quick=request.quick,
            runtimes=runtime_of(request.target),
            search_seconds=0.0,
            power=False,
            allow_no_prelu=True,
            options=request.options,
        ),
    )
    if missing and result.verdict != "pass":
        raise PReLUToolsError(f"{unknown_form(missing)}; {'; '.join(result.reasons)}")
    unseen = [
        layer.found == "additional" for report in result.candidates for layer in report.layers
    ]
    if result.verdict == "pass" and unseen and all(unseen):
        raise PReLUToolsError(
            "the exported model was not written, because it has "
            f"{counted(len(unseen), 'PReLU layer')} and {request.source} has none, so no slope was "
            "compared; --no-verify writes it anyway"
        )
    return demand_pass(
        result,
        "exported",
        written,
        request.output,
        "" if conversion.needs_check else "; --no-verify writes it unchecked",
        conversion.notes,
        "" if conversion.needs_check else " (with --no-verify, prelu-tools verify shows them)",
    )
