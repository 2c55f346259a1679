"""The samples as the tests know them: how each is spelled, and which layers it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "samples"


@dataclass(frozen=True)
class Sample:
    """One row of samples/README.md."""

    label: str
    """`FILE.py:callable`, as in the README."""
    layers: Mapping[str, int]
    """The number of slopes of each layer, in the order of the first call."""
    calls: int
    """Uses of all layers: PRelu nodes of the export."""
    outputs: int = 1
    """Outputs of the net."""

    @property
    def source(self) -> str:
        """The source to give to a command, from whatever folder."""
        return f"{FOLDER}/{self.label}"

    @property
    def framework(self) -> str:
        """`torch` or `keras`."""
        return "torch" if "torch" in self.label.partition(":")[0] else "keras"

    @property
    def weights_from_package(self) -> bool:
        """Whether it needs the packages with MTCNN's weights."""
        return self.label.startswith("mtcnn")

    @property
    def key(self) -> str:
        """A name for test ids and files."""
        plain = "".join(c if c.isalnum() else "-" for c in self.label.replace(".py", ""))
        return plain.strip("-")

    @property
    def parameter_names(self) -> dict[str, str]:
        """The name of each layer's slope initializer."""
        hand_written = "OneSlopeNet" in self.label
        tail = "/alpha" if self.framework == "keras" else (".alpha" if hand_written else ".weight")
        return {layer: f"{layer}{tail}" for layer in self.layers}

    @property
    def is_channel_shared(self) -> bool:
        """Whether each layer has one slope."""
        return bool(self.layers) and set(self.layers.values()) == {1}


def _layers(*counts: int) -> dict[str, int]:
    return {f"prelu{number}": count for number, count in enumerate(counts, 1)}


_CONVNET32 = ("features.1", "features.5", "features.9", "classifier.1")
_MAPS = _layers(28 * 28 * 32, 14 * 14 * 64, 256)
_RNET, _ONET, _PNET = _layers(28, 48, 64, 128), _layers(32, 64, 64, 128, 256), _layers(10, 16, 32)

ALL = (
    Sample("keras_where.py:sequential_net", _layers(1, 1, 1), 3),
    Sample("keras_where.py:decayed_net", _layers(1, 1), 2),
    Sample("keras_where.py:article_net", _layers(1, 1), 2),
    Sample("keras_where.py:shared_instance_net", {"act": 1}, 2),
    Sample("keras_digits.py:convnet", _MAPS, 3),
    Sample("keras_digits.py:convnet(shared_axes=(1, 2))", _layers(32, 64, 256), 3),
    Sample("keras_digits.py:convnet(regularizer=0.001)", _MAPS, 3),
    Sample("keras_digits.py:convnet(constraint=True)", _MAPS, 3),
    Sample('keras_digits.py:convnet(activation="relu")', {}, 0),
    Sample("torch_layers.py:OneSlopeNet", _layers(1, 1, 1), 3),
    Sample(
        "torch_layers.py:BlockNet",
        {"features.0.prelu": 16, "features.1.prelu": 24, "features.2.prelu": 32},
        3,
    ),
    Sample("torch_layers.py:PerChannel", _layers(64, 128), 2),
    Sample("torch_layers.py:Mlp", _layers(256, 256), 2),
    Sample("torch_layers.py:ConvNet32", dict(zip(_CONVNET32, (32, 64, 128, 128), strict=True)), 4),
    Sample("torch_layers.py:ConvNet32(shared=True)", dict.fromkeys(_CONVNET32, 1), 4),
    Sample(
        "torch_layers.py:ConvNet32(init=0.1, spread=0.0)",
        dict(zip(_CONVNET32, (32, 64, 128, 128), strict=True)),
        4,
    ),
    Sample("mtcnn_torch.py:PNet", _PNET, 3, 2),
    Sample("mtcnn_torch.py:RNet", _RNET, 4, 2),
    Sample("mtcnn_torch.py:ONet", _ONET, 5, 3),
    Sample("mtcnn_keras.py:PNet", _PNET, 3, 2),
    Sample("mtcnn_keras.py:RNet", _RNET, 4, 2),
    Sample("mtcnn_keras.py:ONet", _ONET, 5, 3),
)
_BY_SPELLING = {sample.label: sample for sample in ALL}


def sample(label: str) -> Sample:
    """The sample of this spelling."""
    return _BY_SPELLING[label]


def marks_of(one: Sample) -> list[pytest.MarkDecorator]:
    """The markers of a test that loads a sample."""
    marks = [getattr(pytest.mark, one.framework)]
    return [*marks, pytest.mark.real_models] if one.weights_from_package else marks


def each_sample(wanted: Callable[[Sample], bool] = lambda one: True) -> pytest.MarkDecorator:
    """Parametrize a test, as `sample`, over every sample that is wanted."""
    chosen = [one for one in ALL if wanted(one)]
    return pytest.mark.parametrize(
        "sample", [pytest.param(one, id=one.key, marks=marks_of(one)) for one in chosen]
    )
