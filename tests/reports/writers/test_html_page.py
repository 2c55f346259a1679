"""The page as a file: whole, small, the same every time; and a hostile model is text in it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from made_results import HOSTILE, layer, model, usual
from parsed_html import ParsedPage

from prelu_tools.core.results.inspection import (
    Finding,
    InspectResult,
    LayerUsage,
    OtherActivation,
    RefusedForm,
)
from prelu_tools.reports import Style
from prelu_tools.reports.assets import asset
from prelu_tools.reports.writers import html
from prelu_tools.reports.writers.charts.data import MOST_RUNS, N_BINS, ROOM, chart_data
from prelu_tools.reports.writers.html import embedded

ASSETS = Path(html.__file__).parent.parent / "assets"


def _page(result: InspectResult) -> str:
    return html.render(result, Style())


def _hostile() -> InspectResult:
    text = HOSTILE + "<!--{{script}}&amp;"
    finding = Finding(text, "info", text, text)
    return dataclasses.replace(
        model(
            layer(text, [0.5, 0.6], form=text, nodes=(text, text), findings=[finding]),
            path=text,
            findings=[dataclasses.replace(finding, layer=None)],
            others=[OtherActivation(text, text, 0.0)],
            refused=[RefusedForm(text, text, text)],
            notes=(text,),
        ),
        producer=text,
    )


def test_a_hostile_model_is_text_everywhere() -> None:
    parts, usual_parts = ParsedPage(_page(_hostile())), ParsedPage(_page(usual()))
    assert {tag for tag, _ in parts.tags} <= {"wbr", *(tag for tag, _ in usual_parts.tags)}
    assert parts.tags.count(("script", {})) == usual_parts.tags.count(("script", {})) == 2
    assert parts.scripts[1:] == usual_parts.scripts[1:]
    assert json.loads(parts.scripts[0])["layers"][0]["name"] == HOSTILE + "<!--{{script}}&amp;"
    assert parts.title.startswith(HOSTILE)


def test_no_character_that_ends_a_script_is_left_in_the_data() -> None:
    text = embedded({"a": "</script><!-- \u2028 é"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!-- \u2028 é"}


def test_the_policy_allows_these_two_scripts_and_nothing_from_outside() -> None:
    parts = ParsedPage(_page(usual()))
    for script in parts.scripts[1:]:
        digest = hashlib.sha256(script.encode()).digest()
        assert f"'sha256-{base64.b64encode(digest).decode()}'" in parts.policy
    assert parts.policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; ")
    assert parts.policy.count("sha256-") == 2
    assert "; script-src 'sha256-" in parts.policy


def test_nothing_is_fetched() -> None:
    parts = ParsedPage(_page(usual()))
    links = [a.get("href") or a.get("src") for _, a in parts.tags if "href" in a or "src" in a]
    assert links == ["data:,"]
    assert not re.search(r"@import|url\(", asset("page.css") + asset("uPlot.min.css"))


def test_the_page_is_the_same_every_time() -> None:
    assert _page(usual()) == _page(usual())


def test_every_place_of_the_template_is_filled() -> None:
    assert "{{" not in _page(model())


def test_the_licence_of_the_library_is_in_the_page() -> None:
    assert "Permission is hereby granted" in _page(usual())
    assert asset("uPlot.LICENSE").startswith("The MIT License")


def test_without_any_script_the_layers_are_tables() -> None:
    page = _page(usual())
    without = page.partition("<noscript>")[2].partition("</noscript>")[0]
    for report in usual().layers:
        assert f'<code class="short">{report.layer.name}' in without


def test_what_was_vendored_is_what_was_published() -> None:
    rows = re.findall(r"^\| (\S+) \| \S+ \| ([0-9a-f]{64}) \|$", asset("VENDORED.md"), re.M)
    assert {name for name, _ in rows} == {path.name for path in ASSETS.glob("uPlot*")}
    for name, digest in rows:
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest
    assert f"(v{re.search('uPlot ([0-9.]+),', asset('VENDORED.md'))[1]})" in asset(  # type: ignore[index]
        "uPlot.iife.min.js"
    )


def test_each_slope_is_in_the_page_where_there_is_room() -> None:
    data = chart_data(usual().layers)["layers"][0]
    assert (data["per"], data["values"]) == (1, [-0.5, 0.0, 0.25, 1.5])
    assert data["negative"] == [0.5, 0.0, 0.25, 0.25]
    assert data["usage"] == {"negative": 0.25, "unused": 1, "output": 0.125}
    assert data["spread"] == [-0.5, 0.125, 1.5]


def test_many_slopes_are_runs_with_their_smallest_mean_and_largest() -> None:
    values = np.linspace(-1, 1, ROOM + 1)
    data = chart_data(model(layer("a", values)).layers)["layers"][0]
    per = -(-(ROOM + 1) // MOST_RUNS)
    assert data["per"] == per
    assert "values" not in data
    runs = [values[start : start + per] for start in range(0, values.size, per)]
    assert data["low"] == pytest.approx([run.min() for run in runs], abs=1e-6)
    assert data["mean"] == pytest.approx([run.mean() for run in runs], abs=1e-6)
    assert data["high"] == pytest.approx([run.max() for run in runs], abs=1e-6)
    assert len(data["low"]) <= MOST_RUNS


def test_room_is_shared_by_layers_and_by_what_is_said_of_each_slope() -> None:
    half = np.full(ROOM // 2, 0.5)
    assert chart_data(model(layer("a", half), layer("b", half)).layers)["layers"][1]["per"] == 1
    one_more = np.full(ROOM // 2 + 1, 0.5)
    assert chart_data(model(layer("a", half), layer("b", one_more)).layers)["layers"][1]["per"] > 1
    used = layer("a", one_more, usage=LayerUsage(one_more, 0.5))
    assert chart_data(model(used).layers)["layers"][0]["per"] > 1
    assert chart_data(model(layer("a", one_more)).layers)["layers"][0]["per"] == 1


def test_the_use_of_many_slopes_is_thinned_alongside() -> None:
    share = np.linspace(0, 1, ROOM)
    report = layer("a", share, usage=LayerUsage(share, 0.5))
    data = chart_data(model(report).layers)["layers"][0]
    assert len(data["negative"]) == len(data["mean"]) <= MOST_RUNS
    assert data["negative"] == pytest.approx(data["mean"], abs=1e-6)


def test_slopes_that_are_not_finite_are_null_and_spoil_no_run() -> None:
    few = chart_data(model(layer("a", [math.nan, 0.5, math.inf])).layers)["layers"][0]
    assert few["values"] == [None, 0.5, None]
    assert few["spread"] == [0.5, 0.5, 0.5]
    assert few["statistics"]["mean"] is None
    values = np.full(ROOM + 1, 0.5)
    values[:1000] = math.nan
    many = chart_data(model(layer("a", values)).layers)["layers"][0]
    assert many["low"][0] is many["mean"][0] is many["high"][0] is None
    assert many["mean"][3] == 0.5


def test_bars_hold_every_slope_on_its_side() -> None:
    report = layer("a", [-0.001, 0.0, 0.001, 1.0, 1.001, math.nan])
    bars = chart_data(model(report).layers)["layers"][0]["histogram"]
    assert {kind: sum(numbers) for kind, numbers in bars.items()} == {
        "below": 1,
        "between": 3,
        "above": 1,
    }
    assert all(len(numbers) == N_BINS for numbers in bars.values())


def test_findings_stand_worst_first() -> None:
    data = chart_data(usual().layers)
    assert [code for _, code in data["layers"][2]["findings"]] == ["slope_rank", "one_slope"]


def test_two_hundred_layers_stay_below_three_megabytes() -> None:
    random = np.random.default_rng(0)
    share = random.random(50_000)
    layers = [
        layer(f"a{i}", random.normal(0, 1, 50_000), usage=LayerUsage(share, 0.1))
        for i in range(100)
    ]
    layers += [layer(f"b{i}", random.normal(0, 1, 590)) for i in range(100)]
    assert 500_000 < len(_page(model(*layers)).encode()) < 3_000_000
