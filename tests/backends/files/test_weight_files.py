"""State dicts and safetensors by themselves: the slopes of the live module, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from running import ROOT, cli, environment
from sample_list import FOLDER

from prelu_tools.backends.opening import open_for_inspection, open_source
from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.options import SourceOptions

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
nn = torch.nn

_NETS = ("OneSlopeNet", "BlockNet", "PerChannel", "Mlp", "ConvNet32")


def _open(path: Path, unsafe: bool = False) -> Any:
    return open_for_inspection(str(path), SourceOptions(allow_unsafe_load=unsafe))


def _refusal(path: Path) -> str:
    with pytest.raises(PReLUToolsError) as caught:
        _open(path)
    return str(caught.value)


class Net(nn.Module):
    """A convolution, and its PReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.act = nn.PReLU(4)


@pytest.mark.parametrize("name", _NETS)
def test_a_state_dict_has_the_layers_of_the_live_module(name: str, tmp_path: Path) -> None:
    live = open_source(f"{FOLDER}/torch_layers.py:{name}", SourceOptions())
    module: Any = live._module  # type: ignore[attr-defined]
    torch.save(module.state_dict(), tmp_path / "net.pt")
    torch.save(module.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for file in ("net.pt", "old.pth") if name == _NETS[0] else ("net.pt",):
        source = _open(tmp_path / file)
        assert source.n_parameters == live.n_parameters
        for found, wanted in zip(source.layers(), live.layers(), strict=True):
            assert (found.name, found.parameter) == (wanted.name, wanted.parameter)
            assert found.preceding_parameters == wanted.preceding_parameters
            assert same_bits(found.slopes.reshape(-1), wanted.slopes.reshape(-1))
            assert not found.slopes.flags.writeable
        assert "identified by the" in source.notes[0]


@pytest.mark.parametrize("name", _NETS)
def test_safetensors_has_the_slopes_of_the_live_module(name: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    live = open_source(f"{FOLDER}/torch_layers.py:{name}", SourceOptions())
    save_file(live._module.state_dict(), tmp_path / "net.safetensors")  # type: ignore[attr-defined]
    source = _open(tmp_path / "net.safetensors")
    found = {layer.name: layer for layer in source.layers()}
    wanted = {layer.name: layer for layer in live.layers()}
    assert (source.n_parameters, set(found)) == (live.n_parameters, set(wanted))
    for name, layer in found.items():
        assert same_bits(layer.slopes.reshape(-1), wanted[name].slopes.reshape(-1))
        assert layer.preceding_parameters in (None, wanted[name].preceding_parameters)


def test_layers_of_safetensors_are_sorted_by_number(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({f"act.{i}.weight": torch.ones(1) for i in (10, 2)}, tmp_path / "net.safetensors")
    assert [layer.name for layer in _open(tmp_path / "net.safetensors").layers()] == [
        "act.2",
        "act.10",
    ]


def test_half_precision_keeps_its_type(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = {
        "a.alpha": torch.tensor([0.5, -0.3], dtype=torch.bfloat16),
        "b.alpha": torch.tensor([1.5], dtype=torch.float16),
    }
    torch.save(state, tmp_path / "net.pt")
    save_file(state, tmp_path / "net.safetensors")
    for name in ("net.pt", "net.safetensors"):
        first, second = _open(tmp_path / name).layers()
        assert (first.dtype, second.dtype) == ("bfloat16", "float16")
        assert first.slopes.astype(np.float32).tolist() == state["a.alpha"].float().tolist()


def test_what_a_checkpoint_wraps_is_unwrapped_and_said(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in Net().state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "net.pt")
    source = _open(tmp_path / "net.pt")
    assert [layer.name for layer in source.layers()] == ["act"]
    assert (
        "the weights are under state_dict; removed from the weights' names: the prefix module."
        in source.notes
    )
    outcome = cli("inspect", tmp_path / "net.pt")
    assert outcome.code == 0
    assert (
        "the weights are under state_dict; removed from the weights' names: the prefix module."
        in outcome.words
    )


def test_one_module_under_two_names_is_one_layer(tmp_path: Path) -> None:
    net = Net()
    net.again = net.act
    torch.save(net.state_dict(), tmp_path / "net.pt")
    source = _open(tmp_path / "net.pt")
    (layer,) = source.layers()
    assert (layer.nodes, layer.same_instance) == (("act", "again"), True)
    assert source.n_parameters == sum(p.numel() for p in net.parameters())


def test_statistics_are_no_parameters(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.PReLU(4))
    torch.save(net.state_dict(), tmp_path / "net.pt")
    source = _open(tmp_path / "net.pt")
    assert source.n_parameters == sum(p.numel() for p in net.parameters())
    assert [layer.preceding_parameters for layer in source.layers()] == [16]


def test_a_whole_module_is_read_only_where_its_code_may_run(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "whole.pt")
    assert "--allow-unsafe-load" in _refusal(tmp_path / "whole.pt")
    assert [layer.name for layer in _open(tmp_path / "whole.pt", unsafe=True).layers()] == ["act"]


def test_a_whole_module_whose_code_is_elsewhere_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = ModuleType("away.nets")
    kind = type("Far", (nn.PReLU,), {"__module__": "away.nets"})
    code.Far = kind  # type: ignore[attr-defined]
    path = tmp_path / "whole.pt"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "away", ModuleType("away"))
        patch.setitem(sys.modules, "away.nets", code)
        torch.save(kind(), path)
        del code.Far  # type: ignore[attr-defined]
        with pytest.raises(PReLUToolsError, match=r"class 'Far', whose module away\.nets cannot"):
            _open(path, unsafe=True)
    words = f"use away/nets.py:Far@{path}, or run this where away/nets.py is, with PYTHONPATH=."
    for command in (["inspect", path], ["export", path, "-o", tmp_path / "o.onnx"]):
        outcome = cli(*command, "--allow-unsafe-load")
        assert outcome.code == 3
        assert words in outcome.err.replace("\n", " ")
        assert "torch.save did not write it" not in outcome.err


def test_what_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    for content, said in (
        ([1, 2], "contains a list"),
        ({"epoch": 3}, "contains no named tensors, only 'epoch'"),
        ({}, "contains no named tensors, only nothing"),
    ):
        torch.save(content, tmp_path / "other.pt")
        assert said in _refusal(tmp_path / "other.pt")
    torch.jit.script(nn.Sequential(nn.PReLU())).save(str(tmp_path / "script.pt"))
    assert "TorchScript archive, not a state dict" in _refusal(tmp_path / "script.pt")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    torch.save(Net().state_dict(), tmp_path / "net.pt")
    (tmp_path / "short.pt").write_bytes((tmp_path / "net.pt").read_bytes()[:-40])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "hdf5.pt").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name in ("short.pt", "empty.pth", "hdf5.pt"):
        assert "torch.save did not write it, or it is damaged" in _refusal(tmp_path / name)
    for content in (b"", b"hello", bytes([255] * 100)):
        (tmp_path / "x.safetensors").write_bytes(content)
        assert "it is not a safetensors file, or it is damaged" in _refusal(
            tmp_path / "x.safetensors"
        )
    assert "no such file" in _refusal(tmp_path / "missing.pt")


def test_a_file_without_slopes_says_that_none_looks_like_one(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "net.pt")
    source = _open(tmp_path / "net.pt")
    assert source.layers() == ()
    assert "no tensor looks like slopes" in source.notes[0]


def test_weights_alone_are_not_run(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    torch.save(Net().state_dict(), path)
    export = ["export", path, "-o", tmp_path / "never.onnx"]
    for command in (["verify", path, path], export, [*export, "--input", "x:batch,3,8,8"]):
        outcome = cli(*command)
        assert outcome.code == 3
        assert f"name the code as well, as in nets.py:Net@{path}" in outcome.err.replace("\n", " ")
    with pytest.raises(PReLUToolsError, match="contains weights but no model"):
        _open(path).runner()


def test_an_unknown_suffix_lists_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "net.xyz").write_bytes(b"")
    said = _refusal(tmp_path / "net.xyz")
    listed = said.partition("expected ")[2].partition(", a SavedModel's folder or a")[0].split(", ")
    assert {".ckpt", ".h5", ".keras", ".onnx", ".pt", ".safetensors", ".weights.h5"} <= {*listed}
    assert listed == sorted(listed)


def test_inspecting_safetensors_imports_no_torch(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(Net().state_dict(), tmp_path / "net.safetensors")
    script = (
        "import sys; from prelu_tools.cli.main import run; run(sys.argv[1:]); "
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "inspect", str(tmp_path / "net.safetensors")]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), check=False)
    assert (done.returncode, b"act" in done.stdout) == (0, True)


def test_a_missing_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net.safetensors").write_bytes(b"")
    monkeypatch.delitem(sys.modules, "prelu_tools.backends.files.safetensors", raising=False)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"prelu-tools\[torch\]"):
        _open(tmp_path / "net.safetensors")
