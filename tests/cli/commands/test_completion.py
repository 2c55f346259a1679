"""Tab in real shells: commands, options, files, what Python files define; no code is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from running import environment, process

from prelu_tools.cli.completing import VARIABLE

_NETS = """
raise SystemExit("completion must not run this")
class Detector: pass
class Decoder: pass
class _Hidden: pass
def build(): pass
"""
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files to complete, and a shell's home."""
    (tmp_path / "nets.py").write_text(_NETS)
    for name in ("trained.pt", "trained.onnx", "other.safetensors"):
        (tmp_path / name).touch()
    (tmp_path / "results").mkdir()
    return tmp_path


def _needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


def _environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**environment(), "PATH": path, "HOME": str(folder), "TERM": "dumb"}


@contextmanager
def _shell(command: str, arguments: list[str], folder: Path) -> Iterator[Any]:
    import pexpect

    child = pexpect.spawn(
        command, arguments, cwd=folder, env=_environment(folder), encoding="utf-8", timeout=300
    )
    try:
        yield child
    finally:
        child.close(force=True)


CASES = [
    ("prelu-tools insp", "prelu-tools inspect "),
    ("prelu-tools export --external-d", "prelu-tools export --external-data "),
    ("prelu-tools inspect --format mark", "prelu-tools inspect --format markdown "),
    ("prelu-tools inspect --target openv", "prelu-tools inspect --target openvino "),
    ("prelu-tools verify nets.py:Det", "prelu-tools verify nets.py:Detector "),
    ("prelu-tools verify nets.py:Detector nets.py:bui", "nets.py:Detector nets.py:build "),
    ("prelu-tools export nets.py:Detector@tr", "nets.py:Detector@trained.pt "),
    ("prelu-tools inspect trained.on", "prelu-tools inspect trained.onnx "),
    ("prelu-tools export x -o resu", "prelu-tools export x -o results/"),
    ("prelu-tools verify a b --provider tens", "--provider tensorrt "),
]


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_bash_completes(typed: str, completed: str, folder: Path) -> None:
    with _shell(_needs("bash"), ["--norc", "--noprofile", "-i"], folder) as bash:
        bash.sendline("PS1='ready> '; bind 'set enable-bracketed-paste off'")
        bash.sendline('eval "$(prelu-tools completion bash)"; echo loaded')
        bash.expect("\nloaded")
        bash.expect("ready> ")
        bash.send(f"{typed}\t")
        bash.expect_exact(completed)


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh_completes(typed: str, completed: str, folder: Path) -> None:
    with _shell(_needs("zsh"), ["-f", "-i"], folder) as zsh:
        zsh.sendline("PS1='ready> '; unsetopt zle_bracketed_paste 2>/dev/null")
        zsh.sendline("autoload -Uz compinit && compinit -u -D")
        zsh.sendline('eval "$(prelu-tools completion zsh)"; echo load""ed')
        zsh.expect("loaded")
        zsh.expect("ready> ")
        # A dumb terminal is redrawn piece by piece: print the line instead of reading the screen.
        zsh.sendline("show() { print -r -- \"<<$BUFFER>>\" }; zle -N show; bindkey '^T' show")
        zsh.expect("ready> ")
        zsh.send(f"{typed}\t\x14")
        zsh.expect(r"<<(.*?)>>")
        assert completed.strip() in zsh.match[1]


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish_completes(typed: str, completed: str, folder: Path) -> None:
    script = folder / "completions.fish"
    script.write_text(process("completion", "fish").out)
    found = subprocess.run(
        [_needs("fish"), "--no-config", "-c", f"source {script}; complete -C '{typed}'"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=_environment(folder),
        check=True,
    )
    offered = {line.partition("\t")[0] for line in found.stdout.splitlines()}
    assert completed.strip().rpartition(" ")[2] in offered, found.stdout


def _offered(line: str, folder: Path) -> set[str]:
    """What is offered for a line that ends at the cursor, asked as fish asks."""
    last = "" if line.endswith(" ") else line.rpartition(" ")[2]
    asked = {"COMP_WORDS": line, "COMP_CWORD": last, VARIABLE: "fish_complete"}
    found = process(cwd=folder, env=environment(**asked))
    assert (found.code, found.err) == (0, "")
    entries = (entry.partition("\t")[0] for entry in found.out.splitlines())
    return {entry.partition(",")[2] for entry in entries if entry}


def test_what_is_offered(folder: Path) -> None:
    commands = {"completion", "doctor", "export", "inspect", "optimize", "verify"}
    assert commands <= _offered("prelu-tools ", folder)
    assert _offered("prelu-tools inspect nets.py", folder) >= {
        "nets.py:Detector", "nets.py:Decoder", "nets.py:build",
    }  # fmt: skip
    assert not any("_Hidden" in name for name in _offered("prelu-tools inspect nets.py:", folder))
    assert "junit=" in _offered("prelu-tools verify a b --report ", folder)
    assert "csv=" not in _offered("prelu-tools verify a b --report ", folder)
    assert _offered("prelu-tools verify a b --report json=res", folder) == {"json=results/"}
    assert _offered("prelu-tools export nets.py:Detector@", folder) >= {
        "nets.py:Detector@trained.pt", "nets.py:Detector@other.safetensors",
        "nets.py:Detector@results/",
    }  # fmt: skip
    assert _offered("prelu-tools optimize m.onnx --exact a", folder) == {"approximate="}


def test_what_cannot_be_read_offers_nothing(folder: Path) -> None:
    (folder / "broken.py").write_text("class (:\n")
    for line in ("broken.py:", "missing.py:", "x@missing/"):
        assert _offered(f"prelu-tools inspect {line}", folder) == set()


def test_completing_loads_nothing_but_click(folder: Path) -> None:
    asked = {VARIABLE: "bash_complete", "COMP_PART": ""}
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "prelu_tools"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(COMP_LINE="prelu-tools verify nets.py:", **asked),
        check=True,
    )
    assert "Detector" in found.stdout
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    loaded = {name.partition(".")[0] for name in imported}
    assert "click" in loaded
    assert (
        loaded & {"numpy", "onnx", "rich", "torch", "keras", "tensorflow", "onnxruntime"} == set()
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one_that_the_shell_can_read(shell: str, tmp_path: Path) -> None:
    found = process("completion", shell)
    assert (found.code, found.err) == (0, "")
    script = tmp_path / "script"
    script.write_text(found.out)
    subprocess.run([_needs(shell), "-n", str(script)], check=True)


def test_another_shell_is_a_usage_error() -> None:
    found = process("completion", "tcsh")
    assert found.code == 2
    assert "'bash', 'zsh', 'fish'" in found.err
