"""Subclassed Keras models, which do not state their inputs, beside files that do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import prelu_tools

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

_FAST: dict[str, Any] = {"power": False, "search_seconds": 0.2}


class _Picture(keras.Model):  # type: ignore[misc]
    """One input."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(3)
        self.conv = keras.layers.Conv2D(4, 3)
        self.act = keras.layers.PReLU(shared_axes=[1, 2])

    def call(self, x: Any) -> Any:
        return self.act(self.conv(x))


class _Text(keras.Model):  # type: ignore[misc]
    """Two inputs, in a list."""

    def __init__(self) -> None:
        super().__init__()
        keras.utils.set_random_seed(3)
        self.table, self.dense = keras.layers.Embedding(7, 4), keras.layers.Dense(4)
        self.act = keras.layers.PReLU(shared_axes=[1])

    def both(self, ids: Any, x: Any) -> Any:
        return self.act(self.table(ids) + self.dense(x))

    def call(self, inputs: Any) -> Any:
        ids, x = inputs
        return self.both(ids, x)


class _Keyed(_Text):
    """In a dictionary."""

    def call(self, inputs: Any) -> Any:
        return self.both(inputs["ids"], inputs["x"])


class _Apart(_Text):
    """One after the other."""

    def call(self, ids: Any, x: Any) -> Any:
        return self.both(ids, x)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.onnx"
    ids = keras.Input((5,), dtype="int32", name="ids")
    x = keras.Input((5, 3), name="x")
    prelu_tools.export(keras.Model([ids, x], _Text()([ids, x])), path, verify=False)
    return path


def test_a_picture_of_free_sizes(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    prelu_tools.export(_Picture(), path, input={"x": ("batch", "h", "w", 3)}, verify=False)
    assert prelu_tools.verify(_Picture(), path, **_FAST).verdict == "pass"
    assert prelu_tools.verify(path, _Picture(), **_FAST).verdict == "pass"


def test_axes_are_moved_as_the_user_says(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    sizes = {"x": ("batch", 9, 8, 3)}
    prelu_tools.export(_Picture(), path, input=sizes, input_layout="nchw", verify=False)
    layout: Any = {"reference": "nhwc", "candidate": "nchw"}
    assert prelu_tools.verify(_Picture(), path, layout=layout, **_FAST).verdict == "pass"


@pytest.mark.parametrize("kind", [_Text, _Keyed, _Apart])
def test_several_inputs_however_they_are_taken(kind: Any, text: Path) -> None:
    result = prelu_tools.verify(kind(), text, **_FAST)
    assert result.verdict == "pass"
    assert any("those of" in note for note in result.notes)


def test_another_model_fails(text: Path) -> None:
    class Wrong(_Text):
        def both(self, ids: Any, x: Any) -> Any:
            return super().both(ids, x) * 1.01

    assert prelu_tools.verify(Wrong(), text, **_FAST).verdict == "fail"
