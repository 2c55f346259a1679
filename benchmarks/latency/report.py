"""Makes tables and chart of what was measured; measures nothing.

    python -m benchmarks.latency.report FOLDER

Reads every FOLDER/onnxruntime-VERSION.json, and writes FOLDER/latency.md and FOLDER/latency.png.
The newest onnxruntime comes first, and the chart is of it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.latency import results, table
from benchmarks.latency.plan import OURS


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables and the chart."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder: Path = parser.parse_args(arguments).folder
    paths = sorted(folder.glob("onnxruntime-*.json"), key=_version, reverse=True)
    if not paths:
        parser.error(f"{folder} has no onnxruntime-*.json: make them with benchmarks.latency.run")
    runs = [results.read(path) for path in paths]
    chart = folder / "latency.png"
    drawn = any(
        OURS in cell.microseconds for cell in runs[0].cells if (cell.batch, cell.threads) == (1, 1)
    )
    if drawn:
        from benchmarks.latency.chart import draw

        draw(runs[0], chart)
    document = table.document(runs, chart.name if drawn else None)
    (folder / "latency.md").write_text(document)
    print(document)
    return 0


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", path.stem))


if __name__ == "__main__":
    raise SystemExit(main())
