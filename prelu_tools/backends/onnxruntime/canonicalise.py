"""Convert an ONNX file to its canonical form, and note what was repaired and what was kept."""

from __future__ import annotations

import onnx

from prelu_tools.backends.onnxruntime.repaired import RepairedModel, repaired_model
from prelu_tools.backends.protocol.interface import Conversion, OnnxGraph
from prelu_tools.core.options import ConversionOptions
from prelu_tools.core.results.reasons import are, counted
from prelu_tools.graph.io.metadata import INPUT_AXES, OUTPUT_AXES, PREFIX, TOOL
from prelu_tools.graph.match.layers import is_generated
from prelu_tools.graph.passes.opset import raise_opset
from prelu_tools.graph.passes.portable import Canonical, canonical


def canonicalise(source: OnnxGraph, wanted: ConversionOptions) -> Conversion:
    """Bring a file to its canonical form.

    Raises:
        PReLUToolsError: a slope has two readings, or the opset is not available.
    """
    repaired = repaired_model(source, wanted.slope_axis)
    found = canonical(repaired.model)
    raised = raise_opset(found.model, wanted.opset)
    return Conversion(
        model=raised,
        tags=found.tags,
        parameters=found.parameters,
        route=f"onnx {onnx.__version__}",
        kept_names={
            tensor.name: tensor.name
            for tensor in raised.proto.graph.initializer
            if not is_generated(tensor.name)
        },
        notes=_notes(source, found, repaired),
        properties={
            entry.key: entry.value
            for entry in source.model.proto.metadata_props
            if not entry.key.startswith(PREFIX) or entry.key in (INPUT_AXES, OUTPUT_AXES)
        },
        reference=repaired.reference,
    )


def _notes(source: OnnxGraph, found: Canonical, repaired: RepairedModel) -> tuple[str, ...]:
    notes = [str(repair) for repair in repaired.repairs]
    if repaired.repairs:
        notes.append(
            f"{source.label} does not run as intended, so the result is compared with its own "
            "graph in onnx's evaluator (numpy), with the slopes on these axes"
        )
    elif repaired.is_lowered:
        notes.append(
            f"onnxruntime does not load IR version {source.model.proto.ir_version}: "
            f"{source.label} was run with an older version, and the result has an older version"
        )
    elif repaired.reference is not None:
        notes.append(
            f"onnxruntime does not run opset {source.model.opset}, so the result is compared "
            f"with {source.label} in onnx's evaluator (numpy)"
        )
    if repaired.n_listed:
        notes.append(
            f"{counted(repaired.n_listed, 'weight')} listed as inputs, which a caller may "
            "override, became constants"
        )
    if source.model.proto.functions:
        notes.append("local functions were inlined")
    if found.n_hidden:
        notes.append(
            f"{counted(found.n_hidden, 'PReLU call')} {are(found.n_hidden)} in the body of a Scan, "
            f"or of an If or Loop before opset 13: {TOOL} compares the slopes and the model's "
            "outputs, but cannot observe the calls as they run"
        )
    return tuple(notes)
