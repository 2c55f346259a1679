"""The models that onnx ships to test runtimes: none is refused, and none is read wrongly."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, version_converter
from onnx.backend.test.case import node as node_tests

from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import locate_layers
from prelu_tools.graph.view import all_views

SHIPPED = Path(onnx.__file__).parent / "backend" / "test" / "data"
FEW = ("scan", "loop", "if_", "prelu", "leakyrelu", "where", "clip", "max", "optionalhaselement",
       "sequence_map", "quantizelinear", "constantofshape")  # fmt: skip
OPSETS = (7, 9, 11, 13, 15, 18, 21, 23, 26)


def _cases(modules: Sequence[str] | None) -> list[tuple[str, onnx.ModelProto, list[object]]]:
    """Name, model and inputs of the tests of operators: of these modules, or of all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if modules is None:
            found = node_tests.collect_testcases(None)
        else:
            for module in modules:
                importlib.import_module(f"{node_tests.__name__}.{module}")
            found = node_tests._NodeTestCases  # all that were imported in this process
    return [(case.name, case.model, list(case.data_sets[0][0])) for case in found if case.model]


def _with_constants(proto: onnx.ModelProto, values: Sequence[object]) -> onnx.ModelProto:
    """The model with every input but its first as an initializer, as far as they are tensors."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value, array in list(zip(copy.graph.input, values, strict=False))[1:]:
        if isinstance(array, np.ndarray) and array.dtype.kind in "fiub":
            copy.graph.initializer.append(numpy_helper.from_array(array, value.name))
            copy.graph.input.remove(value)
    return copy


def _read(proto: onnx.ModelProto, folder: Path) -> list[str]:
    """The forms of the layers that `inspect -v` finds."""
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return [item.layer.form for item in survey(read_model(path), explain=True, target=None).layers]


def _wrong(proto: onnx.ModelProto, folder: Path) -> Iterator[str]:
    """Outputs of layers which are not PReLU of their inputs, by the reference implementation."""
    from onnx.reference import ReferenceEvaluator

    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    model = read_model(path)
    for item in locate_layers(all_views(model)):
        for view, match in item.calls:
            shape, kind = view.shape(match.x), view.element_type(match.x)
            if view.outer is not None or shape is None or kind is None or match.order is not None:
                continue
            sizes = [size or 2 for size in shape]
            values = np.random.default_rng(0).normal(0, 3, sizes)
            x = values.astype(helper.tensor_dtype_to_np_dtype(kind))
            nodes = onnx.helper.make_graph(
                list(view.graph.node),
                "g",
                [helper.make_tensor_value_info(match.x, kind, sizes)],
                [helper.make_tensor_value_info(match.node.output[0], kind, None)],
                list(view.graph.initializer),
            )
            made = {match.x}
            kept = [n for n in nodes.node if not made & set(n.output)]
            del nodes.node[:]
            nodes.node.extend(kept)
            alone = helper.make_model(nodes, opset_imports=proto.opset_import)
            y = ReferenceEvaluator(alone).run(None, {match.x: x})[0]
            if not np.allclose(y, np.where(x > 0, x, match.slopes * x), 1e-6, 1e-7, True):
                yield match.node.output[0]


def _try(cases: Sequence[tuple[str, onnx.ModelProto, list[object]]], folder: Path) -> int:
    """Read each as it is and with constants for inputs; how many PReLU were found in all."""
    n_found = 0
    for name, proto, inputs in cases:
        plain = _read(proto, folder)
        constant = _with_constants(proto, inputs)
        found = _read(constant, folder)
        assert list(_wrong(constant, folder)) == [], name
        has_prelu = any(node.op_type == "PRelu" for node in constant.graph.node)
        if has_prelu and len(proto.graph.node) == 1:
            assert found == ["prelu"], name
        assert len(plain) <= len(found), name
        n_found += len(found)
    return n_found


def test_the_models_of_files_are_read(tmp_path: Path) -> None:
    files = sorted(SHIPPED.rglob("*.onnx"))
    assert len(files) > 100
    for path in files:
        found = survey(read_model(path), explain=True, target=None).layers
        named = "PReLU" in path.parent.name
        assert [item.layer.form for item in found] == ["prelu"] * named, path


def test_tests_of_a_few_operators_are_read(tmp_path: Path) -> None:
    assert _try(_cases(FEW), tmp_path) > 2


@pytest.mark.onnx_suite
@pytest.mark.slow
def test_tests_of_all_operators_are_read(tmp_path: Path) -> None:
    cases = _cases(None)
    assert len(cases) > 1500
    assert _try(cases, tmp_path) > 2


@pytest.mark.onnx_suite
@pytest.mark.slow
@pytest.mark.parametrize("opset", OPSETS)
def test_tests_of_all_operators_are_read_at_other_opsets(opset: int, tmp_path: Path) -> None:
    n_read = 0
    for _, proto, _ in _cases(None):
        try:
            moved = version_converter.convert_version(proto, opset)
            onnx.checker.check_model(moved, full_check=True)
        except Exception:  # the converter does not know the way, or the result is not valid
            continue
        _read(moved, tmp_path)
        n_read += 1
    assert n_read > 100
