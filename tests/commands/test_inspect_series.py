"""How slopes moved over checkpoints, and over the log of a training run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from json_schemas import errors
from running import cli
from safetensors.numpy import save_file

from prelu_tools.commands.inspect.request import InspectRequest
from prelu_tools.commands.inspect.series import in_order, inspect_series
from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.series import SeriesResult

pytestmark = pytest.mark.torch
Slopes = dict[str, list[float]]


def _saved(path: Path, slopes: Slopes) -> str:
    tensors = {f"{name}.weight": np.array(own, np.float32) for name, own in slopes.items()}
    save_file(tensors, path)
    return str(path)


def _series(folder: Path, *looks: Slopes) -> SeriesResult:
    folder.mkdir(exist_ok=True)
    paths = [_saved(folder / f"epoch-{n}.safetensors", look) for n, look in enumerate(looks)]
    return inspect_series(paths, InspectRequest())


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["epoch-10.pt", "epoch-2.pt", "epoch-1.pt"], ["epoch-1.pt", "epoch-2.pt", "epoch-10.pt"]),
        (["b/9.pt", "a/10.pt"], ["b/9.pt", "a/10.pt"]),
        (
            ["epoch=10-step=99-loss=0.1.ckpt", "epoch=2-step=20-loss=0.9.ckpt"],
            ["epoch=2-step=20-loss=0.9.ckpt", "epoch=10-step=99-loss=0.1.ckpt"],
        ),
        (["loss0.1-step9.pt", "loss0.9-step1.pt"], ["loss0.9-step1.pt", "loss0.1-step9.pt"]),
        (["net2_v10.pt", "net2_v9.pt"], ["net2_v9.pt", "net2_v10.pt"]),
    ],
)
def test_checkpoints_are_in_the_order_of_their_numbers(
    names: list[str], ordered: list[str]
) -> None:
    assert in_order(names) == (ordered, ())


def test_other_checkpoints_stay_as_given() -> None:
    names = ["last.pt", "epoch-10.pt", "epoch-2.pt"]
    found, (note,) = in_order(names)
    assert found == names
    assert note.startswith("the checkpoints are in the given order")


def test_what_moved_and_what_did_not(tmp_path: Path) -> None:
    result = _series(
        tmp_path,
        {"prelu_a": [0.25, 0.25], "prelu_b": [0.25], "prelu_c": [0.25]},
        {"prelu_a": [0.25, -0.5], "prelu_b": [0.25], "prelu_c": [2.5]},
        {"prelu_a": [0.25, 0.1], "prelu_b": [0.25], "prelu_c": [4.0]},
    )
    assert [point.name for point in result.points] == ["epoch 0", "epoch 1", "epoch 2"]
    assert [point.step for point in result.points] == [0, 1, 2]
    first, second, third = result.layers
    assert (first.name, first.trends, first.n_sign_changes) == ("prelu_a", (), 2)
    last = first.last.movement
    assert last.n_unmoved == 1
    assert last.max_change == pytest.approx(0.6, rel=1e-6)
    assert second.trends == ("not_moving",)
    assert third.trends == ("outside_range", "diverging")
    assert [(f.code, f.severity, f.layer) for f in result.findings] == [
        ("not_moving", "warning", "prelu_b"),
        ("diverging", "error", "prelu_c"),
    ]


@pytest.mark.parametrize("options", [(), ("--slopes",)])
def test_the_document_is_what_its_schema_says(options: tuple[str, ...], tmp_path: Path) -> None:
    looks = [{"prelu_a": [0.25, 0.5]}, {"prelu_a": [0.25, float("inf")], "prelu_b": [0.1]}]
    paths = [_saved(tmp_path / f"epoch-{n}.safetensors", look) for n, look in enumerate(looks)]
    document = cli("inspect", "--series", *paths, "--format", "json", *options).json
    assert errors("inspect-series", document) == []
    assert ("slopes" in document["layers"][0]["points"][0]) == bool(options)
    assert document["layers"][1]["points"][0] is None
    del document["layers"][0]["trends"]
    assert errors("inspect-series", document) == ["$.layers[0]: 'trends' is a required property"]


def test_a_layer_that_comes_and_goes(tmp_path: Path) -> None:
    result = _series(
        tmp_path,
        {"prelu_a": [0.25], "prelu_b": [0.3]},
        {"prelu_b": [0.4], "prelu_c": [0.2], "prelu_d": [0.1]},
        {"prelu_a": [0.5], "prelu_b": [0.5], "prelu_d": [0.2]},
    )
    held = {layer.name: [p is not None for p in layer.points] for layer in result.layers}
    assert held == {
        "prelu_a": [True, False, True],
        "prelu_b": [True, True, True],
        "prelu_c": [False, True, False],
        "prelu_d": [False, True, True],
    }
    layer = result.layers[0]
    assert layer.points[2] is not None
    assert layer.points[2].movement.max_change == 0.25
    codes = {(f.code, f.layer) for f in result.findings}
    assert {layer for code, layer in codes if code == "layer_comes_and_goes"} == {
        "prelu_a", "prelu_c", "prelu_d",
    }  # fmt: skip


def test_names_that_count_nothing(tmp_path: Path) -> None:
    paths = [_saved(tmp_path / f"{n}.safetensors", {"prelu": [0.1]}) for n in ("start", "end")]
    result = inspect_series(paths, InspectRequest())
    assert [(p.name, p.step) for p in result.points] == [("start", None), ("end", None)]


def test_checkpoints_of_one_name_in_several_folders(tmp_path: Path) -> None:
    paths = []
    for number in (1, 2):
        (tmp_path / f"run{number}").mkdir()
        paths.append(_saved(tmp_path / f"run{number}" / "best.safetensors", {"prelu": [0.1]}))
    result = inspect_series(paths, InspectRequest())
    assert [point.name for point in result.points] == paths


def test_what_is_no_series(tmp_path: Path) -> None:
    path = _saved(tmp_path / "epoch-1.safetensors", {"prelu": [0.1]})
    with pytest.raises(UsageError, match="a series needs two checkpoints or more, but 1 was given"):
        inspect_series([path], InspectRequest())
    with pytest.raises(UsageError, match="a log is already a series"):
        inspect_series(["slopes.jsonl", path], InspectRequest())
    with pytest.raises(UsageError, match="--data is for one model"):
        inspect_series([path, path], InspectRequest(data=Path("x.npz")))


def test_programs_and_notebooks(tmp_path: Path) -> None:
    from prelu_tools.training import inspect_series as series

    paths = [tmp_path / f"epoch-{n}.safetensors" for n in (10, 9)]
    for path in paths:
        _saved(path, {"prelu": [0.1]})
    result = series(*paths, near=0.2)
    assert [point.name for point in result.points] == ["epoch 9", "epoch 10"]
    assert "relu_like" in result.layers[0].last.health
    assert "<svg" in result._repr_html_()
    assert repr(result).startswith("<SeriesResult ")


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    for number, slope in ((1, 0.25), (2, 0.5), (10, -0.75)):
        _saved(tmp_path / f"step-{number}.safetensors", {"prelu": [slope, 0.25], "act_alpha": [1]})
    return tmp_path


def test_the_command(checkpoints: Path) -> None:
    pattern = str(checkpoints / "step-*.safetensors")
    document = cli("inspect", "--series", pattern, "--format", "json", "--slopes").json
    assert (document["kind"], document["schema_version"]) == ("inspect-series", 1)
    assert [point["name"] for point in document["points"]] == ["step 1", "step 2", "step 10"]
    (layer,) = (layer for layer in document["layers"] if layer["name"] == "prelu")
    assert [point["slopes"] for point in layer["points"]] == [
        [0.25, 0.25], [0.5, 0.25], [-0.75, 0.25],
    ]  # fmt: skip
    assert layer["n_sign_changes"] == 1
    names = [str(checkpoints / f"step-{n}.safetensors") for n in (10, 1, 2)]
    assert cli("inspect", "--series", *names, "--format", "json", "--slopes").json == document


def test_a_folder_is_a_series_too(checkpoints: Path) -> None:
    found = cli("inspect", "--series", checkpoints, "--format", "csv")
    rows = found.out.splitlines()
    assert rows[0].startswith("point,step,model,layer,parameter,form,count,mean,")
    assert len(rows) == 1 + 2 * 3
    assert rows[1].startswith("step 1,1,")


def test_gates(checkpoints: Path) -> None:
    pattern = str(checkpoints / "*.safetensors")
    failed = cli("inspect", "--series", pattern, "-q", "--fail-on", "warning")
    assert failed.code == 1
    assert "has findings that --fail-on warning rejects: not_moving" in failed.err
    assert cli("inspect", "--series", pattern, "-q", "--fail-on", "error").code == 0
    assert cli("inspect", "--series", pattern, "-q", "--expect-layers", "3").code == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--each"], "leave out --each"),
        (["--jobs", "2"], "leave out --each"),
        (["--target", "tensorrt"], "--target is for one model"),
    ],
)
def test_options_that_would_be_ignored(checkpoints: Path, options: list[str], said: str) -> None:
    found = cli("inspect", "--series", str(checkpoints / "*.safetensors"), *options)
    assert found.code == 2
    assert said in found.words


def test_two_sources_are_still_compared(checkpoints: Path) -> None:
    names = [str(checkpoints / f"step-{n}.safetensors") for n in (1, 2)]
    assert cli("inspect", *names, "--format", "json").json["kind"] == "inspect-compare"


def test_the_fields_of_the_document_are_a_contract(checkpoints: Path) -> None:
    pattern = str(checkpoints / "*.safetensors")
    document = cli("inspect", "--series", pattern, "--format", "json").json
    assert {*document} == {
        "schema_version", "kind", "path", "points", "layers", "findings", "notes", "failures",
    }  # fmt: skip
    assert {*document["points"][0]} == {"name", "path", "step"}
    layer = document["layers"][0]
    assert {*layer} == {
        "name", "parameter", "form", "trends", "n_sign_changes", "is_sampled", "points",
    }  # fmt: skip
    assert {*layer["points"][0]} == {"statistics", "health", "movement"}
    assert {*layer["points"][0]["movement"]} == {
        "max_change", "from_start", "n_sign_changes", "n_unmoved", "n_outside", "mean_size",
    }  # fmt: skip
