"""Samples that are saved to `.keras` first: what loads, what does not, and what is said then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper
from running import ROOT, cli, environment
from sample_list import FOLDER, Sample, sample

from prelu_tools.backends.source_spec import build_object, parse_source_spec

Exports = Callable[[Sample], Path]
pytestmark = pytest.mark.keras

_SCRIPT = """
import contextlib, io, json, sys
from prelu_tools.cli.main import run

found = []
for arguments in json.loads(sys.argv[1]):
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        found.append((run(arguments), err.getvalue()))
print(json.dumps(found))
"""


def _saved(label: str, path: Path) -> Path:
    build_object(parse_source_spec(sample(label).source)).save(path)
    return path


def _in_a_new_process(*commands: list[str], cwd: Path) -> list[tuple[int, str]]:
    """Run command lines one after the other where no sample has been imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(PYTHONPATH=str(ROOT)),
        check=True,
    )
    return [(code, err) for code, err in json.loads(done.stdout.splitlines()[-1])]


def test_a_saved_model_comes_back_with_its_class(tmp_path: Path) -> None:
    archive, result = _saved("keras_where.py:decayed_net", tmp_path / "net.keras"), "net.onnx"
    export = ["export", str(archive), "-o", result, "-q"]
    without, with_class = _in_a_new_process(
        export,
        [*export, "--custom-objects", f"{FOLDER}/keras_where.py:LearnedSlope"],
        cwd=tmp_path,
    )
    assert without[0] == 3
    assert "--custom-objects" in without[1]
    assert "LearnedSlope" in without[1]
    assert with_class == (0, "")
    model = onnx.load(tmp_path / result)
    assert [n.name for n in model.graph.node if n.op_type == "PRelu"] == ["prelu1", "prelu2"]


def test_all_classes_of_a_file_may_be_given_at_once(tmp_path: Path, exports: Exports) -> None:
    trained = sample("keras_where.py:decayed_net")
    archive = _saved(trained.label, tmp_path / "net.keras")
    result = tmp_path / "net.onnx"
    objects = ("--custom-objects", FOLDER / "keras_where.py")
    assert cli("export", archive, "-o", result, "-q", *objects).code == 0
    assert cli("verify", archive, result, *objects).code == 0
    live, saved = (
        {t.name: numpy_helper.to_array(t).tolist() for t in onnx.load(path).graph.initializer}
        for path in (exports(trained), result)
    )
    assert live == saved


def test_a_class_without_kwargs_is_told_how_to_help_itself(tmp_path: Path) -> None:
    archive = _saved("keras_where.py:article_net", tmp_path / "net.keras")
    objects = ("--custom-objects", FOLDER / "keras_where.py:ArticleSlope")
    found = cli("export", archive, "-o", tmp_path / "net.onnx", *objects)
    assert found.code == 3
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1
    for words in ("ArticleSlope.__init__", "**kwargs", "export the live model", str(archive)):
        assert words in found.err
    assert not (tmp_path / "net.onnx").exists()


def test_a_class_that_is_not_in_the_file_named_is_a_usage_error(tmp_path: Path) -> None:
    archive = _saved("keras_where.py:article_net", tmp_path / "net.keras")
    wrong = FOLDER / "keras_where.py:Nothing"
    found = cli("export", archive, "-o", tmp_path / "net.onnx", "--custom-objects", wrong)
    assert found.code == 2
    assert "'Nothing'" in found.err


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_an_untrained_net_is_at_its_start(tmp_path: Path, start: float) -> None:
    archive = tmp_path / "digits.keras"
    call = f"convnet(alpha_init={start}, alpha_spread=0.0, shared_axes=(1, 2))"
    build_object(parse_source_spec(f"{FOLDER}/keras_digits.py:{call}")).save(archive)
    layers = cli("inspect", archive, "--format", "json").json["layers"]
    assert [layer["statistics"]["count"] for layer in layers] == [32, 64, 256]
    for layer in layers:
        assert {"at_init", "uniform"} <= set(layer["health"])
        assert layer["statistics"]["mean"] == start
