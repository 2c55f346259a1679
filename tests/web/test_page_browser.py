"""The page in a headless Chromium: files are dropped on it, and it says what they are worth."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from browser import CHROMIUM, DRIVER, SOFTWARE_GPU, chromium, prefer
from onnx import helper
from page_nets import exchange, negate, one_channel, save_net
from running import ROOT
from tiny_models import save_graph

from prelu_tools.api import record

pytest.importorskip("selenium")

from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

_BUILT = ROOT / "build/web"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.web,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium or chromedriver is missing"),
    pytest.mark.skipif(not (_BUILT / ".ready").exists(), reason="make web has not been run"),
]
_CUT = """
const found = [];
const wide = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
for (const e of document.querySelectorAll("#page *")) {
  if (e.tagName === "INPUT" || !e.checkVisibility()) continue;
  const box = e.getBoundingClientRect();
  if (box.width && (box.right > wide + 1 || box.left < -1)) found.push("outside: " + e.tagName + " " + e.textContent.slice(0, 60));
}
for (const e of document.querySelectorAll("#slopes svg")) {
  if (!e.querySelector(".dot")) found.push("no dots: " + e.ariaLabel);
}
return found;
"""  # noqa: E501


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class _Page:
    """The page, open in a browser."""

    def __init__(self, driver: Any, address: str, folder: Path) -> None:
        self.driver, self._address, self.folder = driver, address, folder

    def open(self, width: int = 1280, dark: bool = False) -> None:
        """Load it anew."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        prefer(self.driver, dark)
        self.driver.get(f"{self._address}/index.html")

    def verify(self, reference: Path, *model: Path) -> str:
        """Give it files; returns its verdict."""
        self.driver.find_element(By.ID, "record").send_keys(str(reference))
        self.driver.find_element(By.ID, "model").send_keys("\n".join(map(str, model)))
        return self.wait()

    def wait(self) -> str:
        """The verdict, once it is there."""
        shown = WebDriverWait(self.driver, 120).until(
            lambda driver: driver.find_elements(By.ID, "verdict")
        )
        return str(shown[0].get_attribute("data-verdict"))

    def text(self, element: str) -> str:
        """What an element shows."""
        return str(self.driver.find_element(By.ID, element).text)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Page]:
    """A server of the built page, a browser, and a net with its record."""
    folder = tmp_path_factory.mktemp("page")
    record(save_net(folder / "net.onnx"), folder / "net.npz", samples=4, search_seconds=0)
    with _served() as address, chromium(folder / "profile") as driver:
        yield _Page(driver, address, folder)


@contextmanager
def _served() -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(_BUILT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _changed(page: _Page, change: Any) -> Path:
    model = onnx.load(page.folder / "net.onnx")
    change(model)
    path = page.folder / f"{change.__name__}.onnx"
    onnx.save(model, path)
    return path


def test_a_right_model_passes(page: _Page) -> None:
    page.open()
    assert page.verify(page.folder / "net.npz", page.folder / "net.onnx") == "pass"
    assert "PASS" in page.text("verdict")
    assert "onnxruntime-web 1." in page.text("verdict")
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#layers tbody tr")
    assert [row.text.split()[:2] for row in rows] == [
        ["act1", "equal"], ["act2", "equal"], ["map", "equal"], ["act3", "equal"]
    ]  # fmt: skip
    assert len(page.driver.find_elements(By.CSS_SELECTOR, "#slopes svg[role=img]")) == 4


@pytest.mark.parametrize(("change", "said"), [
    (exchange, "act1 (node act1): channels 0 and 1 swapped"),
    (negate, "map (node map): slopes negated"),
    (one_channel, "act3 (node act3): 1 of 5 slopes differ, the largest difference at index 1"),
])  # fmt: skip
def test_wrong_slopes_fail_and_are_named(page: _Page, change: Any, said: str) -> None:
    page.open()
    assert page.verify(page.folder / "net.npz", _changed(page, change)) == "fail"
    assert said in page.text("verdict")
    drawn = page.driver.find_element(By.CSS_SELECTOR, "#slopes .layer.fail")
    assert drawn.find_elements(By.CSS_SELECTOR, ".dot.wrong")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("damaged.npz", "the record is damaged"),
        ("version.npz", "has format 2, but this page reads formats up to 1"),
        ("arrays.npz", "is not a record of a model"),
    ],
)
def test_a_record_that_cannot_be_read_gives_no_verdict(page: _Page, name: str, said: str) -> None:
    good = page.folder / "net.npz"
    with np.load(good) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes()) | {"format_version": 2}
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(page.folder / "version.npz", **arrays)
    np.savez(page.folder / "arrays.npz", x=np.zeros(3))
    (page.folder / "damaged.npz").write_bytes(good.read_bytes()[:-50])
    page.open()
    assert page.verify(page.folder / name, page.folder / "net.onnx") == "none"
    assert said in page.text("verdict")


def test_what_is_no_model_gives_no_verdict(page: _Page) -> None:
    path = page.folder / "picture.onnx"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    page.open()
    assert page.verify(page.folder / "net.npz", path) == "none"
    assert "not a valid ONNX file" in page.text("verdict")
    assert "NO VERDICT" in page.text("verdict")


def test_names_of_a_file_are_only_text(page: _Page) -> None:
    evil = "<img src=x onerror=document.title='taken'>"
    model = onnx.load(page.folder / "net.onnx")
    for node in model.graph.node:
        node.name = evil if node.name == "act3" else node.name
        for names in (node.input, node.output):
            names[:] = [evil if name == "act3.weight" else name for name in names]
    for tensor in model.graph.initializer:
        tensor.name = evil if tensor.name == "act3.weight" else tensor.name
    negate(model, evil)
    onnx.save(model, page.folder / "evil.onnx")
    page.open()
    assert page.verify(page.folder / "net.npz", page.folder / "evil.onnx") == "fail"
    assert evil in page.text("verdict")
    assert "prelu-tools" in page.driver.title


def test_files_that_are_dropped_are_taken(page: _Page) -> None:
    page.open()
    script = """
      const [done] = [arguments[arguments.length - 1]];
      const transfer = new DataTransfer();
      for (const [name, text] of arguments[0]) {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name));
      }
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
      done();
    """
    import base64

    names = ("net.npz", "net.onnx")
    files = [(n, base64.b64encode((page.folder / n).read_bytes()).decode()) for n in names]
    page.driver.execute_async_script(script, files)
    assert page.wait() == "pass"


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_at_any_width(page: _Page, width: int) -> None:
    page.open(width, dark=width < 500)
    assert page.driver.execute_script(_CUT) == []
    assert page.verify(page.folder / "net.npz", _changed(page, exchange)) == "fail"
    assert page.driver.execute_script(_CUT) == []


def test_nothing_leaves_the_machine(page: _Page) -> None:
    page.open()
    page.verify(page.folder / "net.npz", page.folder / "net.onnx")
    asked = page.driver.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert any(name.endswith(".wasm") for name in asked)
    assert all(name.startswith(page._address) for name in asked)
    script = "const [done] = arguments; fetch('https://example.com').then(() => done('went'), () => done('no'))"  # noqa: E501
    assert page.driver.execute_async_script(script) == "no"  # by the page's policy
    logged = [entry["message"] for entry in page.driver.get_log("browser")]
    assert any("Content Security Policy" in message for message in logged)


def _save_det(path: Path) -> Path:
    """A determinant, of which WebGPU has no kernel, beside a PReLU."""
    nodes = [
        helper.make_node("PRelu", ["x", "act.weight"], ["y"], name="act"),
        helper.make_node("Det", ["y"], ["det"], name="last"),
    ]
    slopes = {"act.weight": np.float32([[0.25], [-0.5], [1.5]])}
    dims = ["batch", 3, 3]
    return save_graph(path, nodes, {"x": dims}, {"y": dims, "det": ["batch"]}, slopes)


def test_on_webgpu_nodes_on_the_cpu_are_named_and_have_to_be_allowed(tmp_path: Path) -> None:
    nets = {"net": save_net(tmp_path / "net.onnx"), "det": _save_det(tmp_path / "det.onnx")}
    for net in nets.values():
        record(net, net.with_suffix(".npz"), samples=4, search_seconds=0)
    with _served() as address, chromium(tmp_path / "profile", SOFTWARE_GPU) as driver:
        page = _Page(driver, address, tmp_path)
        page.open()
        option = driver.find_element(By.CSS_SELECTOR, "#provider [value=webgpu]")
        try:
            WebDriverWait(driver, 10).until(lambda _: option.is_enabled())
        except TimeoutException:
            pytest.skip("this browser has no WebGPU")
        Select(driver.find_element(By.ID, "provider")).select_by_value("webgpu")
        assert page.verify(tmp_path / "net.npz", nets["net"]) == "pass"
        assert "every node ran on WebGPU" in page.text("verdict")
        driver.execute_script("document.getElementById('result').replaceChildren()")
        driver.find_element(By.ID, "record").send_keys(str(tmp_path / "det.npz"))
        page.wait()
        driver.execute_script("document.getElementById('result').replaceChildren()")
        driver.find_element(By.ID, "model").send_keys(str(nets["det"]))
        assert page.wait() == "none"
        assert "1 node ran on the CPU and not on WebGPU (Det last)" in page.text("verdict")
        driver.execute_script("document.getElementById('result').replaceChildren()")
        driver.find_element(By.ID, "cpu").click()
        assert page.wait() == "pass"
