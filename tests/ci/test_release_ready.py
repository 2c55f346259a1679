"""A release is not ready while something is missing, and each thing is said."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from running import ROOT


def _ready() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ready", ROOT / "release" / "ready.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "prelu_tools").mkdir()
    (tmp_path / "prelu_tools/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\n[project.urls]\nSource = "https://example.org/p"\n'
    )
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.0 (today)\n")
    (tmp_path / ".gitignore").write_text("dist/\n")
    dist = tmp_path / "dist"
    dist.mkdir()
    for name in ("prelu_tools-1.2.0.tar.gz", "prelu_tools-1.2.0-py3-none-any.whl"):
        (dist / name).touch()
    for line in ("init -q", "add -A", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *line.split()], cwd=tmp_path, check=True)
    return tmp_path


def _missing(checkout: Path) -> list[str]:
    return list(_ready().missing(checkout, checkout / "dist"))


def test_a_release_that_has_everything_is_ready(checkout: Path) -> None:
    assert _missing(checkout) == []


def test_what_is_missing_is_said(checkout: Path) -> None:
    (checkout / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 1.2.00\n")
    (checkout / "pyproject.toml").write_text(
        '[project]\nname = "p"\n[project.urls]\nSource = "https://example.invalid/p"\n'
    )
    (checkout / "dist/prelu_tools-1.2.0.tar.gz").rename(checkout / "dist/prelu_tools-1.1.0.tar.gz")
    subprocess.run(["git", "tag", "v1.2.0"], cwd=checkout, check=True)
    found = "\n".join(_missing(checkout))
    for words in (
        "fill in the address of the repository",
        "no section for version 1.2.0",
        "prelu_tools-1.2.0.tar.gz is not there: make dist",
        "prelu_tools-1.1.0.tar.gz is of another version",
        "changes that are not committed",
        "the tag v1.2.0 exists already",
    ):
        assert words in found


def test_this_checkout_is_not_ready_while_its_address_is_not_known() -> None:
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"].values()
    said = "\n".join(_ready().missing(ROOT, ROOT / "dist"))
    assert ("fill in the address" in said) == any("example.invalid" in url for url in urls)
