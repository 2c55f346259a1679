"""The page of `inspect` in a real browser: what is shown, clicked, typed and pointed at.

It needs chromium and chromedriver (Debian's packages of these names: `chromium`, `chromium-driver`)
and selenium; `make test-browser` says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, DRIVER, PAPER, chromium, faults, look, prefer
from made_checks import hostile, many_checks
from made_pages import pages
from made_results import HOSTILE, layer, model, usual

from prelu_tools.core.results.inspection import Finding, InspectResult, LayerUsage
from prelu_tools.reports import Style
from prelu_tools.reports.writers.html import render

pytest.importorskip("selenium")

from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium or chromedriver is missing"),
]
_PIXEL = """(selector, across, down) => {
  const over = document.querySelector(selector + " .u-over");
  const x = over.offsetLeft + over.clientWidth * across;
  const y = over.offsetTop + over.clientHeight * down;
  const canvas = document.querySelector(selector + " canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
  copy.drawImage(canvas, 0, 0);
  const found = [...copy.getImageData(x, y, 1, 1).data].slice(0, 3);
  return "#" + found.map((part) => part.toString(16).padStart(2, "0")).join("");
}"""
BELOW, BETWEEN, ABOVE = "#c8500a", "#1f77c0", "#9a45a0"


class Page:
    """A page that is open."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self._folder = driver, folder

    def open(self, result: InspectResult, width: int = 1280, dark: bool = False) -> None:
        """Write the page of a result and look at it."""
        path = self._folder / "page.html"
        path.write_text(render(result, Style()), encoding="utf-8")
        look(self.driver, path, width, dark)

    def js(self, script: str, *arguments: object) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {script}", *arguments)

    def one(self, selector: str) -> WebElement:
        """The first element that fits."""
        found: WebElement = self.driver.find_element(By.CSS_SELECTOR, selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """The text of each element that fits, as it is seen."""
        found = "[...document.querySelectorAll(arguments[0])].map((each) => each.innerText)"
        return list(self.js(found, selector))

    @property
    def names(self) -> list[str]:
        """The layers that are listed, in order."""
        return self.texts(".layer h2")

    def choose(self, name: str, value: str) -> None:
        """Pick from a list."""
        Select(self.one(f"#{name}")).select_by_value(value)

    def wait(self, script: str, *arguments: object) -> None:
        """Until an expression in the page is true."""
        WebDriverWait(self.driver, 10).until(lambda _: self.js(script, *arguments))

    def point(self, selector: str, share: float) -> str:
        """Point at a chart, so far from its left end, and read what is said there."""
        self.js("arguments[0].scrollIntoView({block: 'center'})", self.one(selector))
        self.wait("document.querySelector(arguments[0]) !== null", f"{selector} .u-over")
        over = self.one(f"{selector} .u-over")
        across = over.size["width"] * (share - 0.5)
        ActionChains(self.driver).move_to_element_with_offset(over, round(across), 5).perform()
        return self.one(f"{selector} .tip").text

    def picture(self, selector: str) -> str:
        """What a chart looks like."""
        return str(
            self.js("document.querySelector(arguments[0]).toDataURL()", f"{selector} canvas")
        )

    def colour(self, selector: str, across: float, down: float) -> str:
        """The colour of a chart at a place, as shares of its width and height."""
        self.point(selector, 0.5)
        return str(self.js(f"({_PIXEL})(...arguments)", selector, across, down))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def page(driver: Any, tmp_path: Path) -> Iterator[Page]:
    """A page, which in the end must have fetched nothing and complained of nothing."""
    yield Page(driver, tmp_path)
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert driver.get_log("browser") == []


def test_a_layer_with_all_that_is_known_of_it(page: Page) -> None:
    page.open(usual())
    assert page.one("h1").text == "net.onnx"
    assert page.names == ["stem.act", "b.act", "c|d"]
    assert page.texts(".layer:first-child p") == ["prelu, channel-wise, 4 float32"]
    names, numbers = page.texts(".layer:first-child dt"), page.texts(".layer:first-child dd")
    facts = dict(zip(names, numbers, strict=True))
    assert facts == {
        "slopes": "4",
        "mean": "0.313",
        "std": "0.851",
        "min": "-0.5",
        "median": "0.125",
        "max": "1.5",
        "below 0": "25.0%",
        "above 1": "25.0%",
        "adds": "0.4%",
        "negative in": "25.0%",
        "unused": "1",
        "of output": "12.5%",
    }
    assert page.texts(".layer:first-child .word") == ["sign_flipping", "expansive"]
    assert page.texts(".layer:nth-child(3) .verdict") == ["error slope_rank", "info one_slope"]
    assert page.texts(".layer:nth-child(3) .one") == ["0.75"]
    assert page.texts(".reasons li") == [
        "error slope_rank in c|d: the slope [4] stands on an input of rank 4",
        "warning at_init in b.act: all slopes are 0.25",
        "info one_slope in c|d: one slope for all channels",
        "info quantizer: no rule for PRelu | see *docs*",
    ]
    assert page.texts("#slopes ~ .reasons li") == ["info quantizer: no rule for PRelu | see *docs*"]
    page.one("details.panel > summary").click()
    assert page.texts("details.panel td") == ["relu_1", "Relu", "0", "lr", "LeakyRelu", "0.1"]
    assert page.texts(".lines li")[-1] == "add_3 (relu_sub): the branches read x and y"


def test_a_hostile_name_is_a_name(page: Page) -> None:
    finding = Finding("uniform", "info", HOSTILE, HOSTILE)
    page.open(model(layer(HOSTILE, [0.5, 0.5], findings=[finding]), path=HOSTILE))
    assert page.names == [HOSTILE]
    assert page.one("h1").text == HOSTILE
    assert page.texts(".reasons li") == [f"info uniform in {HOSTILE}: {HOSTILE}"]
    assert page.js("document.images.length") == 0
    assert page.js("document.scripts.length") == 3


ASCENDING = {
    "order": ["a10", "a9", "odd", "a1"],
    "name": ["a1", "a9", "a10", "odd"],
    "count": ["a9", "odd", "a10", "a1"],
    "mean": ["a9", "a1", "a10", "odd"],
    "std": ["a1", "a10", "a9", "odd"],
    "min": ["a9", "a1", "a10", "odd"],
    "max": ["a1", "a10", "a9", "odd"],
    "negative": ["a10", "odd", "a1", "a9"],
    "above": ["a10", "odd", "a1", "a9"],
    "severity": ["a9", "odd", "a10", "a1"],
    "used": ["a9", "a10", "a1", "odd"],
    "output": ["a10", "a9", "a1", "odd"],
}
DESCENDING = {  # equal layers keep the order of the model, and what is not known comes last
    "order": ["a1", "odd", "a9", "a10"],
    "name": ["odd", "a10", "a9", "a1"],
    "count": ["a1", "a10", "a9", "odd"],
    "mean": ["a10", "a1", "a9", "odd"],
    "std": ["a9", "a10", "a1", "odd"],
    "min": ["a10", "a1", "a9", "odd"],
    "max": ["a9", "a10", "a1", "odd"],
    "negative": ["a9", "a1", "a10", "odd"],
    "above": ["a9", "a10", "odd", "a1"],
    "severity": ["a1", "a10", "a9", "odd"],
    "used": ["a1", "a10", "a9", "odd"],
    "output": ["a1", "a9", "a10", "odd"],
}


def test_layers_are_sorted_both_ways(page: Page) -> None:
    info = Finding("x", "info", "", "")
    error = Finding("x", "error", "", "")
    page.open(
        model(
            layer("a10", [0.2, 0.3, 0.4], findings=[info], usage=_usage(0.4, 0.1)),
            layer("a9", [-3.0, 2.0], usage=_usage(0.2, 0.3)),
            layer("odd", [math.nan, 0.5]),
            layer("a1", [0.1] * 5 + [-0.1], findings=[error], usage=_usage(0.6, 0.5)),
        )
    )
    keys = page.js("[...document.querySelectorAll('#sort option')].map((each) => each.value)")
    assert set(keys) == set(ASCENDING)
    for key in keys:
        page.choose("sort", key)
        assert (key, page.names) == (key, ASCENDING[key])
    page.one("#direction").click()
    assert page.one("#direction").text == "↓ descending"
    for key in keys:
        page.choose("sort", key)
        assert (key, page.names) == (key, DESCENDING[key])


def _usage(negative: float, output: float) -> LayerUsage:
    return LayerUsage(np.array([negative]), output)


def test_layers_are_filtered_by_what_is_typed_and_clicked(page: Page) -> None:
    page.open(usual())
    assert page.one("#count").text == "3 of 3 layers"
    search = page.one("#filter")
    for typed, found in (
        ("ACT", ["stem.act", "b.act"]),
        ("relu_neg", ["c|d"]),
        ("b.act_1", ["b.act"]),
        ("slope_rank", ["c|d"]),
        ("act leaky", ["b.act"]),
        ("nowhere", []),
    ):
        search.clear()
        search.send_keys(typed)
        assert page.names == found
    assert page.one("#count").text == "0 of 3 layers"
    assert page.one("#none").is_displayed()
    search.clear()
    search.send_keys(" ")
    assert not page.one("#none").is_displayed()
    leaky, uniform = (page.one(f"[data-word='{word}']") for word in ("leaky", "uniform"))
    assert leaky.text == "leaky 2"
    assert leaky.get_attribute("title") == "all slopes between 0 and 1"
    leaky.click()
    assert page.names == ["b.act", "c|d"]
    uniform.click()
    assert page.names == ["b.act"]
    leaky.click()
    uniform.click()
    for severity, found in (
        ("any", ["b.act", "c|d"]),
        ("warning", ["b.act", "c|d"]),
        ("error", ["c|d"]),
    ):
        page.choose("severity", severity)
        assert page.names == found


def test_pointing_at_a_channel_says_its_slope_and_its_use(page: Page) -> None:
    page.open(usual())
    card = ".layer:first-child"
    said = [page.point(f"{card} .values .chart", (i + 0.7) / 4.4) for i in range(4)]
    assert said == [
        "channel 0: -0.5\nnegative in 50% of its inputs",
        "channel 1: 0\nnegative in 0% of its inputs",
        "channel 2: 0.25\nnegative in 25% of its inputs",
        "channel 3: 1.5\nnegative in 25% of its inputs",
    ]
    assert page.point(f"{card} [aria-label^=Histogram]", 0.01) == "-0.5 to -0.45\n1 slope"
    assert page.point(f"{card} [aria-label^=Histogram]", 0.51) == "0.5 to 0.55\n0 slopes"


def test_slopes_below_zero_and_above_one_have_their_colours(page: Page) -> None:
    page.open(model(layer("a", [-0.8, 0.9, 1.9, 0.5]), layer("b", np.linspace(-1, 2, 90_000))))
    chart = ".layer:first-child .values .chart"
    height = {value: (2.09 - value) / 3.18 for value in (-0.5, 0.4, 1.5)}
    assert page.colour(chart, 0.7 / 4.4, height[-0.5]) == BELOW
    assert page.colour(chart, 1.7 / 4.4, height[0.4]) == BETWEEN
    assert page.colour(chart, 2.7 / 4.4, height[1.5]) == ABOVE
    bars = ".layer:first-child [aria-label^=Histogram]"
    for slope, colour in ((-0.8, BELOW), (0.5, BETWEEN), (0.9, BETWEEN), (1.9, ABOVE)):
        assert page.colour(bars, (slope + 1) / 3, 0.5) == colour
    many = ".layer:nth-child(2) [aria-label^=Histogram]"
    assert [page.colour(many, share, 0.9) for share in (0.2, 0.5, 0.8)] == [BELOW, BETWEEN, ABOVE]


def test_positions_of_an_element_wise_layer_are_named(page: Page) -> None:
    page.open(model(layer("a", np.arange(24).reshape(2, 3, 4) / 100)))
    assert page.point(".values .chart", (23 + 0.7) / 24.4) == "position 1, 2, 3: 0.23"
    assert page.point(".values .chart", (6 + 0.7) / 24.4) == "position 0, 1, 2: 0.06"


def test_what_was_thinned_says_so(page: Page) -> None:
    values = np.zeros((64, 50, 50))
    values[0, 0, 0] = -1.0
    page.open(model(layer("a", values)))
    assert "160,000 slopes in runs of 400, each with its smallest" in page.texts(".values h3")[0]
    assert page.point(".values .chart", 0.001) == "slopes 0 to 399\n-1 to 0, mean -0.0025"


def test_values_can_be_read_as_text(page: Page) -> None:
    page.open(usual())
    page.one(".layer:first-child summary").click()
    page.wait("document.querySelector('.layer pre').textContent !== ''")
    assert page.one(".layer pre").text == "0: -0.5\n1: 0\n2: 0.25\n3: 1.5"


def test_a_layer_can_have_a_scale_of_its_own(page: Page) -> None:
    page.open(usual())
    chart = ".layer:first-child .values .chart"
    page.point(chart, 0.5)
    page.open(model(layer("a", [0.3, 0.31, 0.32]), layer("b", [-5.0, 5.0])))
    page.point(chart, 0.5)
    common = page.picture(chart)
    page.choose("scale", "own")
    assert page.picture(chart) != common
    page.choose("scale", "common")
    assert page.picture(chart) == common


def test_a_click_on_the_depth_chart_goes_to_the_layer(page: Page) -> None:
    page.open(model(*(layer(f"a{i}", [0.1, 0.2 + i / 100]) for i in range(30))))
    assert page.point("#depth", (20 + 0.6) / 30.2) == "a20\n0.1 to 0.4, median 0.25"
    ActionChains(page.driver).click().perform()
    page.wait("document.querySelector('.layer.found') !== null")
    assert page.texts(".layer.found h2") == ["a20"]
    top = page.js("document.querySelector('.layer.found').getBoundingClientRect().top")
    assert 0 <= top < 300


def test_a_click_on_a_layer_that_is_filtered_away_does_nothing(page: Page) -> None:
    page.open(model(layer("first", [0.1, 0.2]), layer("second", [0.1, 0.2])))
    page.one("#filter").send_keys("first")
    assert page.point("#depth", 0.75).startswith("second\n")
    ActionChains(page.driver).click().perform()
    page.one("#filter").clear()
    page.one("#filter").send_keys(" ")
    assert page.names == ["first", "second"]
    assert page.texts(".found") == []


def test_light_and_dark_follow_the_reader_also_while_it_is_open(page: Page) -> None:
    page.open(usual())
    page.point("#depth", 0.5)
    background = "getComputedStyle(document.body).backgroundColor"
    light, picture = page.js(background), page.picture("#depth")
    prefer(page.driver, dark=True)
    page.wait(f"{background} !== arguments[0]", light)
    assert _brightness(light) > 240 > 40 > _brightness(page.js(background))
    assert _brightness(page.js("getComputedStyle(document.body).color")) > 200
    drawn = "document.querySelector('#depth canvas').toDataURL()"
    page.wait(f"{drawn} !== arguments[0]", picture)
    prefer(page.driver, dark=False)
    page.wait(f"{background} === arguments[0]", light)
    page.wait(f"{drawn} === arguments[0]", picture)


def _brightness(colour: str) -> float:
    numbers = [float(part) for part in colour.split("(")[1].rstrip(")").split(",")]
    return sum(numbers[:3]) / 3


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_screen(page: Page, width: int) -> None:
    long = "backbone." * 20
    finding = Finding("x", "warning", long, long)
    deep = model(layer(long, [0.1] * 64, findings=[finding]), *usual().layers, path=long)
    page.open(deep, width)
    assert page.js("document.documentElement.scrollWidth") == width
    boxes = "[...document.querySelectorAll('.layer *')].map((e) => e.getBoundingClientRect().right)"
    assert page.js(f"Math.max(...{boxes})") <= width
    page.point(".layer:first-child .values .chart", 0.5)
    lefts = "[...document.querySelectorAll('.layer:first-child > *')].map((e) => e.offsetLeft)"
    columns = len(set(page.js(lefts)))
    assert columns == {375: 1, 768: 2, 1280: 3}[width]


def test_charts_of_a_deep_model_are_drawn_when_they_come_into_view(page: Page) -> None:
    page.open(model(*(layer(f"a{i}", [0.1, 0.2]) for i in range(200))))
    page.wait("document.querySelectorAll('canvas').length > 2")
    assert page.js("document.querySelectorAll('canvas').length") < 40
    assert page.point(".layer:last-child .values .chart", 0.2) == "channel 0: 0.1"


def test_a_model_without_layers_is_a_page_too(page: Page) -> None:
    page.open(model(findings=[Finding("no_prelu", "warning", "no PReLU was found")]))
    assert page.texts(".reasons li") == ["warning no_prelu: no PReLU was found"]
    assert page.js("document.querySelector('#filter')") is None


def test_the_policy_stops_what_an_injected_element_would_run(page: Page, tmp_path: Path) -> None:
    page.open(usual())
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    injected = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    (tmp_path / "page.html").write_text(text.replace("<main id", f"{injected}<main id", 1))
    page.driver.refresh()
    page.wait("document.images.length === 1 && document.images[0].complete")
    assert page.names == ["stem.act", "b.act", "c|d"]
    assert page.driver.title == "net.onnx - prelu-tools"
    refused = [entry["message"] for entry in page.driver.get_log("browser")]
    assert len(refused) >= 2
    assert all("Content Security Policy" in message for message in refused)
    page.open(usual())


@pytest.mark.parametrize("width", [420, 1280])
def test_what_verify_found_is_seen_in_any_width(width: int, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for result in (*hostile(), many_checks()):
        path.write_text(render(result, Style()), encoding="utf-8")
        look(driver, path, width)
        page = "document.documentElement"
        assert driver.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")
        assert driver.execute_script("return document.images.length") == 0
        assert driver.get_log("browser") == []
    closed = driver.find_element(By.CSS_SELECTOR, "#check-1 .panel")
    assert not closed.is_displayed()
    driver.find_element(By.CSS_SELECTOR, "#check-1 summary").click()
    assert closed.is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "#check-2 .panel").is_displayed()


@pytest.mark.parametrize(
    ("width", "printed"), [(390, False), (768, False), (961, False), (1280, False), (PAPER, True)]
)
def test_no_page_is_cut_empty_or_wider_than_the_screen(
    width: int, printed: bool, driver: Any, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    for name, result in pages().items():
        path.write_text(render(result, Style()), encoding="utf-8")
        look(driver, path, width, printed=printed)
        assert (name, faults(driver)) == (name, [])
        assert driver.get_log("browser") == []


def test_paper_has_the_key_of_the_colours_and_no_controls(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render(usual(), Style()), encoding="utf-8")
    look(driver, path, PAPER, printed=True)
    controls = driver.find_elements(By.CSS_SELECTOR, ".controls > *")
    assert [e.get_attribute("class") for e in controls if e.is_displayed()] == ["key"]


def test_a_finding_is_not_said_again_by_the_word_for_it(page: Page) -> None:
    page.open(usual())
    chips = page.js("[...document.querySelectorAll('.layer')[1].querySelectorAll('.words span')]"
                    ".map((e) => e.innerText)")  # fmt: skip
    assert chips == ["warning at_init", "leaky", "uniform"]


def test_every_chart_is_drawn_on_paper(page: Page) -> None:
    page.open(model(*(layer(f"a{i}", [0.1, 0.2]) for i in range(60))))
    assert page.js("document.querySelectorAll('canvas').length") < 40
    page.js("dispatchEvent(new Event('beforeprint'))")
    assert page.js("document.querySelectorAll('canvas').length") == 121


def test_a_list_is_sorted_and_searched(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(render(many_checks(), Style()), encoding="utf-8")
    look(driver, path)
    rows = "return [...document.querySelectorAll('tbody')[0].rows].map((r) => r.cells[0].innerText)"
    assert driver.execute_script(rows) == ["digits", "faces, aligned", "lost"]
    heads = driver.find_elements(By.CSS_SELECTOR, "table.sortable th button")
    heads[0].click()
    heads[0].click()
    assert driver.execute_script(rows) == ["lost", "faces, aligned", "digits"]
    heads[3].click()  # figures: what has none stays last
    heads[3].click()
    assert driver.execute_script(rows)[-1] == "lost"
    driver.find_element(By.CSS_SELECTOR, "input").send_keys("FACES")
    shown = "return document.querySelectorAll('table.sortable tbody tr:not([hidden])').length"
    assert driver.execute_script(shown) == 1
    driver.find_element(By.LINK_TEXT, "faces, aligned").click()
    assert driver.execute_script("return location.hash") == "#check-2"
