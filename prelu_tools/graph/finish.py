"""The last steps of an export: name, describe, check."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import checker, shape_inference

import prelu_tools
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.tags import TagBook
from prelu_tools.graph.canonical import SlopeParameter, settle_slopes
from prelu_tools.graph.metadata import TOOL
from prelu_tools.graph.model import MEMORY, OnnxModel, all_tensors, is_external, set_place
from prelu_tools.graph.tidy import tidy

_IR_VERSION = 10  # the first with metadata on nodes (onnx 1.16); onnxruntime 1.18 loads it


def finish(
    model: OnnxModel,
    tags: TagBook,
    parameters: Mapping[str, SlopeParameter],
    kept_names: Mapping[str, str],
    properties: Mapping[str, str],
) -> None:
    """Turn a conversion with tags into the model that is written, in place.

    Args:
        model: every PReLU is one PRelu node, its slopes are tags.
        tags: what they stand for.
        parameters: the slope tensors by their key in `tags`.
        kept_names: initializers that carry a name of the source.
        properties: what the model says of itself, as metadata.

    Raises:
        PReLUToolsError: a PReLU is missing, or the result is no valid ONNX model.
    """
    proto = model.proto
    settle_slopes(model, tags, parameters)
    tidy(proto.graph, kept_names)
    proto.graph.name = properties.get("prelu_tools.source", TOOL)
    proto.producer_name, proto.producer_version = TOOL, prelu_tools.__version__
    proto.ir_version = max(proto.ir_version, _IR_VERSION)
    proto.doc_string = ""
    used = {node.domain for node in proto.graph.node} | {""}
    opsets = [entry for entry in proto.opset_import if entry.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(opsets)
    del proto.metadata_props[:], proto.functions[:]
    for key, value in sorted(properties.items()):
        proto.metadata_props.add(key=key, value=value)
    check(model)


def check(model: OnnxModel) -> None:
    """Let onnx look at a model and infer its shapes; it sees no large tensor's values.

    Raises:
        PReLUToolsError: it is not valid.
    """
    try:
        _check_skeleton(model.proto)
        shape_inference.infer_shapes(model.proto, strict_mode=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise PReLUToolsError(
            f"the exported graph is not valid ONNX: {' '.join(str(error).split())}"
        ) from error


def _check_skeleton(proto: onnx.ModelProto) -> None:
    """The checker wants to see a file where external data is: it is shown an empty one."""
    skeleton = onnx.ModelProto()
    skeleton.CopyFrom(proto)
    for tensor in all_tensors(skeleton):
        if is_external(tensor):
            set_place(tensor, {"location": MEMORY})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MEMORY).touch()
        path = Path(folder, "skeleton.onnx")
        path.write_bytes(skeleton.SerializeToString())
        checker.check_model(str(path))
