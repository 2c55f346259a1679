"""The length of what an LSTM or a GRU reads is free in the export, wherever it comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from running import cli
from torch_nets import write_nets

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

_NETS = """

class Reader(nn.Module):
    def __init__(self, cell=nn.LSTM, step=1, **more):
        super().__init__()
        torch.manual_seed(0)
        self.act = prelu(0.5, -0.5, 2.0)
        self.rnn = cell(3, 4, **more)
        self.step = step

    def forward(self, x):
        x = F.avg_pool1d(self.act(x), self.step).permute(2, 0, 1)
        if self.rnn.batch_first:
            x = x.transpose(0, 1)
        y = self.rnn(x)[0]
        n, t, c = y.shape
        return y.reshape(n, t, 2, c // 2)


def time_major():
    return Reader()


def computed_length():
    return Reader(step=2, bidirectional=True)


def two_layers():
    return Reader(num_layers=2, batch_first=True)


def plain():
    return Reader(nn.RNN)


def gru():
    return Reader(nn.GRU, step=2, num_layers=2, bidirectional=True, batch_first=True)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nets(tmp_path_factory.mktemp("nets") / "torch_recurrent.py", _NETS)


@pytest.mark.parametrize("name", ["time_major", "computed_length", "two_layers", "gru"])
def test_a_length_is_free(nets: Path, tmp_path: Path, name: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    path = tmp_path / "net.onnx"
    more = () if name == "computed_length" else ("--no-verify",)
    found = cli("export", f"{nets}:{name}", "-o", path, "--input", "x:batch,3,time", "-q", *more)
    assert found.code == 0, found.err
    operators = [node.op_type for node in onnx.load(path).graph.node]
    assert {"LSTM", "GRU"} & set(operators)
    session = ort.InferenceSession(path)
    scope: dict[str, object] = {}
    exec(compile(nets.read_text(), str(nets), "exec"), scope)
    module = scope[name]().eval()  # type: ignore[operator]
    for batch, time in ((1, 2), (2, 9), (5, 70)):
        x = np.random.default_rng(time).standard_normal((batch, 3, time), np.float32)
        with torch.no_grad():
            wanted = module(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(session.run(None, {"x": x})[0], wanted, atol=1e-5)


def test_the_length_of_a_plain_rnn_is_to_be_given(nets: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    found = cli("export", f"{nets}:plain", "-o", path, "--input", "x:batch,3,time", "-q")
    assert (found.code, path.exists()) == (2, False)
    assert "time of x is always" in found.err
    assert "--input x:batch,3," in found.err
    given = cli("export", f"{nets}:plain", "-o", path, "--input", "x:batch,3,7", "-q")
    assert given.code == 0, given.err


def test_torch_is_afterwards_as_it_was() -> None:
    from prelu_tools.backends.torch.conversion.recurrent import free_lengths

    operator = torch.ops.aten.lstm.input
    kernels, table = dict(operator.py_kernels), dict(torch._decomp.decomposition_table)
    with free_lengths():
        assert dict(operator.py_kernels) != kernels
    assert dict(operator.py_kernels) == kernels
    assert dict(torch._decomp.decomposition_table) == table
