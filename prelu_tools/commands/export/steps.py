"""The steps of an export between conversion and file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from onnx import TensorProto

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Conversion, Source
from prelu_tools.commands.optimize.command import optimize
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.optimization import OptimizeResult
from prelu_tools.core.results.reasons import Reason, counted
from prelu_tools.graph.io.model import OnnxModel
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.io.writer import write_model
from prelu_tools.graph.operators import check_operators
from prelu_tools.graph.passes.finish import check, finish
from prelu_tools.graph.passes.opset import inline_functions, raise_opset
from prelu_tools.graph.view import GraphView
from prelu_tools.graph.walk import all_nodes, is_onnx

_LACKING: Final[Mapping[int, tuple[str, tuple[str, ...]]]] = {
    TensorProto.DOUBLE: ("float64", ("Conv", "ConvTranspose")),
    TensorProto.BFLOAT16: ("bfloat16", ("Conv", "ConvTranspose", "PRelu", "Gemm")),
}
"""Types for which onnxruntime's CPU provider lacks kernels, and of which operators."""
_OTHERS = ("LeakyRelu", "Relu")
"""What a model may have in the place of PReLU."""


def finished(
    conversion: Conversion,
    source: Source,
    origin: Mapping[str, str],
    opset: int,
    is_verified: bool,
) -> tuple[OnnxModel, tuple[str, ...]]:
    """A conversion in the requested opset, canonical, described and checked.

    Args:
        conversion: what the backend made.
        source: its source.
        origin: its metadata: see `provenance`.
        opset: of the result.
        is_verified: whether it will be compared with its source.

    Returns:
        The model, and the layers with missing calls: see `graph.passes.canonical.settle_slopes`.

    Raises:
        PReLUToolsError: it is not available, or is not valid.
    """
    inline_functions(conversion.model)
    check_operators(conversion.model.proto)
    model = raise_opset(conversion.model, opset)
    properties = {**conversion.properties, **origin}
    missing = finish(
        model,
        conversion.tags,
        conversion.parameters,
        conversion.kept_names,
        properties,
        is_verified,
    )
    _check_inputs(model, source.inputs())
    return model, missing


def _check_inputs(model: OnnxModel, declared: Sequence[TensorSpec]) -> None:
    """Each input is there, and each size that was declared dynamic is; the axes may have moved."""
    written = {value.name: value for value in model.proto.graph.input}
    for spec in declared:
        if spec.name not in written:
            raise PReLUToolsError(
                f"input {spec.name!r} of the source is not in the result, which has "
                f"{', '.join(written) or 'none'}: the model does not use it"
            )
        dims = written[spec.name].type.tensor_type.shape.dim
        found = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
        wanted = [size if isinstance(size, int) else None for size in spec.shape]
        if Counter(found) != Counter(wanted):
            raise PReLUToolsError(
                f"input {spec.name!r} is declared [{', '.join(map(str, spec.shape))}], but the "
                f"converter wrote [{', '.join(str(size or '?') for size in found)}]: the model "
                "works at these sizes only; set them with --input"
            )


def in_type(model: OnnxModel, wanted: str | None) -> tuple[OnnxModel, tuple[str, ...]]:
    """The model in the type that was requested, and what the user should know of it.

    Raises:
        PReLUToolsError: it is not available.
    """
    _refuse_types(model)
    if wanted == "float16":
        from prelu_tools.backends.onnxruntime.half import to_float16

        narrow, notes = to_float16(model)
        check(narrow)
        return narrow, notes
    kinds = {value.type.tensor_type.elem_type for value in model.proto.graph.input}
    if wanted == "float32" and TensorProto.FLOAT16 in kinds:
        raise PReLUToolsError(
            "the source computes in float16: --dtype float32 cannot restore the lost precision; "
            "leave it out to keep float16"
        )
    return model, ()


def _refuse_types(model: OnnxModel) -> None:
    """Reject a model that computes in a type for which there are no kernels.

    Raises:
        PReLUToolsError: a convolution is in float64, or anything of note in bfloat16.
    """
    view = GraphView(model)
    for node in view.graph.node:
        kind = view.element_type(node.input[0]) if node.input and node.input[0] else None
        name, operators = _LACKING.get(kind or 0, ("", ()))
        if node.op_type in operators:
            raise PReLUToolsError(
                f"{node.name or node.output[0]} ({node.op_type}) computes in {name}, for which "
                "onnxruntime's CPU provider has no kernel: export the model in float32 "
                "(in PyTorch: model.float())"
            )


def for_onnxruntime(
    model: OnnxModel, folder: Path, options: SourceOptions
) -> tuple[OnnxModel, OptimizeResult]:
    """The model with its PReLU in the forms that the cost model (no clock) chooses.

    Args:
        model: a finished model.
        folder: an empty one that files can be put in; the model that is returned is read from it.
        options: how the user wants sources to be read.

    Raises:
        PReLUToolsError: a form is not exact.
    """
    portable, fast = folder / "portable.onnx", folder / "fast.onnx"
    write_model(model, portable)
    result = optimize(
        OptimizeRequest(str(portable), fast, tune=False, timed=False, options=options)
    )
    found = read_model(fast)
    check(found)
    return found, result


def notes_without_prelu(
    source: Source, layers: Sequence[PReLULayer], model: OnnxModel
) -> Iterator[Reason]:
    """At most one sentence: that there is no PReLU, neither in a source nor in its file.

    Args:
        source: the source.
        layers: of the file.
        model: the file.
    """
    if layers or source.layers():
        return
    kinds = Counter(node.op_type for node in all_nodes(model.proto.graph.node) if is_onnx(node))
    others = [counted(kinds[kind], f"{kind} node") for kind in _OTHERS if kinds[kind]]
    but = f" (but {' and '.join(others)})" if others else ""
    yield Reason(f"{source.label} has no PReLU{but}: no slopes were exported", "no_prelu")
