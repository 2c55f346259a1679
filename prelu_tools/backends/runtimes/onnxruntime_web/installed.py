"""Where node and npm's onnxruntime-web are, and their versions.

Code runs from there, so only places that the user has named or that belong to node itself count:
absolute folders on PATH, in two variables, and node's folder of global packages. A `node_modules`
in the current folder, or above it, does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prelu_tools.core.errors import MissingToolError, PReLUToolsError

FOLDER_VARIABLE: Final = "PRELU_TOOLS_ONNXRUNTIME_WEB"
"""Names a folder with `node_modules/onnxruntime-web`, or that package itself."""
NODE_VARIABLE: Final = "PRELU_TOOLS_NODE"
"""Names the program to run in place of the `node` on PATH."""
_PACKAGE: Final = "onnxruntime-web"
_SECONDS: Final = 30.0
_LARGEST_MANIFEST: Final = 1 << 20
_INSTALL: Final = "npm install -g onnxruntime-web"


@dataclass(frozen=True)
class Installed:
    """Node, and the package for it."""

    node: Path
    """The program."""
    node_version: str
    """Its version, as in `20.20.2`."""
    package: Path
    """The folder of onnxruntime-web."""
    version: str
    """The package's version."""

    @property
    def versions(self) -> str:
        """Both of them, in words."""
        return f"{self.version}, node {self.node_version}"


def installed(purpose: str) -> Installed:
    """Find both.

    Args:
        purpose: what they are needed for, as in "for --runtime onnxruntime-web".

    Raises:
        MissingToolError: one is not installed.
        PReLUToolsError: a variable names something that is not there, or node does not run.
    """
    node = _node(purpose)
    version = _node_version(node)
    package = _package(node, purpose)
    return Installed(node, version, package, _package_version(package) or "?")


def clean_environment() -> dict[str, str]:
    """The environment without variables that make node load or do more."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NODE_")}


def _node(purpose: str) -> Path:
    named = os.environ.get(NODE_VARIABLE)
    if named:
        path = Path(named)
        if not (path.is_absolute() and path.is_file() and os.access(path, os.X_OK)):
            raise PReLUToolsError(
                f"{NODE_VARIABLE} is {named}: expected the absolute path of the node program"
            )
        return path
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = shutil.which("node", path=os.pathsep.join(filter(os.path.isabs, folders)))
    if found is None:
        raise MissingToolError("node", purpose, f"install Node.js (https://nodejs.org), {_INSTALL}")
    return Path(found)


def _node_version(node: Path) -> str:
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, errors="replace",
            stdin=subprocess.DEVNULL, timeout=_SECONDS, check=True, env=clean_environment(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise PReLUToolsError(f"{node} --version fails: {type(error).__name__}") from error
    return done.stdout.strip().removeprefix("v")[:40]


def _package(node: Path, purpose: str) -> Path:
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        folder = Path(named)
        if folder.is_absolute():
            for path in (folder / "node_modules" / _PACKAGE, folder):
                if _package_version(path) is not None:
                    return path
        raise PReLUToolsError(
            f"{FOLDER_VARIABLE} is {named}: expected the absolute path of a folder with "
            f"node_modules/{_PACKAGE} (npm install --prefix {named} {_PACKAGE})"
        )
    for folder in _global_folders(node, os.environ):
        path = folder / _PACKAGE
        if _package_version(path) is not None:
            return path
    raise MissingToolError(_PACKAGE, purpose, _INSTALL)


def _global_folders(node: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """Folders of packages that are not those of one project."""
    for text in environment.get("NODE_PATH", "").split(os.pathsep):
        if os.path.isabs(text):  # noqa: PTH117  (Path("") is the current folder)
            yield Path(text)
    prefixes = [environment.get("NPM_CONFIG_PREFIX", ""), environment.get("npm_config_prefix", "")]
    prefixes += [str(found.parent.parent) for found in (node, node.resolve())]
    for prefix in (*prefixes, "/usr/local"):
        if os.path.isabs(prefix):  # noqa: PTH117
            yield Path(prefix, "lib", "node_modules")
    yield node.parent / "node_modules"  # as on Windows


def _package_version(folder: Path) -> str | None:
    """The version of the package in a folder; None if it is not there."""
    manifest = folder / "package.json"
    try:
        if manifest.stat().st_size > _LARGEST_MANIFEST:
            return None
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("name") != _PACKAGE:
        return None
    return str(found.get("version", "?"))[:40]
