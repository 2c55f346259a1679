"""`--runtime` names runtimes that are known and installed, before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from runtime_files import save_ncnn_net
from tiny_models import save_dense


def test_a_runtime_that_is_not_known_is_a_usage_error(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = cli("verify", net, net, "--runtime", "nnc")
    assert found.code == 2
    assert "--runtime nnc is not known: expected ncnn, " in found.words


def test_one_that_is_not_installed_is_no_verdict_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.backends.registry.is_installed", lambda name: name != "pnnx")
    net = save_dense(tmp_path / "net.onnx")
    found = cli("verify", net, net, "--runtime", "ncnn")
    assert found.code == 3
    assert "pip install 'prelu-tools[ncnn]'" in found.words


def test_it_is_for_onnx_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prelu_tools.backends.registry.is_installed", lambda _: True)
    net = save_dense(tmp_path / "net.onnx")
    other = save_ncnn_net(tmp_path / "net.param")
    found = cli("verify", net, other, "--runtime", "ncnn")
    assert found.code == 2
    assert "--runtime is for ONNX candidates" in found.words
