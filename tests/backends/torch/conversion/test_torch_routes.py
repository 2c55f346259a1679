"""Which converter takes a torch module, what it is said to have changed, and which opset comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch_nets import export, try_export, write_nets

from prelu_tools.backends.opening import open_source
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import ConversionOptions, SourceOptions

torch = pytest.importorskip("torch")
convert = pytest.importorskip("prelu_tools.backends.torch.conversion.convert")
RouteError = pytest.importorskip("prelu_tools.backends.torch.conversion.task").RouteError
pytestmark = pytest.mark.torch

_NETS = """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = prelu(0.5, -0.5, 2.0)

    def example_inputs(self):
        return (torch.zeros(1, 3, 4),)


class Numpy(Net):
    '''Runs Python that only TorchDynamo follows.'''

    def forward(self, x):
        factor = float(torch.ones(3).numpy().sum())
        return self.act(x) * factor


class Harmless(Net):
    '''Branches on values, and never takes the other side.'''

    def forward(self, x):
        if x.abs().sum() < 0:
            raise ValueError("cannot be")
        return self.act(self.act(x))


class Branching(Net):
    '''Branches on values.'''

    def forward(self, x):
        return self.act(x) if x.sum() > 0 else x


class OneRow(Net):
    '''Takes the batch of its example alone.'''

    def forward(self, x):
        return self.act(x.reshape(1, 3, 4))


class RowByRow(Net):
    '''Runs for any batch, and makes a graph of one.'''

    def forward(self, x):
        return torch.stack([self.act(row[None])[0] for row in x])


class Long(Net):
    '''Does something else for long inputs.'''

    def forward(self, x):
        return self.act(x) if x.shape[2] > 2 else x


class Windowed(Net):
    '''Refuses what is shorter than its window.'''

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 3, 3)

    def forward(self, x):
        return self.act(self.conv(x))


class Normed(Net):
    '''LayerNormalization is there from opset 17 on, and ReduceMax changed with 18.'''

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x):
        return self.act(self.norm(x)).amax(2)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nets(tmp_path_factory.mktemp("nets") / "torch_routes.py", _NETS)


def _convert(nets: Path, name: str, **wanted: Any) -> Any:
    source: Any = open_source(f"{nets}:{name}", SourceOptions())
    return source.convert(ConversionOptions(**wanted))


def test_a_module_that_the_first_route_refuses_goes_by_the_second(nets: Path) -> None:
    found = _convert(nets, "Numpy")
    assert found.route == f"torch.onnx {torch.__version__} (dynamo strict)"
    (refused,) = found.refused
    assert refused.route == f"torch.onnx {torch.__version__} (dynamo)"
    assert "numpy()" in refused.reason
    assert export(f"{nets}:Numpy").operators == ["PRelu", "Mul"]


def test_tracing_says_what_it_fixed_and_why_the_others_failed(nets: Path) -> None:
    found = _convert(nets, "Harmless")
    assert found.route == f"torch.onnx {torch.__version__} (tracing)"
    ways = [route.route.partition(" (")[2] for route in found.refused]
    assert ways == ["dynamo)", "dynamo strict)"]
    assert all("ata-dependent" in route.reason for route in found.refused)
    (note,) = found.notes
    assert note.startswith("tracing froze torch_routes.py, line ")
    exported = export(f"{nets}:Harmless")
    assert list(exported.slopes) == ["act", "act_1"]
    assert exported.operators == ["PRelu", "PRelu"]


def test_tracing_leaves_the_module_as_it_was(nets: Path) -> None:
    source: Any = open_source(f"{nets}:Harmless", SourceOptions())
    source.convert(ConversionOptions())
    (layer,) = source.layers()
    assert layer.slopes.reshape(-1).tolist() == [0.5, -0.5, 2.0]
    assert source._module.act.weight.tolist() == [0.5, -0.5, 2.0]


def test_what_tracing_changed_is_not_written(nets: Path) -> None:
    found = try_export(f"{nets}:Branching")
    assert found.code == 1, found.words
    assert "--no-verify" not in found.words  # it would write the wrong model
    unchecked = try_export(f"{nets}:Harmless", "--no-verify")
    assert unchecked.code == 3
    assert "has to be verified (--verify)" in unchecked.words


def test_a_trace_is_only_taken_to_be_verified(nets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can fix sizes without a warning: a Conv-TasNet's batch, for one."""

    def refuse(*_: object) -> None:
        raise RouteError("refused")

    monkeypatch.setattr(convert, "by_program", refuse)
    found = _convert(nets, "Normed")
    assert found.needs_check
    assert found.notes == ()  # no warning
    with pytest.raises(PReLUToolsError, match="its result has to be verified"):
        _convert(nets, "Normed", is_verified=False)


def test_a_batch_that_the_module_fixes_is_said(nets: Path) -> None:
    found = export(f"{nets}:OneRow")
    assert found.inputs == {"x": [1, 3, 4]}
    assert "the batch size is fixed at 1, as in example_inputs()" in found.text
    assert "invalid for input of size 24" in found.text
    found = export(f"{nets}:RowByRow")
    assert found.inputs == {"x": [1, 3, 4]}
    assert (
        "the batch size is fixed at 1, as in example_inputs(): torch_routes.py, line"
    ) in found.text


def test_a_dimension_that_is_to_be_free_and_is_not_is_refused(nets: Path) -> None:
    found = try_export(f"{nets}:RowByRow", "--input", "x:rows,3,4")
    assert found.code == 2
    assert "rows of x is always 2" in found.words
    assert "for row in x" in found.words
    assert "--input x:2,3,4" in found.words


def test_sizes_that_the_graph_is_not_for_are_said(nets: Path) -> None:
    """Sizes that the module refuses too: nothing is lost where the graph is not for them."""
    found = export(f"{nets}:Windowed", "--input", "x:batch,3,length")
    assert "valid only if size length of input 'x' is at least 3: the module rejects" in found.text
    assert found.inputs == {"x": ["batch", 3, "length"]}


def test_a_free_size_at_which_the_graph_is_another_function_is_not_written(nets: Path) -> None:
    """The graph is for 3 and more; at 2, which was to be free as well, the module is another."""
    found = try_export(f"{nets}:Long", "--input", "x:batch,3,length")
    assert found.code == 1, found.words
    assert "it differs for x of shape 2x3x2, but not for x of shape" in found.words
    assert "valid only if size length of input 'x' is at least 3: the module rejects" in found.words
    assert export(f"{nets}:Long", "--input", "x:batch,3,4").inputs == {"x": ["batch", 3, 4]}


def test_every_opset_is_the_one_that_was_asked(nets: Path) -> None:
    """Above what torch writes, its nearest; below, the older exporter where torch's keeps 18."""
    for asked, written, route in ((17, 17, "dynamo"), (16, 16, "tracing"), (26, 23, "dynamo")):
        found = _convert(nets, "Normed", opset=asked)
        assert (found.model.opset, found.route.split()[2]) == (written, f"({route})")
        assert bool(found.refused) == (route == "tracing")
    assert _convert(nets, "Harmless", opset=14).model.opset == 14
    found = export(f"{nets}:Normed", "--opset", "16")
    assert found.opset == 16
    assert "LayerNormalization" not in found.operators
