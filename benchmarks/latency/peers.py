"""Makes the files that are compared out of the exporter's, each as its user would."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import onnxruntime

import prelu_tools
from benchmarks.latency import plan
from benchmarks.latency.plan import BOUND, OURS, Cell


class PeerFailedError(Exception):
    """A tool made no file; the message says which and why."""


@dataclass(frozen=True)
class Ours:
    """Where this project's files come from."""

    template: str | None = None
    """Paths of files that exist, with {net}, {batch}, {threads}; None to make them."""
    options: Sequence[str] = ("--exact", "bitwise")
    """Options of ``prelu-tools optimize`` beside its threads and how long it may tune."""

    @property
    def words(self) -> str:
        """How they were made, to be said in the tables."""
        return self.template or shlex.join(["prelu-tools", "optimize", *self.options])


@dataclass(frozen=True)
class Files:
    """Where the files of one onnxruntime lie."""

    nets: Path
    """The folder with the exporters' files, a folder ``batch-N`` for every batch."""
    work: Path
    """Where peers' files go; they are made where they are missing."""
    ours: Ours
    """Where this project's files come from."""

    def of(self, cell: Cell) -> tuple[dict[str, Path], dict[str, str]]:
        """Return the file of every variant that has one, and why the others have none.

        Raises:
            PeerFailedError: the exporter's file or the bound is missing.
        """
        folder = self.nets / f"batch-{cell.batch}"
        raw, bound = folder / f"{cell.net}.onnx", folder / f"{cell.net}.relu.onnx"
        if not (raw.exists() and bound.exists()):
            raise PeerFailedError(
                f"{raw} or its bound is missing: make it with benchmarks.nets.write"
            )
        stem = self.work / f"batch-{cell.batch}" / cell.net
        stem.parent.mkdir(parents=True, exist_ok=True)
        makers: dict[str, Callable[[], Path]] = {
            "raw": lambda: raw,
            "onnxsim": lambda: _made("onnxsim", raw, stem.with_suffix(".onnxsim.onnx")),
            "onnxslim": lambda: _made("onnxslim", raw, stem.with_suffix(".onnxslim.onnx")),
            "onnxruntime": lambda: _offline(
                raw, stem.with_suffix(f".t{cell.threads}.ort.onnx"), cell
            ),
            OURS: lambda: self._ours(cell, raw, stem.with_suffix(f".t{cell.threads}.ours.onnx")),
            BOUND: lambda: bound,
        }
        paths, missing = {}, {}
        for variant, make in makers.items():
            try:
                paths[variant] = make()
            except PeerFailedError as error:
                missing[variant] = str(error)
        return paths, missing

    def _ours(self, cell: Cell, raw: Path, path: Path) -> Path:
        if self.ours.template is not None:
            given = self.ours.template.format(net=cell.net, batch=cell.batch, threads=cell.threads)
            if not Path(given).exists():
                raise PeerFailedError(f"{given} is missing")
            return Path(given)
        options = ["--threads", str(cell.threads), "--tune-seconds", str(plan.tune_seconds(cell))]
        arguments = ["-o", str(path), "--force", *options, *self.ours.options]
        return _made("prelu-tools", raw, path, ["optimize"], arguments)


def _made(
    tool: str,
    source: Path,
    path: Path,
    before: Sequence[str] = (),
    after: Sequence[str] | None = None,
) -> Path:
    """Run a command line tool of this environment, unless it made this file before."""
    program = Path(sys.executable).parent / tool
    command = [str(program), *before, str(source), *(after or [str(path)])]
    words, noted = shlex.join(command), path.with_suffix(".command")
    age = max(source.stat().st_mtime, _changed() if tool == "prelu-tools" else 0.0)
    if noted.exists() and noted.read_text() == words and path.stat().st_mtime >= age:
        return path
    noted.unlink(missing_ok=True)
    if not program.exists():
        raise PeerFailedError(f"{tool} is not installed in this environment")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not path.exists():
        said = (done.stderr or done.stdout).strip().splitlines()
        reason = said[-1] if said else f"exit code {done.returncode}"
        raise PeerFailedError(f"{words}: {reason}")
    noted.write_text(words)
    return path


def _changed() -> float:
    """Return when this project's own code was changed last."""
    package = Path(prelu_tools.__file__).parent
    return max(path.stat().st_mtime for path in package.rglob("*.py"))


def _offline(source: Path, path: Path, cell: Cell) -> Path:
    """Write what onnxruntime's optimizer makes of the file at its highest level."""
    if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = cell.threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return path


def versions() -> dict[str, str]:
    """Return the versions of what is compared."""
    packages = ("onnxruntime", "onnxsim", "onnxslim", "prelu-tools", "onnx", "numpy")
    return {package: metadata.version(package) for package in packages}
