"""The script that trains ReLU and PReLU nets on digits, side by side."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from running import cli
from sample_list import FOLDER

from prelu_tools.backends.source_spec import import_named

pytestmark = [pytest.mark.keras, pytest.mark.slow]


@pytest.fixture(scope="module")
def script() -> Any:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    return import_named(str(FOLDER / "keras_digits.py"))


@pytest.fixture(scope="module")
def trained(script: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder and the words of a short run on the digits that ship with scikit-learn."""

    def offline() -> None:
        raise OSError("no network in tests")

    folder, words = tmp_path_factory.mktemp("digits"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(words):
        patch.setattr(script.keras.datasets.mnist, "load_data", offline)
        code = script.main(["--epochs", "1", "--limit", "64", "--output-dir", str(folder)])
    assert code == 0
    return folder, words.getvalue()


def test_it_prints_the_three_nets_side_by_side(trained: tuple[Path, str]) -> None:
    lines = trained[1].splitlines()
    assert lines[0].startswith("scikit-learn's digits (8x8, enlarged to 28x28)")
    rows = [line for line in lines if re.search(r"\d+\.\d+%\s+\d+\.\d+$", line)]
    assert [row[:18].strip() for row in rows] == ["ReLU", "PReLU from 0", "PReLU from 0.25"]


def test_it_prints_the_slopes_that_were_learned(trained: tuple[Path, str]) -> None:
    rows = re.findall(r"^(PReLU from \S+) +(prelu\d) +([\d,]+) +(\S+)", trained[1], re.MULTILINE)
    counts = {(name, layer): count for name, layer, count, _ in rows}
    assert counts[("PReLU from 0", "prelu1")] == "25,088"
    means = {name: float(mean) for name, layer, _, mean in rows if layer == "prelu3"}
    assert abs(means["PReLU from 0"]) < 0.1
    assert abs(means["PReLU from 0.25"] - 0.25) < 0.1


def test_it_leaves_curves_and_nets_that_can_be_exported(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    found = cli("export", folder / "prelu_from_025.keras", "-o", folder / "net.onnx", "-q")
    assert found.code == 0, found.err
    assert cli("inspect", folder / "net.onnx", "--expect-layers", 3).code == 0
    assert cli("inspect", folder / "relu.keras", "--expect-layers", 0).code == 0


def test_small_digits_are_enlarged_by_three_with_a_border_of_two(script: Any) -> None:
    (images, labels), (test_images, test_labels) = script._small_digits()
    assert images.shape == (1437, 28, 28)
    assert (len(test_images), len(labels), len(test_labels)) == (360, 1437, 360)
    assert (images[:, :2].max(), images[:, -2:].max(), images.max()) == (0, 0, 255)
    assert (images[:, 2::3, 2::3][:, :8, :8] == images[:, 4::3, 4::3][:, :8, :8]).all()
