"""One net with one seed: built, trained, exported in every way, and verified."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.honest.candidates import OPSETS, optimised, quietly, raw_exports
from benchmarks.honest.numbers import Difference, answers, compare, names_of
from benchmarks.honest.registry import HonestNet, build
from benchmarks.honest.training import train

SLOW = ("torch dynamo", "keras export", "onnxsim", "onnxslim")
"""What a short check leaves out, or what is not in the environment of the tests."""
SHORT: dict[str, Any] = {"power": False, "search_seconds": 0.5}
"""What a short check asks of `verify`."""
SECONDS = 300
"""What one net with one seed may take; what is left then has no verdict."""


@dataclass(frozen=True)
class Row:
    """One candidate of one net with one seed."""

    net: str
    """The net."""
    seed: int
    """Of its weights and its training."""
    candidate: str
    """Which file."""
    verdict: str
    """`pass`, `fail`, `inconclusive`; `error` where `verify` or `export` raised; `none` where the
    other exporter made no file."""
    reasons: tuple[str, ...]
    """Why it is not a pass."""
    wrong: str | None
    """Why the file is wrong, by onnxruntime and the framework alone; None where it is not."""
    error: float
    """Its largest error there, as a share of an output's largest value."""
    seconds: float
    """Of the export, or of the verification of all candidates shared out."""

    @property
    def outcome(self) -> str:
        """What it counts as."""
        if self.verdict == "none":
            return "no file"
        if self.wrong is None:
            return {"pass": "right", "fail": "false alarm"}.get(self.verdict, "no verdict")
        if self.verdict == "pass":
            return "missed"
        return "wrong export" if self.candidate.startswith("export") else "wrong but caught"


def check(honest: HonestNet, seed: int, folder: Path, *, short: bool = False) -> list[Row]:
    """Verify every candidate of a net; with `short` those that are made in no time."""
    model = live(honest, seed)
    known, keys = answers(honest, model), names_of(honest, model)
    rows: list[Row] = []
    files: dict[str, Path] = {}
    opset = OPSETS[0] if seed == 0 else OPSETS[1 + (seed - 1) % (len(OPSETS) - 1)]
    own = folder / "own.onnx"
    started = time.perf_counter()
    refusal = _export(honest, model, own, opset, check=not short)
    if own.exists():
        files[f"export, opset {opset}"] = own
    if refusal or not short:
        found = compare(own, known, keys) if own.exists() else Difference(0.0, None)
        verdict, reasons = ("error", (refusal,)) if refusal else ("pass", ())
        seconds = time.perf_counter() - started
        rows.append(Row(honest.name, seed, "export's own check", verdict, reasons, found.wrong,
                        found.error, seconds))  # fmt: skip
    makers = raw_exports(honest, model, folder, seed)
    if own.exists():
        makers |= optimised(own, folder, seed)
    for name, make in makers.items():
        if short and name in SLOW:
            continue
        started = time.perf_counter()
        try:
            files[name] = quietly(make)
        except Exception as error:
            rows.append(_no_file(honest, seed, name, error, time.perf_counter() - started))
    options = {"seed": seed, **(SHORT if short else {})}
    return rows + _verified(honest, model, options, files, known, keys)


def live(honest: HonestNet, seed: int) -> Any:
    """The net, trained; a module with inputs that are not normal has `example_inputs`."""
    model = build(honest, seed)
    train(honest, model, seed)
    if honest.framework == "torch" and any(t.kind != "normal" for t in honest.inputs.values()):
        import torch

        model.example_inputs = lambda: {
            name: torch.from_numpy(value) for name, value in honest.examples(seed).items()
        }
    return model


def shapes_of(honest: HonestNet) -> dict[str, tuple[int | str, ...]] | None:
    """What `input=` is given; a Keras model knows its own."""
    return honest.shapes if honest.framework == "torch" else None


def _export(honest: HonestNet, model: Any, path: Path, opset: int, *, check: bool) -> str | None:
    """Export as a user does; where the check refuses, without it. What it says, where it does."""
    import prelu_tools

    def run(verify: bool) -> None:
        options: dict[str, Any] = {"opset": opset, "input": shapes_of(honest), "verify": verify}
        if honest.ranges and verify:
            options["input_range"] = honest.ranges
        prelu_tools.export(model, path, force=True, **options)

    try:
        run(verify=check)
    except Exception as error:
        try:
            run(verify=False)
        except Exception as second:
            return f"{type(second).__name__}: {second}"
        return f"{type(error).__name__}: {error}"
    return None


def _no_file(honest: HonestNet, seed: int, name: str, error: Exception, seconds: float) -> Row:
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return Row(honest.name, seed, name, "none", (text,), None, 0.0, seconds)


def _verified(
    honest: HonestNet,
    model: Any,
    options: dict[str, Any],
    files: dict[str, Path],
    known: list[Any],
    keys: list[str],
) -> list[Row]:
    import prelu_tools

    if not files:
        return []
    started = time.perf_counter()
    try:
        result = prelu_tools.verify(
            model,
            *files.values(),
            input=shapes_of(honest),
            input_range=honest.ranges,
            **options,
        )
        said = [(report.verdict, report.reasons) for report in result.candidates]
        # A reason that is of the reference keeps every candidate from passing.
        if result.verdict != "pass" and all(verdict == "pass" for verdict, _ in said):
            said = [(result.verdict, result.reasons)] * len(said)
    except Exception as error:
        said = [("error", (f"{type(error).__name__}: {error}",))] * len(files)
    each = (time.perf_counter() - started) / len(files)
    rows = []
    for (name, path), (verdict, reasons) in zip(files.items(), said, strict=True):
        numbers = compare(path, known, keys)
        rows.append(Row(honest.name, options["seed"], name, verdict, tuple(reasons), numbers.wrong,
                        numbers.error, each))  # fmt: skip
    return rows


class OutOfTimeError(BaseException):
    """A net took too long. No `Exception`: an exporter would take it for its own failure."""


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Raise OutOfTimeError in this thread after so many seconds."""

    def stop(*_: object) -> None:
        raise OutOfTimeError(f"more than {seconds} s")

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run_job(name: str, seed: int, *, short: bool = False) -> list[dict[str, Any]]:
    """`check` in a worker, as data; what it raises is a row."""
    import tempfile

    from benchmarks.honest.registry import find

    try:
        with limited(SECONDS), tempfile.TemporaryDirectory(prefix="honest-") as folder:
            one_thread()
            rows = check(find(name), seed, Path(folder), short=short)
    except (Exception, OutOfTimeError) as error:
        rows = [
            Row(name, seed, "all", "error", (f"{type(error).__name__}: {error}",), None, 0.0, 0)
        ]
    return [asdict(row) | {"outcome": row.outcome} for row in rows]


def one_thread() -> None:
    """Let torch, where it is loaded, use one thread."""
    import sys

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
