"""Which backend reads what; the same contract for every row."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from mnn_files import save_mnn_net
from runtime_files import save_ncnn_net, save_openvino_net
from sample_list import FOLDER
from tflite_files import save_prelu_net
from tiny_models import save_dense

import prelu_tools
from prelu_tools.backends.opening import open_source, run_by
from prelu_tools.backends.registry import ROWS, RUNTIMES, Row
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import ConversionOptions, SourceOptions

_SOURCES = {
    "torch": f"{FOLDER}/torch_layers.py:PerChannel",
    "keras": f"{FOLDER}/keras_where.py:article_net",
}


def _save_record(path: Path) -> Path:
    prelu_tools.record(save_dense(path.with_suffix(".onnx")), path)
    return path


_FILES = {
    "onnx": ("net.onnx", save_dense),
    "tflite": ("net.tflite", save_prelu_net),
    "ncnn": ("net.param", save_ncnn_net),
    "openvino": ("net.xml", save_openvino_net),
    "mnn": ("net.mnn", save_mnn_net),
    "record": ("net.npz", _save_record),
}
_MARKERS = {"torch": "torch", "keras": "keras", "onnxruntime-web": "web",
            "tflite": "keras"}  # TensorFlow runs .tflite, too  # fmt: skip


def _each_row(rows: tuple[Row, ...] = ROWS) -> pytest.MarkDecorator:
    params = []
    for row in rows:
        needs = row.extra or row.is_outside
        marks = [getattr(pytest.mark, _MARKERS.get(row.name, "runtimes"))] if needs else []
        params.append(pytest.param(row, id=row.name, marks=marks))
    return pytest.mark.parametrize("row", params)


@pytest.fixture
def source(row: Row, tmp_path: Path) -> Any:
    """A source of the row's framework."""
    text = _SOURCES.get(row.name)
    if not row.suffixes and row.converts:
        graph = open_source(str(save_dense(tmp_path / "net.onnx")), SourceOptions()).graph
        assert graph is not None
        return run_by(row.name, graph)
    if text is None:
        name, save = _FILES[row.name]
        text = str(save(tmp_path / name))
    return open_source(text, SourceOptions())


@_each_row()
def test_each_row_is_a_module_that_reads_files_and_objects(row: Row) -> None:
    module = importlib.import_module(row.module)
    assert hasattr(module, "from_file") == bool(row.suffixes)
    assert hasattr(module, "from_object") == (row.name in ("torch", "keras"))


@_each_row()
def test_each_extra_is_one_that_pip_knows(row: Row) -> None:
    import tomllib

    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    assert row.extra is None or row.extra in extras


def test_no_two_rows_claim_a_name_or_a_suffix() -> None:
    names = [row.name for row in ROWS]
    suffixes = [suffix for row in ROWS for suffix in row.suffixes]
    assert len(set(names)) == len(names)
    assert len(set(suffixes)) == len(suffixes)


@_each_row()
def test_each_source_says_what_it_is(row: Row, source: Any) -> None:
    assert source.framework == {"record": "onnx"}.get(row.name, row.name)
    assert source.label.endswith(
        ("PerChannel", "article_net", *(name for name, _ in _FILES.values()))
    )
    assert isinstance(source.producer, str)
    assert source.n_parameters > 0


@_each_row()
def test_each_source_runs_its_inputs(row: Row, source: Any) -> None:
    import numpy as np

    specs = source.inputs()
    assert specs
    assert all(len(spec.shape) == len(spec.example) for spec in specs)
    feeds = {spec.name: np.ones((2, *spec.example[1:]), spec.dtype) for spec in specs}
    if source.recording is not None:
        with pytest.raises(PReLUToolsError, match="is a record and cannot be run"):
            source.runner()
        return
    with source.runner() as runner:
        first, second = runner.run(feeds), runner.run(feeds)
    assert first.keys() == second.keys()
    for name in first:
        assert isinstance(first[name], np.ndarray)
        assert first[name].tobytes() == second[name].tobytes()


@_each_row()
def test_each_source_has_layers_that_are_read_only(row: Row, source: Any) -> None:
    layers = source.layers()
    assert layers
    for layer in layers:
        assert layer.nodes
        assert not layer.slopes.flags.writeable
        assert layer.slopes.dtype == layer.dtype


@_each_row(tuple(row for row in ROWS if row.extra and row not in RUNTIMES))
def test_each_framework_converts_with_a_tag_in_the_place_of_each_slope(
    row: Row, source: Any
) -> None:
    conversion = source.convert(ConversionOptions(17))
    assert {parameter.n_calls for parameter in conversion.parameters.values()} == {1}
    tagged = [parameter.name for parameter in conversion.parameters.values()]
    assert [layer.parameter for layer in source.layers()] == tagged
    nodes = [node for node in conversion.model.proto.graph.node if node.op_type == "PRelu"]
    assert len(nodes) == len(conversion.parameters)
    assert conversion.route


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError, match="no such file"):
        open_source(str(tmp_path / "net.onnx"), SourceOptions())
    (tmp_path / "net.txt").write_text("")
    with pytest.raises(PReLUToolsError, match=r"expected .*\.keras.*\.onnx"):
        open_source(str(tmp_path / "net.txt"), SourceOptions())
    with pytest.raises(UsageError):
        open_source("net.onnx@", SourceOptions())


def test_suffixes_are_read_in_any_case(tmp_path: Path) -> None:
    path = save_dense(tmp_path / "NET.ONNX")
    assert open_source(str(path), SourceOptions()).framework == "onnx"
