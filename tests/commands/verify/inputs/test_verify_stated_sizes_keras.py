"""Sizes that a Keras model states and a candidate leaves free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import prelu_tools
from prelu_tools.core.results.reasons import code_of

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.keras

_FAST: dict[str, Any] = {"power": False, "search_seconds": 0, "samples": 3}


@keras.saving.register_keras_serializable("stated_sizes")
class _Enlarger(keras.Model):  # type: ignore[misc]
    """Takes all sizes; trained on patches of 16."""

    def __init__(self, axes: Any = (1, 2), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        keras.utils.set_random_seed(3)
        self.conv = keras.layers.Conv2D(3, 3, padding="same")
        self.act = keras.layers.PReLU("uniform", shared_axes=axes)

    def call(self, x: Any) -> Any:
        return self.act(self.conv(x))


class _Cropped(_Enlarger):
    """The same at a height of 16 alone."""

    def call(self, x: Any) -> Any:
        rows = keras.ops.cast(keras.ops.shape(x)[1] - 16, "float32")
        return super().call(x) + 0.01 * rows


def _trained(model: Any) -> Any:
    model(np.zeros((2, 16, 16, 1), np.float32))
    return model


def _exported(model: Any, path: Path, **options: Any) -> Path:
    prelu_tools.export(model, path, verify=False, **options)
    return path


_FREE: dict[str, Any] = {"input": {"x": ("batch", "h", "w", 1)}}


def _codes(result: Any) -> list[str | None]:
    return [code_of(note) for note in result.notes]


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _exported(_trained(_Enlarger()), tmp_path_factory.mktemp("sr") / "sr.onnx", **_FREE)


def test_the_sizes_of_its_training_are_not_the_only_ones(free: Path, tmp_path: Path) -> None:
    _trained(_Enlarger()).save(tmp_path / "sr.keras")
    result = prelu_tools.verify(tmp_path / "sr.keras", free, **_FAST)
    assert result.verdict == "pass"
    assert result.sizes.tried[0] == {"h": 16, "w": 16}
    assert len({(one["h"], one["w"]) for one in result.sizes.tried}) > 3
    (note,) = [note for note in result.notes if code_of(note) == "sizes_freed"]
    assert note.endswith(
        f"was used at x:batch,16,16,1, but takes other sizes: those of {free} are used "
        "(x:batch,h,w,1)"
    )
    assert "sizes_not_checked" not in _codes(result)


def test_what_is_right_at_these_sizes_alone_fails(free: Path, tmp_path: Path) -> None:
    wrong = _exported(_trained(_Cropped()), tmp_path / "wrong.onnx", **_FREE)
    assert prelu_tools.verify(_trained(_Enlarger()), wrong, **_FAST).verdict == "fail"


def test_axes_are_found_in_another_layout(tmp_path: Path) -> None:
    path = _exported(_trained(_Enlarger()), tmp_path / "a.onnx", input_layout="nchw", **_FREE)
    result = prelu_tools.verify(_trained(_Enlarger()), path, **_FAST)
    assert result.verdict == "pass"
    assert len(result.sizes.tried) > 3


def test_a_model_that_takes_no_others_keeps_them_and_says_so(tmp_path: Path) -> None:
    fixed = _exported(_trained(_Enlarger(axes=None)), tmp_path / "fixed.onnx")
    proto = onnx.load(fixed)
    for axis, name in ((1, "h"), (2, "w")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(proto, tmp_path / "free.onnx")
    result = prelu_tools.verify(_trained(_Enlarger(axes=None)), tmp_path / "free.onnx", **_FAST)
    assert result.verdict == "pass"
    assert result.sizes.tried == ()
    (note,) = [note for note in result.notes if code_of(note) == "sizes_not_checked"]
    assert note == (
        f"{tmp_path / 'free.onnx'}: h and w of input 'x' are dynamic, but only h=16 w=16 was "
        'checked: the reference fixes them; input={"x": ("batch", "h", "w", 1)} checks others if '
        "it can run at them"
    )


def test_sizes_that_the_user_or_another_candidate_fixes_stay(free: Path, tmp_path: Path) -> None:
    fixed = _exported(_trained(_Enlarger()), tmp_path / "fixed.onnx")
    result = prelu_tools.verify(_trained(_Enlarger()), free, fixed, strict_interface=True, **_FAST)
    assert result.verdict == "pass"
    (note,) = [note for note in result.notes if code_of(note) == "sizes_not_checked"]
    assert note.endswith(f"only h=16 w=16 was checked: {fixed} fixes them")
    asked: dict[str, Any] = {"input": {"x": ("batch", 16, 16, 1)}}
    result = prelu_tools.verify(_trained(_Enlarger()), free, **asked, **_FAST)
    assert result.sizes.tried == ()
    (note,) = [note for note in result.notes if code_of(note) == "sizes_not_checked"]
    assert note.endswith('was checked: input={"x": ("batch", 16, 16, 1)} fixes them')


def test_a_functional_model_states_its_own(free: Path) -> None:
    x = keras.Input((16, 16, 1), name="x")
    model = keras.Model(x, _trained(_Enlarger())(x))
    result = prelu_tools.verify(model, free, **_FAST)
    assert (result.verdict, result.sizes.tried) == ("pass", ())
    assert "sizes_not_checked" in _codes(result)
    result = prelu_tools.verify(model, free, **_FREE, **_FAST)
    assert (result.verdict, len(result.sizes.tried) > 3) == ("pass", True)
    assert "sizes_freed" in _codes(result)
