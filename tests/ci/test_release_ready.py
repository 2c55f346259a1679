"""A release is not ready while something is missing, and each thing is said."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from running import ROOT


@pytest.fixture(autouse=True)
def _release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "release")


def _ready() -> ModuleType:
    return import_module("ready")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
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


def test_what_git_cannot_check_is_not_ready(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(checkout / "gone"))
    assert "git: the checkout could not be checked (" in _missing(checkout)[0]
    monkeypatch.setenv("PATH", str(checkout))
    assert "git: the checkout could not be checked ([Errno 2]" in _missing(checkout)[0]


def test_this_checkout_is_not_ready_while_its_address_is_not_known() -> None:
    import tomllib

    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"].values()
    said = "\n".join(_ready().missing(ROOT, ROOT / "dist"))
    assert ("fill in the address" in said) == any("example.invalid" in url for url in urls)


SAFE = {"name": "numpy", "version": "2.4.6", "vulns": []}
WEAK = {"name": "old", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
SKIPPED = {"name": "onnx", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([SAFE], 0, ""),
        ([SAFE, WEAK], 1, "old 1.0: PYSEC-1, fixed in 1.1"),
        ([SAFE, WEAK, SKIPPED], 3, "could not be read (Dependency not found on PyPI): run `make"),
        ([], 3, "could not be read (ConnectionError: no route)"),
        (None, 3, "could not be read (ConnectionError: no route)"),
    ],
)
def test_advisories_that_could_not_be_read_are_no_pass(
    packages: object, code: int, words: str
) -> None:
    out = "" if packages is None else json.dumps({"dependencies": packages})
    found, lines = import_module("audit").judged(out, "Traceback\nConnectionError: no route\n")
    assert found == code
    assert words in "".join(lines)


def test_a_release_whose_advisories_are_not_known_is_not_ready(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = _ready()
    monkeypatch.setattr(ready, "ROOT", checkout)
    monkeypatch.setattr(sys, "argv", ["ready.py", str(checkout / "dist"), "lock.txt"])
    for answer, code, words in (
        ((3, ["not reached"]), 3, "missing  not reached"),
        ((1, ["old 1.0: PYSEC-1"]), 1, "missing  old 1.0"),
        ((0, []), 0, "ready: git tag v1.2.0 && git push origin main v1.2.0 && .venv-dist/"),
    ):
        monkeypatch.setattr(ready, "audit", lambda _lock, answer=answer: answer)
        assert ready.main() == code
        assert words in capsys.readouterr().out
    (checkout / "new").touch()
    monkeypatch.setattr(ready, "audit", lambda _lock: (3, ["not reached"]))
    assert ready.main() == 1
