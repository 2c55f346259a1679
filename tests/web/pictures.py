"""`make web-pictures`: the page of docs/web with two swapped slopes, for docs/howto/web.png.

    python tests/web/pictures.py docs/howto/web.png build/pictures

The second path is a folder for pictures of other sizes, to look at.
"""

from __future__ import annotations

import functools
import http.server
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "rigs"))

import onnx
from browser import CHROMIUM, DRIVER, chromium, picture, prefer, settle
from onnx import numpy_helper

from prelu_tools import export, record

ROOT = Path(__file__).resolve().parents[2]
VIEWS = {
    "wide": (1280, False),
    "wide-dark": (1280, True),
    "phone": (390, False),
    "phone-dark": (390, True),
}


def main(page: Path, folder: Path) -> None:
    """Draw the picture of the docs, and the others."""
    if not CHROMIUM or not DRIVER:
        sys.exit("chromium or chromedriver is missing: apt-get install chromium chromium-driver")
    folder.mkdir(parents=True, exist_ok=True)
    server = _server(ROOT / "build/web")
    with tempfile.TemporaryDirectory() as made, chromium(Path(made) / "profile") as driver:
        reference, model = _files(Path(made))
        for name, (width, dark) in VIEWS.items():
            _look(driver, f"http://127.0.0.1:{server.server_port}", width, dark)
            (folder / f"web-empty-{name}.png").write_bytes(picture(driver))
            _verify(driver, reference, model)
            (folder / f"web-{name}.png").write_bytes(picture(driver))
    server.shutdown()
    page.write_bytes((folder / "web-wide.png").read_bytes())


def _files(folder: Path) -> tuple[Path, Path]:
    """A record of MTCNN's RNet, and its ONNX file with two slopes swapped."""
    source, reference, path = (
        "samples/mtcnn_torch.py:RNet",
        folder / "rnet.npz",
        folder / "rnet.onnx",
    )
    record(source, reference)
    export(source, path, verify=False)
    model = onnx.load(path)
    (tensor,) = (one for one in model.graph.initializer if one.name == "prelu2.weight")
    slopes = numpy_helper.to_array(tensor).copy()
    slopes[[4, 36]] = slopes[[36, 4]]
    tensor.CopyFrom(numpy_helper.from_array(slopes, tensor.name))
    onnx.save(model, path)
    return reference, path


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _server(folder: Path) -> http.server.ThreadingHTTPServer:
    handler = functools.partial(_Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _look(driver: Any, address: str, width: int, dark: bool) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    prefer(driver, dark)
    driver.get(f"{address}/index.html")
    settle(driver)


def _verify(driver: Any, reference: Path, model: Path) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    driver.find_element(By.ID, "record").send_keys(str(reference))
    driver.find_element(By.ID, "model").send_keys(str(model))
    WebDriverWait(driver, 120).until(lambda found: found.find_elements(By.ID, "verdict"))
    settle(driver)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
