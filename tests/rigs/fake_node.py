"""A node that is none: a Python program in its place, with a package that says its version."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

_ANSWER = """
import json, struct, sys
def read(size):
    found = sys.stdin.buffer.read(size)
    if len(found) < size:
        sys.exit(0)
    return found
def ask():
    header = json.loads(read(struct.unpack("<I", read(4))[0]))
    header["parts"] = [read(size) for size in header["sizes"]]
    return header
def answer(header, parts=()):
    text = json.dumps({**header, "sizes": [len(part) for part in parts]}).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(text)) + text + b"".join(parts))
    sys.stdout.buffer.flush()
"""


def save_fake_node(folder: Path, body: str = "sys.exit(0)", version: str = "v20.1.0") -> Path:
    """A program that tells a version, and otherwise does what is in its body.

    The body may call `ask()` for a request and `answer(header, parts)`.
    """
    path = folder / "node"
    first = f'if "--version" in sys.argv: print("{version}"); sys.exit(0)'
    # A line #! ends at the first space: the path of the interpreter may have one.
    start = f"""#!/bin/sh\n'''exec' "{sys.executable}" "$0" "$@"\n' '''\nimport sys"""
    path.write_text(f"{start}\n{first}\n{_ANSWER}\n{body}\n")
    path.chmod(0o755)
    return path


def save_fake_package(folder: Path, version: str = "1.30.0") -> Path:
    """A folder that holds `node_modules/onnxruntime-web`, of which only the manifest is there."""
    package = folder / "node_modules/onnxruntime-web"
    package.mkdir(parents=True)
    manifest = {"name": "onnxruntime-web", "version": version}
    (package / "package.json").write_text(json.dumps(manifest))
    return folder


def use_fakes(
    monkeypatch: pytest.MonkeyPatch, folder: Path, body: str = "sys.exit(0)"
) -> tuple[Path, Path]:
    """Both, in the places that the variables name."""
    node, package = save_fake_node(folder, body), save_fake_package(folder)
    monkeypatch.setenv("PRELU_TOOLS_NODE", str(node))
    monkeypatch.setenv("PRELU_TOOLS_ONNXRUNTIME_WEB", str(package))
    return node, package
