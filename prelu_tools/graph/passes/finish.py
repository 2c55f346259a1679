"""The last steps of an export: name, describe, check."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
from onnx import checker, shape_inference

import prelu_tools
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.slopes import SlopeParameter
from prelu_tools.core.prelu.tags import TagBook
from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.metadata import SOURCE, SOURCE_HASH, TOOL, WEIGHTS_HASH
from prelu_tools.graph.io.model import MEMORY, OnnxModel, all_tensors, external_tensors, set_place
from prelu_tools.graph.operators import check_operators
from prelu_tools.graph.passes.canonical import settle_slopes
from prelu_tools.graph.passes.tidy import tidy
from prelu_tools.graph.walk import all_nodes

IR_VERSION = 10
"""The IR version to write: the first with metadata on nodes (onnx 1.16; onnxruntime 1.18)."""
_NEWER_TYPES = range(onnx.TensorProto.INT4 + 1, 64)  # of later versions


def finish(
    model: OnnxModel,
    tags: TagBook,
    parameters: Mapping[str, SlopeParameter],
    kept_names: Mapping[str, str],
    properties: Mapping[str, str],
    is_verified: bool = False,
) -> tuple[str, ...]:
    """Turn a conversion with tags into the model that is written, in place.

    Args:
        model: every PReLU is one PRelu node, its slopes are tags.
        tags: the meaning of the tags.
        parameters: the slope tensors by their key in `tags`.
        kept_names: initializers that carry a name of the source.
        properties: metadata of the model; the hash of its weights is added if they contain no hash
            of the source.
        is_verified: see `settle_slopes`.

    Returns:
        The layers with missing calls, in words: see `settle_slopes`.

    Raises:
        PReLUToolsError: a PReLU is missing, or the result is not a valid ONNX model.
    """
    proto = model.proto
    missing = settle_slopes(model, tags, parameters, is_verified)
    tidy(proto.graph, kept_names)
    proto.graph.name = properties.get(SOURCE, TOOL)
    proto.producer_name, proto.producer_version = TOOL, prelu_tools.__version__
    if not any(tensor.data_type in _NEWER_TYPES for tensor in all_tensors(proto)):
        proto.ir_version = IR_VERSION
    proto.doc_string = ""
    used = {node.domain for node in all_nodes(proto.graph.node)} | {""}
    opsets = [entry for entry in proto.opset_import if entry.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(opsets)
    del proto.metadata_props[:], proto.functions[:]
    said = dict(properties)
    if SOURCE_HASH not in said:
        said[WEIGHTS_HASH] = _weights_sha256(model)
    for key, value in sorted(said.items()):
        proto.metadata_props.add(key=key, value=value)
    check(model)
    return missing


def _weights_sha256(model: OnnxModel) -> str:
    """SHA-256 over names, types, shapes and values of the initializers, by name, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in sorted(model.proto.graph.initializer, key=lambda tensor: tensor.name):
        values = np.ascontiguousarray(model.values(tensor))
        digest.update(f"{tensor.name}\0{tensor.data_type}{list(tensor.dims)}\0".encode())
        digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def check(model: OnnxModel) -> None:
    """Whether a model is valid: for its opset, for onnx, and as to its slopes.

    Raises:
        PReLUToolsError: it is not.
    """
    check_operators(model.proto)
    try:
        _check_skeleton(model.proto)
        shape_inference.infer_shapes(model.proto, strict_mode=True)
    except Exception as error:
        raise PReLUToolsError(
            f"the exported graph is not valid ONNX: {' '.join(str(error).split())}"
        ) from error
    check_slopes(model, "exported")


def check_slopes(model: OnnxModel, what: str) -> None:
    """Findings that `inspect` calls errors are errors: onnx accepts slopes that no runtime can use.

    Args:
        model: the model.
        what: the verb, as in "exported".

    Raises:
        PReLUToolsError: a layer has one.
    """
    for found in survey(model, explain=False, target=None).layer_findings:
        for finding in found:
            if finding.severity == "error":
                raise PReLUToolsError(
                    f"layer {finding.layer!r} cannot be {what}: {finding.message}"
                )


def _check_skeleton(proto: onnx.ModelProto) -> None:
    """The checker wants to see a file where external data is: it is shown an empty one."""
    skeleton = deepcopy(proto)
    for tensor in external_tensors(skeleton):
        set_place(tensor, {"location": MEMORY})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MEMORY).touch()
        path = Path(folder, "skeleton.onnx")
        path.write_bytes(skeleton.SerializeToString())
        checker.check_model(str(path))
