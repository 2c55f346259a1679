"""An ONNX file as a conversion: its canonical form, with what was repaired and what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import inliner

from prelu_tools.backends.conversion import Conversion, Parameter
from prelu_tools.core.options import ConversionOptions
from prelu_tools.graph.layers import is_generated
from prelu_tools.graph.metadata import TOOL
from prelu_tools.graph.model import OnnxModel
from prelu_tools.graph.opset import raise_opset
from prelu_tools.graph.portable import Canonical, canonical
from prelu_tools.graph.prune import unlist_weights
from prelu_tools.graph.repair import Repair, repair_slopes

if TYPE_CHECKING:
    from prelu_tools.backends.onnxruntime.source import OnnxSource

_FIRST_RUN = 7  # the first opset that onnxruntime promises to run


def canonicalise(source: OnnxSource, wanted: ConversionOptions) -> Conversion:
    """Bring a file to its canonical form.

    Raises:
        PReLUToolsError: a slope has two readings, or the opset cannot be had.
    """
    original = _inlined(source.model)
    listed = unlist_weights(original.proto)
    repaired = _copy(original, original.proto)
    repairs = repair_slopes(repaired, wanted.slope_axis, source.options.inputs)
    found = canonical(repaired)
    raised = raise_opset(found.model, wanted.opset)
    reference = None
    if repairs or source.model.opset < _FIRST_RUN:
        from prelu_tools.backends.onnxruntime.numpy_source import NumpySource

        reference = NumpySource(source, original, repaired, repairs)
    return Conversion(
        model=raised,
        tags=found.tags,
        parameters={
            key: Parameter(slope.layer, slope.name, slope.values, slope.indices, slope.n_calls)
            for key, slope in found.parameters.items()
        },
        route=f"onnx {onnx.__version__}",
        kept_names={
            tensor.name: tensor.name
            for tensor in raised.proto.graph.initializer
            if not is_generated(tensor.name)
        },
        notes=_notes(source, found, repairs, listed),
        properties={
            entry.key: entry.value
            for entry in source.model.proto.metadata_props
            if not entry.key.startswith("prelu_tools.")
        },
        reference=reference,
    )


def _inlined(model: OnnxModel) -> OnnxModel:
    """A copy of a model, its local functions inlined."""
    proto = model.proto
    return _copy(model, inliner.inline_local_functions(proto) if proto.functions else proto)


def _copy(model: OnnxModel, proto: onnx.ModelProto) -> OnnxModel:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return OnnxModel(copy, model.file, dict(model.memory))


def _notes(
    source: OnnxSource, found: Canonical, repairs: tuple[Repair, ...], listed: int
) -> tuple[str, ...]:
    notes = [str(repair) for repair in repairs]
    if repairs:
        notes.append(
            f"{source.spelled} does not run as it is meant: the result is held against its own "
            "graph in onnx's evaluator (numpy), with these slopes along these axes"
        )
    elif source.model.opset < _FIRST_RUN:
        notes.append(
            f"onnxruntime does not run opset {source.model.opset}: the result is held against "
            f"{source.spelled} in onnx's evaluator (numpy)"
        )
    if listed:
        notes.append(
            f"{listed} weights were listed as inputs that a caller may override: they are "
            "constants now"
        )
    if source.model.proto.functions:
        notes.append("local functions were inlined")
    if found.n_hidden:
        notes.append(
            f"{found.n_hidden} PReLU calls are in the body of an If, Loop or Scan: {TOOL} compares "
            "their slopes and the model's outputs, and does not look into them as they run"
        )
    return tuple(notes)
