"""A headless Chromium that opens pages, takes pictures of them and finds what is wrong with them.

It needs chromium and chromedriver (Debian's packages of these names: `chromium`, `chromium-driver`)
and selenium.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars"),
)
SOFTWARE_GPU = (
    *(flag for flag in FLAGS if flag != "--disable-gpu"),
    *("--enable-unsafe-webgpu", "--enable-features=Vulkan,WebGPU", "--ignore-gpu-blocklist"),
    *("--use-webgpu-adapter=swiftshader", "--use-vulkan=swiftshader", "--use-angle=swiftshader"),
)
"""A browser with WebGPU, which the processor does the work of."""
PAPER = 794
"""The width of A4 in pixels of CSS."""
_TALLEST = 6000
_FAULTS = """
const found = [];
const wide = document.documentElement.clientWidth;
const name = (e) => e.tagName.toLowerCase() + "." + e.className + ": " + e.innerText.slice(0, 60);
const seen = (e) => e.checkVisibility({ contentVisibilityAuto: true }) && !e.closest("thead, .tip");
if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
for (const e of document.querySelectorAll("#page *")) {
  if (!seen(e)) continue;
  const box = e.getBoundingClientRect();
  if (box.width && (box.right > wide + 1 || box.left < -1)) found.push("outside: " + name(e));
  const cut = ["hidden", "clip", "scroll", "auto"].includes(getComputedStyle(e).overflowX);
  const hides = e.scrollWidth > e.clientWidth + 1 && !e.closest(".chart");
  if (cut && hides) found.push("cut: " + name(e));
}
for (const e of document.querySelectorAll(".panel, .layer, .reasons li, table, dd")) {
  if (seen(e) && !e.innerText.trim() && !e.querySelector("canvas")) found.push("empty: " + name(e));
}
for (const e of document.querySelectorAll(".chart")) {
  if (!seen(e)) continue;
  const canvas = e.querySelector("canvas");
  if (!canvas) { found.push("no chart: " + e.ariaLabel); continue; }
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const drawn = copy.getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte);
  if (!drawn) found.push("empty chart: " + e.ariaLabel);
  const wider = canvas.getBoundingClientRect().width > e.clientWidth + 1;
  if (wider) found.push("cut chart: " + e.ariaLabel);
}
return found;
"""


@contextmanager
def chromium(profile: Path, flags: Sequence[str] = FLAGS) -> Iterator[Any]:
    """A browser with a folder of its own."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for flag in (*flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def look(
    driver: Any, page: Path, width: int = 1280, dark: bool = False, printed: bool = False
) -> None:
    """Open a page as a screen of this width shows it, or as paper does."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    prefer(driver, dark)
    driver.get(page.as_uri())
    if printed:
        prefer(driver, dark, media="print")
        driver.execute_script("dispatchEvent(new Event('beforeprint'))")
        settle(driver)


def prefer(driver: Any, dark: bool, media: str = "") -> None:
    """What the reader prefers, and what the page is shown on."""
    wanted = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    emulated = {"media": media, "features": [wanted]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)


def settle(driver: Any) -> None:
    """Until what the page has planned is drawn: two frames later."""
    script = "const [done] = arguments; requestAnimationFrame(() => requestAnimationFrame(done));"
    driver.execute_async_script(script)


def faults(driver: Any) -> list[str]:
    """What the layout of the page does wrong: what is cut, empty, or wider than the screen."""
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")  # every chart is drawn
    settle(driver)
    found: list[str] = driver.execute_script(_FAULTS)
    return found


def picture(driver: Any) -> bytes:
    """The whole page as a PNG."""
    size = driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": size["width"], "scale": 1}
    clip["height"] = min(size["height"], _TALLEST)
    asked = {"captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(driver.execute_cdp_cmd("Page.captureScreenshot", asked)["data"])
