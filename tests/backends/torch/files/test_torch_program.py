"""`.pt2`: an exported program has the layers of its module, runs, and goes to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observing import Told, source_of
from running import cli

from prelu_tools.backends.opening import open_for_inspection
from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn


class Net(nn.Module):
    """A slope a channel, one for all, one module twice, and a parameter of the net itself."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.Conv2d(4, 4, 1, bias=False), nn.PReLU()
        )
        self.fc = nn.Linear(4, 5)
        self.act = nn.PReLU(5)
        self.slope = nn.Parameter(torch.zeros(5))

    def forward(self, x: Any) -> Any:
        """Run it."""
        x = self.act(self.act(self.fc(self.features(x).mean((2, 3)))))
        return nn.functional.prelu(x, self.slope)

    def example_inputs(self) -> tuple[Any, ...]:
        """One input."""
        return (torch.zeros(2, 3, 8, 8),)


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    module = Net().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return module


@pytest.fixture(scope="module")
def program(net: Any) -> Any:
    batch = torch.export.Dim("n")
    return torch.export.export(net, net.example_inputs(), dynamic_shapes=({0: batch},))


@pytest.fixture(scope="module")
def saved(program: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    torch.export.save(program, path)
    return path


def _open(path: Path) -> Any:
    return open_for_inspection(str(path), SourceOptions())


def test_a_program_has_the_layers_of_its_module(net: Any, saved: Path) -> None:
    source, live = _open(saved), source_of(net)
    assert source.notes == ()
    assert source.n_parameters == live.n_parameters
    assert [layer.name for layer in source.layers()] == ["features.1", "features.3", "act", "slope"]
    for found, wanted in zip(source.layers(), live.layers(), strict=True):
        for field in ("name", "nodes", "parameter", "form", "input_shape", "stored_shape",
                      "sharing", "channel_axis", "preceding_parameters"):  # fmt: skip
            assert getattr(found, field) == getattr(wanted, field), field
        assert same_bits(found.slopes, wanted.slopes)


def test_a_program_runs_and_tells_what_its_slopes_meet(net: Any, saved: Path) -> None:
    source = _open(saved)
    (spec,) = source.inputs()
    assert (spec.name, spec.shape) == ("x", ("batch", 3, 8, 8))
    x = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype(np.float32)
    told = Told()
    with source.runner(told) as runner:
        (output,) = runner.run({"x": x}).values()
    with torch.no_grad():
        assert np.allclose(output, net(torch.from_numpy(x)), rtol=1e-5, atol=1e-6)
    assert told.numbers == [
        ("features.1", 0), ("features.3", 0), ("act", 0), ("act", 1), ("slope", 0)
    ]  # fmt: skip
    told.check(source.layers())
    assert all((x < 0).any() for _, _, x, _ in told.calls)


def test_a_program_goes_to_onnx_with_its_names(saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "net.onnx"
    outcome = cli("export", saved, "-o", target, "-q")
    assert outcome.code == 0, outcome.err
    layers = cli("inspect", target, "--format", "json").json["layers"]
    assert [layer["parameter"] for layer in layers] == [
        "features.1.weight", "features.3.weight", "act.weight", "slope",
    ]  # fmt: skip


def test_other_spellings_are_found_too(net: Any, program: Any, tmp_path: Path) -> None:
    """Decomposed, a program has `where` and `mul` in the place of `prelu`."""
    torch.export.save(program.run_decompositions(), tmp_path / "plain.pt2")
    found, wanted = _open(tmp_path / "plain.pt2").layers(), source_of(net).layers()
    assert [(x.name, x.nodes, x.form) for x in found] == [
        (x.name, x.nodes, "where") for x in wanted
    ]
    for plain, layer in zip(found, wanted, strict=True):
        assert same_bits(plain.slopes, layer.slopes)
    target = tmp_path / "plain.onnx"
    outcome = cli("export", tmp_path / "plain.pt2", "-o", target, "-q")
    assert outcome.code == 0, outcome.err


def test_what_is_no_program_is_refused(net: Any, saved: Path, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "weights.pt2")
    (tmp_path / "short.pt2").write_bytes(saved.read_bytes()[:500])
    (tmp_path / "text.pt2").write_text("hello")
    for name in ("weights.pt2", "short.pt2", "text.pt2"):
        with pytest.raises(PReLUToolsError, match=r"torch\.export\.save did not write it"):
            _open(tmp_path / name)
