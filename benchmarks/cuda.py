"""Every sample on CUDA: its verdict, where each node ran, and the time against the CPU.

    python -m benchmarks.cuda prepare FOLDER      with PyTorch and TensorFlow, GPU or not
    python -m benchmarks.cuda check FOLDER        with onnxruntime-gpu

`make test-cuda` does both. `prepare` exports each sample and records it. `check` needs the core
package only: it verifies each file against its record on the CPU, on CUDA without TF32 and on CUDA
with TF32, times it, and writes FOLDER/report.md and FOLDER/report.json. It exits with 0 if every
sample passes without TF32 and every node ran on CUDA, 1 if one fails, 3 if there is no CUDA or
something could not be checked.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import prelu_tools
from prelu_tools import PReLUToolsError, VerifyResult

ROOT = Path(__file__).resolve().parents[1]
CUDA, TF32 = "cuda", "cuda:use_tf32=1"
ROUNDS, WARM_UP = 30, 5
_ROW = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)
_WIDE = (1e-2, 1e-2)  # TF32 keeps 10 bits of the mantissa


@dataclass(frozen=True)
class Row:
    """One sample on one provider."""

    sample: str
    """How it is spelled in samples/README.md."""
    provider: str
    """As it was asked for."""
    verdict: str
    """`pass`, `fail` or `inconclusive`."""
    of_rounding: float | None
    """The largest difference of an output, in units of the model's own rounding."""
    largest: float | None
    """The largest difference of an output."""
    n_nodes_elsewhere: int
    """Nodes that ran on another provider."""
    milliseconds: float | None
    """Median of a run of the recorded batch; None where it was not run."""
    reasons: tuple[str, ...] = ()
    """Why it is not a pass."""


def samples() -> list[str]:
    """Every sample, as samples/README.md lists them."""
    return _ROW.findall((ROOT / "samples/README.md").read_text(encoding="utf-8"))


def prepare(folder: Path, wanted: Sequence[str]) -> None:
    """Export and record samples; those that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for label in wanted:
        path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', label).strip('-')}.onnx"
        if path.with_suffix(".txt").exists():
            continue
        print(f"preparing {label}", flush=True)
        source = f"{ROOT}/samples/{label}"
        prelu_tools.export(source, path, force=True)
        prelu_tools.record(source, path.with_suffix(".npz"), force=True)
        path.with_suffix(".txt").write_text(f"{label}\n", encoding="utf-8")


def why_no_cuda() -> str | None:
    """Why CUDA cannot be used here; None where it can."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return (
            f"this build of onnxruntime {onnxruntime.__version__} has no CUDA: install "
            "onnxruntime-gpu in place of onnxruntime (make test-cuda does)"
        )
    gpus = gpu_names()
    if not gpus:
        return "nvidia-smi names no GPU"
    return None


def gpu_names() -> list[str]:
    """The GPUs of this machine."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def check(folder: Path, providers: Sequence[str]) -> list[Row]:
    """Verify every prepared sample on each provider.

    Args:
        folder: what `prepare` made.
        providers: the first one is what the others are timed against.
    """
    rows: list[Row] = []
    for name in sorted(folder.glob("*.txt")):
        label, path = name.read_text(encoding="utf-8").strip(), name.with_suffix(".onnx")
        for provider in providers:
            print(f"checking {label} on {provider}", flush=True)
            rows.append(_row(label, path, provider))
    return rows


def _row(label: str, path: Path, provider: str) -> Row:
    options: dict[str, Any] = {"tolerance": _WIDE} if provider == TF32 else {}
    try:
        result = prelu_tools.verify(
            path.with_suffix(".npz"), path, provider=provider, allow_no_prelu=True, **options
        )
    except PReLUToolsError as error:
        return Row(label, provider, "inconclusive", None, None, 0, None, (str(error),))
    (report,) = result.candidates
    ran = bool(report.outputs)
    return Row(
        sample=label,
        provider=provider,
        verdict=result.verdict,
        of_rounding=_largest(result, "worst_of_rounding"),
        largest=_largest(result, "max_abs_diff"),
        n_nodes_elsewhere=len(report.provider.nodes_elsewhere) if report.provider else 0,
        milliseconds=1e3 * _seconds(path, provider) if ran else None,
        reasons=tuple(map(str, result.reasons)),
    )


def _largest(result: VerifyResult, figure: str) -> float | None:
    values = [getattr(output, figure) for one in result.candidates for output in one.outputs]
    known = [float(value) for value in values if value is not None and np.isfinite(value)]
    return max(known, default=None)


def _seconds(path: Path, provider: str) -> float:
    """The median time of a run of the first recorded batch."""
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        inputs = {n: file[array] for n, array in header["runs"][0]["inputs"].items()}
    name, _, option = provider.partition(":")
    chosen = {"cuda": "CUDAExecutionProvider"}.get(name, "CPUExecutionProvider")
    given = dict([option.split("=")]) if option else {}
    given = {"use_tf32": "0", **given} if chosen.startswith("CUDA") else {}
    session = onnxruntime.InferenceSession(str(path), providers=[(chosen, given)])
    feeds = dict(zip((i.name for i in session.get_inputs()), inputs.values(), strict=True))
    times = []
    for _ in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        session.run(None, feeds)
        times.append(time.perf_counter() - began)
    return statistics.median(times[WARM_UP:])


def report_lines(rows: Sequence[Row], machine: Sequence[str]) -> Iterator[str]:
    """The report in Markdown."""
    yield "# Every sample on CUDA"
    yield ""
    yield from (f"- {line}" for line in machine)
    yield ""
    heads = ("sample", "provider", "verdict", "x rounding", "max abs diff", "nodes elsewhere", "ms")
    yield f"| {' | '.join(heads)} | x CPU |"
    yield f"|---|---|---|{'---:|' * 5}"
    first: dict[str, float | None] = {}
    for row in rows:
        base = first.setdefault(row.sample, row.milliseconds)
        cells = (
            f"`{row.sample}`",
            row.provider,
            row.verdict,
            _number(row.of_rounding, ".1f"),
            _number(row.largest, ".2e"),
            str(row.n_nodes_elsewhere),
            _number(row.milliseconds, ".2f"),
            _number(base / row.milliseconds if base and row.milliseconds else None, ".2f"),
        )
        yield f"| {' | '.join(cells)} |"
    for row in rows:
        yield from (f"\n- `{row.sample}` on {row.provider}: {reason}" for reason in row.reasons)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def exit_code(rows: Sequence[Row]) -> int:
    """0 where all passed without TF32, 1 where one failed, 3 where one has no verdict."""
    verdicts = {row.verdict for row in rows if row.provider != TF32}
    return 1 if "fail" in verdicts else 3 if "inconclusive" in verdicts or not rows else 0


def write_report(folder: Path, rows: Sequence[Row]) -> None:
    """Write report.md and report.json."""
    machine = [
        f"{', '.join(gpu_names()) or 'no GPU'}; {platform.machine()}, Python "
        f"{platform.python_version()}",
        f"onnxruntime {onnxruntime.__version__}, prelu-tools {prelu_tools.__version__}",
        f"TF32 may differ by rtol {_WIDE[0]:g}, atol {_WIDE[1]:g}; times: medians of {ROUNDS} runs",
    ]
    text = "\n".join(report_lines(rows, machine)) + "\n"
    (folder / "report.md").write_text(text, encoding="utf-8")
    document = {"machine": machine, "rows": [asdict(row) for row in rows]}
    (folder / "report.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(text)


def main(arguments: Sequence[str]) -> int:
    """Run a command line; see the module."""
    command, folder, *rest = arguments
    if command == "prepare":
        prepare(Path(folder), rest or samples())
        return 0
    if (why := why_no_cuda()) is not None:
        print(f"no CUDA here: {why}; nothing was checked", file=sys.stderr)
        return 3
    rows = check(Path(folder), ("cpu", CUDA, TF32))
    write_report(Path(folder), rows)
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
