"""The functions on live Keras models."""

from __future__ import annotations

from pathlib import Path

import pytest
from library_nets import keras_net

from prelu_tools import export, inspect, verify

pytestmark = pytest.mark.keras


def test_a_live_keras_model_is_exported_verified_and_inspected(tmp_path: Path) -> None:
    net, path = keras_net(), tmp_path / "net.onnx"
    result = export(net, path)
    assert result.verification
    assert (result.source, [layer.name for layer in result.layers]) == ("Sequential", ["act"])
    checked = verify(net, path)
    assert checked, checked
    assert inspect(net).layers[0].statistics.count == 4


def test_a_keras_file_and_its_live_model_are_equal(tmp_path: Path) -> None:
    net, path = keras_net(), tmp_path / "net.keras"
    net.save(path)
    assert verify(net, path, power=False, search_seconds=0)
