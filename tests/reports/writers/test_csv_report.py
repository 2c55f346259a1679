"""One row a layer, with columns that programs may count on."""

from __future__ import annotations

import csv
import io
import math

import pytest
from made_results import assert_gold, compared, layer, model, usual, verified

from prelu_tools.core.errors import UsageError
from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.csv import render


def _rows(result: Result, style: Style | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(result, style or Style()))))


def test_the_names_and_the_order_of_the_columns_stay() -> None:
    assert_gold("inspect.csv", render(usual(), Style()))
    assert_gold("compare.csv", render(compared(), Style()))


def test_a_row_says_what_is_known_and_leaves_empty_what_is_not() -> None:
    first, second, third = _rows(usual())
    assert (first["layer"], first["slope_shape"], first["channel_axis"]) == ("stem.act", "4", "1")
    assert (first["negative_share"], first["n_unused"], first["output_share"]) == (
        "0.25",
        "1",
        "0.125",
    )
    assert (second["nodes"], second["overhead_percent"]) == ("b.act b.act_1", "")
    assert (third["std"], third["findings"]) == ("", "one_slope slope_rank")
    assert third["negative_share"] == third["n_unused"] == ""


def test_numbers_keep_all_their_digits() -> None:
    (row,) = _rows(model(layer("a", [0.1])))
    assert row["mean"] == "0.10000000149011612"


def test_what_is_no_number_is_spelled_as_in_json() -> None:
    nan, up, down = _rows(
        model(layer("a", [math.nan]), layer("b", [math.inf]), layer("c", [-math.inf]))
    )
    assert (nan["mean"], up["max"], down["min"]) == ("NaN", "Infinity", "-Infinity")
    assert nan["n_nonfinite"] == "1"


def test_names_with_commas_and_quotes_come_back_and_a_break_is_spelled_out() -> None:
    (row,) = _rows(model(layer('a,"b"\nc', [0.5])))
    assert row["layer"] == 'a,"b"\\nc'


def test_every_slope_on_request() -> None:
    rows = _rows(usual(), Style(slopes=True))
    assert rows[0]["slopes"] == "-0.5 0.0 0.25 1.5"
    assert "slopes" not in _rows(usual())[0]


def test_a_model_without_layers_has_the_columns_alone() -> None:
    assert render(model(), Style()).count("\n") == 1


def test_what_has_no_layers_is_refused() -> None:
    with pytest.raises(UsageError, match="only inspect"):
        render(verified(), Style())
