"""Node and onnxruntime-web are looked for where the user put them, and in no other place."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from fake_node import save_fake_node, save_fake_package, use_fakes
from running import cli
from tiny_models import save_dense

from prelu_tools.backends.runtimes.onnxruntime_web.installed import clean_environment, installed
from prelu_tools.core.errors import MissingToolError, PReLUToolsError


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PRELU_TOOLS_NODE", "PRELU_TOOLS_ONNXRUNTIME_WEB", "NODE_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("NPM_CONFIG_PREFIX", raising=False)


def _on_path(monkeypatch: pytest.MonkeyPatch, prefix: Path) -> Path:
    (prefix / "bin").mkdir(parents=True)
    node = save_fake_node(prefix / "bin")
    monkeypatch.setenv("PATH", str(prefix / "bin"))
    return node


def test_what_the_variables_name_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node, folder = use_fakes(monkeypatch, tmp_path)
    found = installed("")
    assert found.node == node
    assert found.package == folder / "node_modules/onnxruntime-web"
    assert found.versions == "1.30.0, node 20.1.0"
    monkeypatch.setenv("PRELU_TOOLS_ONNXRUNTIME_WEB", str(found.package))
    assert installed("").package == found.package


def test_a_global_package_belongs_to_the_node_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _on_path(monkeypatch, tmp_path / "prefix")
    save_fake_package(tmp_path / "prefix/lib", "1.29.1")
    assert installed("").version == "1.29.1"


def test_folders_of_packages_that_the_environment_names_are_looked_into(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _on_path(monkeypatch, tmp_path / "prefix")
    save_fake_package(tmp_path / "own", "1.28.0")
    save_fake_package(tmp_path / "other/lib", "1.27.0")
    monkeypatch.setenv("NPM_CONFIG_PREFIX", str(tmp_path / "other"))
    assert installed("").version == "1.27.0"
    monkeypatch.setenv("NODE_PATH", os.pathsep.join(["", str(tmp_path / "own/node_modules")]))
    assert installed("").version == "1.28.0"


def test_nothing_of_the_current_folder_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A folder that somebody else made may hold a program `node`, or packages."""
    here = tmp_path / "here"
    here.mkdir()
    save_fake_node(here)
    save_fake_package(here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "./"]))
    with pytest.raises(MissingToolError, match="node is needed to run"):
        installed("to run it")
    _on_path(monkeypatch, tmp_path / "prefix")
    monkeypatch.setenv("NODE_PATH", os.pathsep.join(["node_modules", "", "."]))
    with pytest.raises(MissingToolError, match=r"npm install -g onnxruntime-web"):
        installed("to run it")


@pytest.mark.parametrize("named", [".", "node_modules", "there/is/none", "/there/is/none"])
def test_a_variable_that_names_nothing_absolute_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str
) -> None:
    use_fakes(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRELU_TOOLS_ONNXRUNTIME_WEB", named)
    with pytest.raises(PReLUToolsError, match=f"is {re.escape(named)}: expected the absolute path"):
        installed("")
    monkeypatch.setenv("PRELU_TOOLS_NODE", named)
    with pytest.raises(PReLUToolsError, match="PRELU_TOOLS_NODE is"):
        installed("")


@pytest.mark.parametrize(
    "manifest", ["", "[]", '{"name": "other"}', "[" * 100_000, "x" * 2_000_000]
)
def test_a_package_is_one_by_its_manifest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, manifest: str
) -> None:
    _, folder = use_fakes(monkeypatch, tmp_path)
    (folder / "node_modules/onnxruntime-web/package.json").write_text(manifest)
    with pytest.raises(PReLUToolsError, match="expected the absolute path of a folder"):
        installed("")


def test_what_makes_node_load_more_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--require ./trap.js")
    monkeypatch.setenv("KEPT", "1")
    found = clean_environment()
    assert "NODE_OPTIONS" not in found
    assert found["KEPT"] == "1"


def test_a_node_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    node, _ = use_fakes(monkeypatch, tmp_path)
    node.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(PReLUToolsError, match=r"node --version fails: CalledProcessError"):
        installed("")


def test_without_it_verify_gives_no_verdict_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    net = save_dense(tmp_path / "net.onnx")
    monkeypatch.setenv("PATH", "")
    found = cli("verify", net, net, "--runtime", "onnxruntime-web")
    assert found.code == 3
    assert "node is needed for --runtime onnxruntime-web but is not installed" in found.words
    assert "npm install -g onnxruntime-web" in found.words


def test_doctor_lists_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from prelu_tools.backends.registry import RUNTIMES
    from prelu_tools.commands.doctor import _runtime as items

    (row,) = (row for row in RUNTIMES if row.name == "onnxruntime-web")
    monkeypatch.setenv("PATH", "")
    (missing,) = items(row)
    assert (missing.state, missing.detail) == ("missing", "needs node")
    assert missing.advice.endswith("npm install -g onnxruntime-web")
    node, _ = use_fakes(monkeypatch, tmp_path)
    (found,) = items(row)
    assert (found.state, found.detail) == ("ok", "1.30.0, node 20.1.0")
    node.write_text("#!/bin/sh\nexit 3\n")
    (broken,) = items(row)
    assert broken.state == "broken"
