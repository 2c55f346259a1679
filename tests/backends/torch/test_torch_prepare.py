"""Wrappers, parametrizations, types and files of weights: what is taken off, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli
from torch_nets import export, try_export, write_nets

from prelu_tools import inspect
from prelu_tools.backends.opening import open_source
from prelu_tools.backends.torch.prepare import prepared
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn

_NETS = """
import io


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.act = nn.Conv1d(3, 2, 1), prelu(0.5, -0.5)

    def forward(self, x):
        return self.act(self.conv(x))

    def example_inputs(self):
        return (torch.zeros(1, 3, 4, dtype=self.conv.bias.dtype),)


def compiled():
    return torch.compile(nn.DataParallel(Net()))


def compiled_inside():
    made = nn.Sequential(torch.compile(Net()))
    made.example_inputs = Net().example_inputs
    return made


def compiled_in_place():
    made = Net()
    made.compile()
    return made


class Softplus(nn.Module):
    def forward(self, x):
        return F.softplus(x)


class Normed(Net):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.utils.weight_norm(self.conv)
        self.last = parametrizations.weight_norm(nn.Conv1d(2, 2, 1))
        self.spectral = torch.nn.utils.spectral_norm(nn.Conv1d(2, 2, 1))
        parametrize.register_parametrization(self.act, "weight", Softplus())

    def forward(self, x):
        return self.last(self.spectral(super().forward(x)))


NORMED = Normed().eval()


def half():
    return Net().half()


def brain():
    return Net().bfloat16()


def double():
    return Net().double()


class Branch(Net):
    example: int = 3

    def __init__(self, given=None):
        super().__init__()
        self.times, self.names, self.given = 2, ["a", "b"], given
        self.acts = nn.ModuleList([self.act, prelu(0.25, 2.0)])
        self.register_buffer("shift", torch.ones(2, 1))

    def forward(self, x):
        x = self.conv(x) + self.shift
        for act in self.acts:
            x = act(x) * self.times
        return x


class Asking(Net):
    def forward(self, x):
        if torch.jit.is_scripting():
            return self.act(self.conv(x))
        return self.conv(x)


def script():
    return torch.jit.script(Branch())


class ScriptInside(Net):
    def __init__(self):
        super().__init__()
        self.act = nn.ModuleDict({"one": torch.jit.script(self.act)})

    def forward(self, x):
        return self.act["one"](self.conv(x))


def traced():
    return torch.jit.trace(Net(), torch.zeros(1, 3, 4))


def loaded():
    held = io.BytesIO()
    torch.jit.save(torch.jit.script(Net()), held)
    held.seek(0)
    return torch.jit.load(held)


class OtherName(nn.Module):
    @torch.jit.export
    def other(self, x):
        return x


def without_forward():
    held = io.BytesIO()
    torch.jit.save(torch.jit.script(OtherName()), held)
    held.seek(0)
    return torch.jit.load(held)


def asking():
    return torch.jit.script(Asking())


class Changing(Net):
    def forward(self, x):
        return self.act(self.conv(x))

    def other(self, x):
        return self.conv(x)


def changed():
    made = torch.jit.script(Changing())
    Changing.forward = Changing.other
    return made
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nets(tmp_path_factory.mktemp("nets") / "torch_prepare.py", _NETS)


@pytest.mark.parametrize(
    ("name", "layer", "said"),
    [
        ("compiled", "act", "unwrapped: torch.compile, DataParallel"),
        ("compiled_inside", "0.act", "unwrapped: 0"),
        ("compiled_in_place", "act", ""),
    ],
)
def test_wrappers_are_taken_off(nets: Path, name: str, layer: str, said: str) -> None:
    found = export(f"{nets}:{name}")
    assert found.slopes[layer].reshape(-1).tolist() == [0.5, -0.5]
    assert said in found.text
    assert found.operators == ["Conv", "PRelu"]


def test_parametrizations_are_computed_once_in_a_copy(nets: Path) -> None:
    found = export(f"{nets}:NORMED")
    assert "parametrized weights were computed once: conv, act, last, spectral" in found.text
    assert found.operators == ["Conv", "PRelu", "Conv", "Conv"]
    names = {tensor.name for tensor in found.graph.initializer}
    assert {"conv.weight", "act.weight", "last.weight", "spectral.weight"} <= names
    expected = np.log1p(np.exp(np.array([0.5, -0.5], np.float32)))
    np.testing.assert_allclose(found.slopes["act"].reshape(-1), expected, rtol=1e-6)
    again = export(f"{nets}:NORMED")  # the very same object
    assert again.slopes["act"].tobytes() == found.slopes["act"].tobytes()


def test_float16_is_widened(nets: Path) -> None:
    found = export(f"{nets}:half")
    assert "float16 was widened to float32" in found.text
    assert {tensor.data_type for tensor in found.graph.initializer} == {1}
    assert found.graph.input[0].type.tensor_type.elem_type == 1


def test_a_module_that_is_widened_stays_as_it_was() -> None:
    own = nn.Sequential(nn.Conv1d(3, 2, 1), nn.PReLU(2), nn.BatchNorm1d(2)).half()
    own.add_module("tied", own[1])
    wide = prepared(own).module
    assert {v.dtype for v in own.state_dict().values()} == {torch.float16, torch.int64}
    assert {v.dtype for v in wide.state_dict().values()} == {torch.float32, torch.int64}
    assert wide.tied.weight is wide[1].weight


def test_an_exported_program_is_a_module_too() -> None:
    net = nn.Sequential(nn.Conv1d(3, 2, 1), nn.PReLU(2))
    program = torch.export.export(net.eval(), (torch.zeros(1, 3, 4),)).module()
    assert len(inspect(program, input={"input": (1, 3, 4)}).layers) == 1


@pytest.mark.parametrize(("name", "kind"), [("brain", "bfloat16"), ("double", "float64")])
def test_types_that_onnxruntime_lacks_are_refused(nets: Path, name: str, kind: str) -> None:
    found = try_export(f"{nets}:{name}")
    assert found.code == 3
    assert f"conv.weight of {nets}:{name} is {kind}" in found.words.replace("\n", "")
    assert "call .float() on the module" in found.words


def test_bfloat16_can_be_inspected(nets: Path) -> None:
    (layer,) = cli("inspect", f"{nets}:brain", "--format", "json").json["layers"]
    assert (layer["dtype"], layer["statistics"]["min"]) == ("bfloat16", -0.5)


@pytest.mark.parametrize(
    ("name", "slopes"),
    [
        ("script", {"act": [0.5, -0.5], "acts.1": [0.25, 2.0]}),
        ("ScriptInside", {"act.one": [0.5, -0.5]}),
    ],
)
def test_script_modules_run_as_the_python_that_they_are_from(
    nets: Path, name: str, slopes: dict[str, list[float]]
) -> None:
    found = export(f"{nets}:{name}", *(("--input", "x:n,3,4") if name == "script" else ()))
    assert "TorchScript, run as the Python it was compiled from" in found.text
    assert {n: values.reshape(-1).tolist() for n, values in found.slopes.items()} == slopes


@pytest.mark.parametrize("name", ["traced", "loaded", "asking", "changed"])
def test_other_script_modules_run_by_their_graph(nets: Path, name: str) -> None:
    found = export(f"{nets}:{name}", "--input", "x:n,3,4")
    assert "TorchScript, run by the graph that was compiled" in found.text
    assert {n: values.reshape(-1).tolist() for n, values in found.slopes.items()} == {
        "act": [0.5, -0.5]
    }
    assert found.operators == ["Conv", "PRelu"]


def test_compiled_types_are_not_widened(nets: Path) -> None:
    source = open_source(f"{nets}:loaded", SourceOptions())
    with pytest.raises(PReLUToolsError, match="the types that were compiled into it"):
        source.wide_runner()


def test_a_script_module_without_a_graph_is_refused_with_advice(nets: Path) -> None:
    found = try_export(f"{nets}:without_forward", "--input", "x:n,3,4")
    assert found.code == 3
    assert "without_forward is a ScriptModule whose graph cannot be read" in found.words
    assert "use the class that it was made from, with its weights after an @" in found.words


def test_what_weights_were_taken_out_of_is_said(nets: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {
        "conv.weight": torch.ones(2, 3, 1),
        "conv.bias": torch.zeros(2),
        "act.weight": torch.tensor([0.125, 2.0]),
    }
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "w.pth")
    found = export(f"{nets}:Net@{tmp_path / 'w.pth'}")
    said = "w.pth: the weights are under state_dict; removed from the weights' names: the prefix"
    assert said in found.text
    assert found.slopes["act"].reshape(-1).tolist() == [0.125, 2.0]
    save_file(state, tmp_path / "w.safetensors")
    found = export(f"{nets}:compiled@{tmp_path / 'w.safetensors'}")
    assert "the weights are under" not in found.text
    assert found.slopes["act"].reshape(-1).tolist() == [0.125, 2.0]


def test_a_program_with_nested_inputs(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Parameter(torch.tensor([0.5, -0.5, 2.0]))
            self.fc = nn.Linear(3, 3)

        def forward(self, batch: Any, scale: float) -> Any:
            x = self.fc(batch["image"])
            return {"y": torch.where(x > 0, x, self.a * x) * scale + batch["mask"]}

    given = ({"image": torch.zeros(2, 3), "mask": torch.zeros(2, 3)}, 0.5)
    rows = torch.export.Dim("rows")
    shapes = ({"image": {0: rows}, "mask": {0: rows}}, None)
    program = torch.export.export(Net(), given, dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")
    outcome = cli("export", tmp_path / "net.pt2", "-o", tmp_path / "net.onnx", "-q")
    assert outcome.code == 0, outcome.words
    document = cli("inspect", tmp_path / "net.onnx", "--format", "json").json
    assert [layer["parameter"] for layer in document["layers"]] == ["a"]
    import onnx

    graph = onnx.load(tmp_path / "net.onnx").graph
    assert [value.name for value in graph.input] == ["batch.image", "batch.mask"]
    assert [value.name for value in graph.output] == ["y"]
