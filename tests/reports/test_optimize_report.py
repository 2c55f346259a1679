"""What `optimize` says of its work, in every format."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from made_checks import passing
from made_results import assert_gold, optimized

from prelu_tools.core.process.timing import Ratio
from prelu_tools.reports import Style, formats_of, render


@pytest.mark.parametrize(("form", "suffix"), [("table", "txt"), ("markdown", "md")])
def test_gold(form: str, suffix: str) -> None:
    assert_gold(f"optimize.{suffix}", render(optimized(), form, Style()))


def test_a_table_fits_80_columns() -> None:
    assert max(map(len, render(optimized(), "table", Style()).splitlines())) <= 80


def test_json() -> None:
    document = json.loads(render(optimized(), "json", Style()))
    assert (document["schema_version"], document["kind"]) == (1, "optimize")
    assert document["exact"] == "approximate=4"
    assert document["layers"][0] == {
        "name": "stem|act",
        "shape": [1, 64, 56, 56],
        "n_slopes": 64,
        "before": "prelu",
        "form": "relu_mul",
        "chosen": "timing",
        "gained": 1.2e-3,
        "gain": {"median": 0.345, "low": 0.34, "high": 0.352, "n_rounds": 172},
        "group": 0,
    }
    assert document["held"]["max_ulps"] == 2
    assert document["latency"]["threads"] == 2


def test_what_held_is_said_as_it_is() -> None:
    result = optimized()
    loose = render(result, "table", Style())
    assert "layers are up to 2 ulp from PRelu; outputs equal bit for bit" in " ".join(loose.split())
    strict = replace(result, held=replace(result.held, layer=True, bitwise=False, special=True))
    words = " ".join(render(strict, "table", Style()).split())
    assert (
        "every layer equals PRelu (-0 counts as 0); outputs not equal bit for bit on 9 rows"
        in words
    )
    assert "; the same results for infinities and NaN" in words


def test_sizes_and_a_busy_machine_are_named() -> None:
    result = optimized()
    assert result.latency is not None
    assert "timed at" not in render(result, "table", Style())
    latency = replace(result.latency, sizes_from="search", clock="processor", waited=0.434)
    words = " ".join(render(replace(result, latency=latency), "table", Style()).split())
    assert "timed at x 1x3x112x112: the largest common size" in words
    assert "other processes used 43% of the processor" in words


def test_a_model_that_is_slower_is_called_so() -> None:
    result = optimized()
    assert result.latency is not None
    within = replace(result.latency, ratio=Ratio(1.02, 0.99, 1.05, 9))
    assert "slower" not in render(replace(result, latency=within), "table", Style())
    beyond = replace(result.latency, ratio=Ratio(1.14, 1.12, 1.17, 9))
    timed = tuple(replace(layer, chosen="timing") for layer in result.layers)
    slower = replace(result, latency=beyond, layers=timed)
    words = " ".join(render(slower, "table", Style()).split())
    assert "now: 1.14x the time (1.12 to 1.17 over 9 rounds): slower" in words
    assert "--no-tune" not in words
    forecast = tuple(replace(layer, chosen="cost model") for layer in result.layers)
    words = " ".join(render(replace(slower, layers=forecast), "table", Style()).split())
    assert "rounds): slower; leave out --no-tune to time the forms" in words


def test_without_timing() -> None:
    assert "ms before" not in render(replace(optimized(), latency=None), "table", Style())


def test_its_formats() -> None:
    assert formats_of("optimize") == ("table", "json", "markdown", "html")


def test_a_gain_within_the_noise_is_no_figure() -> None:
    first, *rest = optimized().layers
    doubt = replace(first, gained=-1e-3, gain=Ratio(1.01, 0.9, 1.2, 9))
    table = render(replace(optimized(), layers=(doubt, *rest)), "table", Style())
    assert "within noise" in table
    assert "-1.00 ms" not in table


def test_a_gain_that_rounds_to_nothing_has_no_sign() -> None:
    first, *rest = optimized().layers
    table = render(
        replace(optimized(), layers=(replace(first, gained=-4e-8), *rest)), "table", Style()
    )
    assert "<0.1 µs" in table
    assert "-0.00" not in table


def test_the_time_comes_first_on_a_page_and_last_in_a_terminal() -> None:
    page = render(optimized(), "html", Style())
    assert page.index("20.98 ms before") < page.index("stem|act")
    result = replace(optimized(), verification=passing(), notes=())
    assert render(result, "table", Style()).splitlines()[-1].startswith("20.98 ms before")
