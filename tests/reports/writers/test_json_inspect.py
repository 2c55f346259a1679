"""JSON of `inspect`: the contract's fields as they were, and what came later beside them."""

from __future__ import annotations

import json
import math
from typing import Any

from made_results import compared, layer, model, usual

from prelu_tools.reports import Result, Style
from prelu_tools.reports.writers.json import render

CONTRACT = {"schema_version", "kind", "model", "layers", "findings"}
OF_A_LAYER = {
    *("name", "nodes", "parameter", "form", "sharing", "channel_axis", "slope_shape", "dtype"),
    *("statistics", "health", "overhead_percent", "findings"),
}
STATISTICS = {
    *("count", "mean", "std", "min", "max", "median"),
    *("n_negative", "n_near_zero", "n_above_one", "n_nonfinite"),
}


def _document(result: Result, style: Style | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(render(result, style or Style()))
    return found


def test_the_contract_is_kept_and_only_added_to() -> None:
    document = _document(usual())
    assert set(document) == CONTRACT | {"statistics", "others", "refused", "notes", "failures"}
    assert (document["schema_version"], document["kind"]) == (1, "inspect")
    for found in document["layers"]:
        assert set(found) == OF_A_LAYER | {"usage"}
        assert set(found["statistics"]) == STATISTICS


def test_what_came_later() -> None:
    document = _document(usual())
    assert document["statistics"]["count"] == 13
    assert document["others"][1] == {"name": "lr", "operator": "LeakyRelu", "slope": 0.1}
    assert document["refused"] == [
        {"node": "add_3", "form": "relu_sub", "reason": "the branches read x and y"}
    ]
    assert document["notes"] == ["prefix `module.` was removed"]
    assert document["layers"][0]["usage"] == {
        "negative_share": [0.5, 0.0, 0.25, 0.25],
        "unused": [1],
        "output_share": 0.125,
    }
    assert document["layers"][1]["usage"] is None


def test_a_model_without_layers_has_no_statistics() -> None:
    assert _document(model())["statistics"] is None


def test_slopes_on_request() -> None:
    first = _document(usual(), Style(slopes=True))["layers"][0]
    assert first["slopes"] == [-0.5, 0.0, 0.25, 1.5]


def test_what_is_no_number_is_a_string() -> None:
    found = _document(model(layer("a", [math.nan, 1.0]), layer("b", [math.inf])))
    assert found["layers"][0]["statistics"]["mean"] == "NaN"
    assert found["layers"][1]["statistics"]["max"] == "Infinity"


def test_a_comparison_holds_both_documents_and_what_changed() -> None:
    document = _document(compared(), Style(slopes=True))
    assert set(document) == {"schema_version", "kind", "left", "right", "changes"}
    assert document["kind"] == "inspect-compare"
    assert document["left"] == _document(compared().left, Style(slopes=True))
    assert document["right"]["model"]["path"] == "b.onnx"
    assert document["changes"][1] == {
        "name": "b",
        "other_name": "x",
        "n_slopes": 2,
        "difference": "1 of 2 slopes differ, the largest difference at index 1",
        "max_abs_change": 0.8,
        "mean_change": 0.4,
        "n_sign_changes": 1,
        "n_changed": 1,
        "largest": [1, -0.4, 0.4],
    }


def test_the_share_near_zero_follows_the_layers_own_threshold() -> None:
    reports = usual().layers
    n_near = sum(report.statistics.n_near_zero for report in reports)
    assert _document(usual())["statistics"]["n_near_zero"] == n_near == 1
