"""An option that would be ignored is a mistake in the command line: exit 2, and what to do."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from onnx import helper, numpy_helper, save
from running import cli

from prelu_tools import export, inspect, verify
from prelu_tools.backends.preflight.heeded import refuse_ignored_options
from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.cli.main import run
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.optimize.request import OptimizeRequest
from prelu_tools.commands.record.request import RecordRequest
from prelu_tools.commands.speaking import in_check_file, in_python
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import InputOption, SourceOptions
from prelu_tools.core.requests.option import Option, declared_options
from prelu_tools.testing import assert_parity


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    value = [helper.make_tensor_value_info(name, 1, ["batch", 3]) for name in ("x", "y")]
    slopes = numpy_helper.from_array(np.float32([0.5, -0.25, 2]), "slopes")
    node = helper.make_node("PRelu", ["x", "slopes"], ["y"])
    made = helper.make_graph([node], "g", value[:1], value[1:], [slopes])
    path = tmp_path / "net.onnx"
    save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    path = tmp_path / "net.safetensors"
    save_file({"act.weight": np.float32([0.5, -0.25, 2])}, path)
    return path


def test_inspect_reads_a_graph_without_inputs(graph: Path) -> None:
    found = cli("inspect", graph, "--input", "x:1,3")
    assert found.code == 2
    assert "--input" in found.err
    assert cli("inspect", graph).code == 0


@pytest.mark.torch
def test_inspect_reads_weights_without_inputs(weights: Path) -> None:
    found = cli("inspect", weights, "--input", "x:1,3")
    assert found.code == 2
    assert "--input" in found.err
    assert cli("inspect", weights).code == 0


@pytest.mark.parametrize("command", ["inspect", "export", "verify"])
def test_custom_objects_are_for_keras(graph: Path, tmp_path: Path, command: str) -> None:
    more = {"inspect": [], "export": ["-o", tmp_path / "out.onnx"], "verify": [graph]}[command]
    found = cli(command, graph, *more, "--custom-objects", "layers.py")
    assert found.code == 2
    assert "--custom-objects is for Keras files" in found.err
    assert cli(command, graph, *more).code == 0


def test_of_several_sources_not_all_need_an_option(graph: Path, tmp_path: Path) -> None:
    more = ["--custom-objects", "layers.py", "--input", "x:1,3"]
    assert cli("inspect", graph, graph, *more).code == 0
    assert cli("inspect", graph, graph, graph, *more).code == 0


KINDS = {
    "net.onnx": {"inputs"},
    "net.keras": {"inputs", "custom_objects", "allow_unsafe_load"},
    "net.h5": {"inputs", "custom_objects", "allow_unsafe_load"},
    "saved": {"inputs", "allow_unsafe_load"},
    "net.pt2": {"allow_unsafe_load"},
    "net.pt": {"allow_unsafe_load"},
    "net.safetensors": set[str](),
    "net.weights.h5": set[str](),
    "nets.py:Net": {"inputs"},
    "nets.py:Net@net.pt": {"inputs", "allow_unsafe_load"},
    "nets.py:Net@net.safetensors": {"inputs"},
}
"""Sources, and the options that change what is done with each when it is run."""
READ = {
    **{name: set[str]() for name in ("net.onnx", "net.keras", "net.h5", "saved")},
    "net.pt": {"allow_unsafe_load"},
}
"""The same where `inspect` reads the file and runs no model."""
GIVEN: dict[str, Any] = {
    "inputs": (InputOption("x", (1, 3)),),
    "custom_objects": ("layers.py",),
    "allow_unsafe_load": True,
}


class _Named:
    """A source of which nothing is asked but how it is spelled, and what goes in."""

    graph, framework = None, ""

    def __init__(self, label: str) -> None:
        self.label = label

    def inputs(self) -> list[TensorSpec]:
        return [TensorSpec("x", "float32", ("batch", 3), (1, 3))]


def _refuses(sources: list[str], options: SourceOptions, inspects: bool = False) -> bool:
    try:
        request = InspectRequest(options=options)
        refuse_ignored_options([cast(Source, _Named(s)) for s in sources], request, inspects)
    except UsageError:
        return True
    return False


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("option", GIVEN)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("folder")
def test_each_option_counts_for_each_kind_of_source_or_is_refused(kind: str, option: str) -> None:
    assert set(GIVEN) == {f.name for f in fields(SourceOptions)} - {
        "show_chatter",
        "is_shared",
        "other",
    }
    options = SourceOptions(**{option: GIVEN[option]})
    assert _refuses([kind], options) is (option not in KINDS[kind])
    seen = READ.get(kind, KINDS[kind])
    own = {"custom_objects": KINDS[kind] & {"custom_objects"}}.get(option, seen)
    assert _refuses([kind], options, inspects=True) is (option not in own)
    both = _refuses([kind, "net.safetensors"], options)
    assert both is (option not in KINDS[kind])
    assert not _refuses([kind], replace(options, is_shared=True))


def test_an_input_that_no_source_has_is_refused() -> None:
    options = SourceOptions(inputs=(InputOption("z", (1, 3)), InputOption("x", (1, 3))))
    assert _refuses(["a.onnx", "b.onnx"], options)


_LAYOUTS = "--layout reference=nchw --layout candidate=nchw"


@pytest.mark.parametrize(
    ("command", "idle", "counts"),
    [
        ("verify", "--input z:2,3", "--input x:2,3"),
        ("verify", "--allow-unsafe-load", ""),
        ("verify", "--inputs in.npz --seed 5", "--inputs in.npz --seed 5 --samples 2"),
        ("verify", "--inputs in.npz --search-seconds 1", "--search-seconds 0"),
        ("verify", "--inputs in.npz --input-range 0,1", "--input-range -1,1"),
        ("verify", "--no-power --min-power 0.5", "--power --min-power 0.5"),
        ("verify", "--no-layers --min-coverage 0.5", "--min-coverage 0.5"),
        ("verify", "--no-layers --min-hits 1", "--min-hits 1"),
        ("verify", "--no-layers --strict-special", "--strict-special"),
        ("verify", "--no-layers --min-power 0", "--min-power 0"),
        ("verify", "--inputs in.npz --seed 0", "--inputs in.npz"),
        ("verify", "--layout refrence=nchw", _LAYOUTS),
        ("verify", "--layout reference=nchw", _LAYOUTS),
        ("verify", "--allow-fallback", ""),
        ("export", "--input z:2,3", "--input x:2,3"),
        ("verify", "--quick --min-power 1", "--quick"),
        ("export", "--no-verify --quick", "--no-verify"),
        ("export", "--no-verify --input-range 0,1", "--input-range -1,1"),
        ("export", "--input-layout nchw", "--input-layout keep"),
        ("record", "--inputs in.npz --seed 5", "--inputs in.npz --seed 5 --samples 2"),
        ("optimize", "--input z:2,3", "--input x:2,3"),
        ("optimize", "--slope-axis 1", "--slope-axis 1 --repair-slopes"),
        ("optimize", "--no-tune --tune-seconds 1", "--no-tune"),
        ("optimize", "--target portable --tune", "--target portable"),
        ("optimize", "--target portable --threads 2", "--target portable"),
    ],
)
def test_an_option_that_something_else_makes_idle_is_refused(
    graph: Path, monkeypatch: pytest.MonkeyPatch, command: str, idle: str, counts: str
) -> None:
    monkeypatch.chdir(graph.parent)
    np.savez("in.npz", x=np.float32([[1, 2, 3], [-1, -2, -3]]))
    more = (
        ["net.onnx"]
        if command == "verify"
        else ["-o", f"out.{'npz' if command == 'record' else 'onnx'}", "--force"]
    )
    for options, expected in ((idle, 2), (counts, 0)):
        assert run([command, "net.onnx", *more, "-q", *options.split()]) == expected, options


def test_each_place_speaks_of_options_as_it_names_them(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One declaration beside the field: the command line, check files and the library say it."""
    monkeypatch.chdir(graph.parent)
    found = cli("verify", "net.onnx", "net.onnx", "--no-power", "--min-power", "1")
    assert (found.code, found.out) == (2, "")
    assert "--min-power would be ignored: --no-power plants no faults" in found.err
    check = 'reference = "net.onnx"\ncandidates = ["net.onnx"]\npower = false\nmin_power = 1\n'
    Path("prelu-tools.toml").write_text(f"[[checks]]\n{check}")
    found = cli("verify")
    assert (found.code, found.out) == (2, "")
    assert "min_power would be ignored: power = false plants no faults" in found.err
    for function in (verify, assert_parity):
        with pytest.raises(UsageError, match=r"^layout has 'refrence', .*; did you mean"):
            function("net.onnx", "net.onnx", layout={"refrence": "nchw"})
        with pytest.raises(UsageError) as caught:
            function("net.onnx", "net.onnx", power=False, min_power=1.0)
        assert str(caught.value) == "min_power would be ignored: power=False plants no faults"


def test_each_place_speaks_of_kinds_of_sources_too(
    graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(graph.parent)
    said = "is for Keras files, but net.onnx is not one: leave it out"
    assert f"--custom-objects {said}" in cli("inspect", "net.onnx", "--custom-objects", "a.py").err
    with pytest.raises(UsageError, match=f"^custom_objects {said}"):
        inspect("net.onnx", custom_objects="a.py")
    with pytest.raises(UsageError, match=r"^input_layout is for Keras models, but net\.onnx is"):
        export("net.onnx", "out.onnx", input_layout="nchw")


def test_sizes_that_contradict_a_file_are_refused(graph: Path) -> None:
    """A name, or the file's own number, is none; nor is a size that some model of a check takes."""
    out = graph.with_name("new.onnx")
    for given, code in (("batch,3", 0), ("4,3", 0), ("batch,c", 0), ("batch,4", 2)):
        found = cli("export", graph, "-o", out, "--force", "--input", f"x:{given}")
        assert found.code == code, (given, found.err)
        assert code == 0 or f"--input x:{given}: {graph} takes x:batch,3" in found.err


NEEDING = [
    (request, one)
    for request in (VerifyRequest, ExportRequest, OptimizeRequest, InspectRequest, RecordRequest)
    for one in declared_options(request)
    if one.needs or one.sources
]


@pytest.mark.parametrize(
    ("request_type", "option"), NEEDING, ids=[f"{r.__name__}-{o.field}" for r, o in NEEDING]
)
def test_what_is_declared_can_be_said_in_python_and_in_a_check_file(
    request_type: type, option: Option
) -> None:
    for said in (*(why for _, why in option.needs), option.sources):
        assert "--" not in in_python(said)
        assert request_type is not VerifyRequest or "--" not in in_check_file(said)
