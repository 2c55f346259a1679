"""`doctor` tries what it names, and says what to install."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from running import cli

from prelu_tools.commands import doctor as module

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document() -> Any:
    found = cli("doctor", "--format", "json")
    assert found.code == 0
    return found.json


def _states(items: list[dict[str, str]]) -> dict[str, str]:
    return {item["name"]: item["state"] for item in items}


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.slow
def test_everything_that_is_installed_works(document: Any) -> None:
    assert (document["schema_version"], document["kind"]) == (1, "doctor")
    assert document["works"] is True
    core = _states(document["core"])
    assert {"click", "rich", "numpy", "onnx", "onnxruntime"} <= set(core)
    assert set(core.values()) == {"ok"}
    extras = _states(document["extras"])
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wanted = set(declared["project"]["optional-dependencies"]) - {"all"}
    items = [*extras, *_states(document["runtimes"])]
    assert wanted <= {item.partition(":")[0] for item in items}
    expected = {f"torch: {name}" for name in ("torch", "onnxscript", "safetensors")}
    expected |= {f"keras: {name}" for name in ("tensorflow", "keras", "tf2onnx")}
    assert expected <= set(extras)
    assert {extras[name] for name in expected} == {"ok"}


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.slow
def test_versions_are_the_installed_ones(document: Any) -> None:
    from importlib import metadata

    found = {item["name"]: item["detail"] for item in [*document["core"], *document["extras"]]}
    assert found["onnxruntime"] == metadata.version("onnxruntime")
    assert found["torch: torch"].startswith(metadata.version("torch").partition("+")[0])


def test_a_provider_is_named_only_after_it_ran() -> None:
    items = {item.name: item for item in module._providers()}
    assert (items["cpu"].state, items["cpu"].advice) == ("ok", "")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert items["cuda"].state == "missing"
        assert "onnxruntime-gpu" in items["cuda"].advice


def test_a_provider_that_runs_nothing_is_broken() -> None:
    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this build of onnxruntime has no provider that runs nothing")
    item = module._try_provider("AzureExecutionProvider")
    assert item.state == "broken"
    assert "CPUExecutionProvider" in item.detail


def test_a_package_that_is_missing_comes_with_its_pip_line() -> None:
    item = module._package("no_such_package", "pip install 'prelu-tools[torch]'", "torch: it")
    assert (item.name, item.state) == ("torch: it", "missing")
    assert item.advice == "pip install 'prelu-tools[torch]'"


def test_a_package_that_is_as_good_is_named_in_its_place(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "as_good.py").write_text("__version__ = '1.2'")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "_INSTEAD", {"no_such_package": "as_good"})
    item = module._of_extra("no_such_package", "lightning")
    assert (item.name, item.state, item.detail) == ("lightning: as_good", "ok", "1.2")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("import no_such_package", "needs no_such_package"),
    ],
)
def test_a_package_that_does_not_import_is_broken(
    text: str, detail: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_package.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    item = module._package("broken_package", "pip install it")
    assert (item.state, item.detail) == ("broken", detail)


def test_a_core_that_does_not_work_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CORE", ("no_such_package",))
    monkeypatch.setattr(module, "EXTRAS", {})
    monkeypatch.setattr(module, "RUNTIMES", ())
    found = cli("doctor")
    assert found.code == 3
    assert "not installed" in found.out
