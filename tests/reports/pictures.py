"""`make pictures`: every page and plot, light and dark, wide and narrow, and printed, to look at.

    python tests/reports/pictures.py build/pictures

The layout faults that a program can see are printed; the exit code is 1 if there are any.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rigs"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rigs/made"))

from browser import CHROMIUM, DRIVER, PAPER, chromium, faults, look, picture
from made_pages import pages

from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.reports import Style, render
from prelu_tools.reports.writers.charts.plot import draw

VIEWS = {
    "wide": {"width": 1280},
    "wide-dark": {"width": 1280, "dark": True},
    "phone": {"width": 390},
    "phone-dark": {"width": 390, "dark": True},
    "printed": {"width": PAPER, "printed": True},
}


def main(folder: Path) -> int:
    """Take them all."""
    if not CHROMIUM or not DRIVER:
        sys.exit("chromium or chromedriver is missing: apt-get install chromium chromium-driver")
    folder.mkdir(parents=True, exist_ok=True)
    n_faults = 0
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as driver:
        for name, result in pages().items():
            page = folder / f"{name}.html"
            page.write_text(render(result, "html", Style()), encoding="utf-8")
            for view, how in VIEWS.items():
                look(driver, page.resolve(), **how)  # type: ignore[arg-type]
                found = faults(driver)
                n_faults += len(found)
                for fault in found:
                    print(f"{name}, {view}: {fault}")
                (folder / f"{name}-{view}.png").write_bytes(picture(driver))
    for name, result in pages().items():
        if isinstance(result, InspectResult | SeriesResult) and result.layers:
            (folder / f"{name}-plot.png").write_bytes(draw(result, ".png"))
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
