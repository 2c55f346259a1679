"""Ids, logarithms and free sizes, in whole exports and checks of Keras models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from running import cli

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras
    from keras import layers

    folder = tmp_path_factory.mktemp("keras_domains")
    keras.utils.set_random_seed(4)
    prelu: Any = lambda: layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3))  # noqa: E731

    user = keras.Input((), dtype="int64", name="user")
    items = keras.Input((4,), name="items")  # floats, as Keras has it where nothing is said
    pooled = layers.GlobalAveragePooling1D()(layers.Embedding(250, 5)(items))
    x = layers.Concatenate()([layers.Embedding(40, 5)(user), pooled])
    keras.Model([user, items], layers.Dense(2)(prelu()(layers.Dense(6)(x)))).save(
        folder / "ids.keras"
    )

    x = keras.Input((4,), name="x")
    keras.Model(x, prelu()(layers.Dense(3)(keras.ops.log(x)))).save(folder / "log.keras")
    return folder


def _exported(path: Path) -> tuple[Path, dict[str, Any]]:
    target = path.with_suffix(".onnx")
    found = cli("export", path, "-o", target, "--force", "--format", "json")
    assert found.code == 0, found.err
    return target, found.json["verification"]


def test_ids_of_every_type_cover_their_tables(models: Path, tmp_path: Path) -> None:
    target, checked = _exported(models / "ids.keras")
    found = {one["name"]: (one["low"], one["high"], one["source"]) for one in checked["inputs"]}
    assert found == {"user": (0, 39, "table"), "items": (0, 249, "table")}
    model = onnx.load(target)
    for tensor in model.graph.initializer:
        if list(tensor.dims) == [250, 5]:
            values = numpy_helper.to_array(tensor).copy()
            values[203] += np.float32(0.25)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, tmp_path / "wrong.onnx")
    assert cli("verify", models / "ids.keras", tmp_path / "wrong.onnx", "-q").code == 1


def test_logarithms_are_given_positive_numbers(models: Path) -> None:
    _, checked = _exported(models / "log.keras")
    (one,) = checked["inputs"]
    assert (one["low"] > 0, one["source"]) == (True, "tried")
    assert "input_domain" in checked["note_codes"]
