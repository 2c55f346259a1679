"""SavedModels from strangers: operators that compute are run, and no others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import cli

from prelu_tools.core.errors import PReLUToolsError

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.keras


def _saved(folder: Path, extra: Callable[[], Any]) -> Path:
    """A PReLU beside which something else is done."""
    from prelu_tools.backends.keras.framework import tf

    class Act(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.alpha = tf.Variable([0.5, -0.25, 0.125])

        @tf.function(input_signature=[tf.TensorSpec([None, 3])])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            other = tf.cast(extra(), tf.float32)
            return {"y": tf.nn.relu(x) - self.alpha * tf.nn.relu(-x) + 0 * other}

    module = Act()
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    return folder


def _attacks(place: Path) -> dict[str, Callable[[], Any]]:
    from prelu_tools.backends.keras.framework import tf

    text, raw = str(place), tf.raw_ops

    def then(operation: Any) -> Any:
        with tf.control_dependencies([operation]):
            return tf.constant(0.0)

    return {
        "CacheDatasetV2": lambda: (
            tf.data.Dataset.range(3).cache(text).reduce(np.int64(0), lambda a, b: a + b)
        ),
        "DebugIdentityV2": lambda: raw.DebugIdentityV2(
            input=tf.constant(1.0), debug_urls=[f"file://{text}"], tensor_debug_mode=2
        ),
        "TextLineDataset": lambda: tf.strings.length(
            tf.data.TextLineDataset(text).reduce("", lambda old, new: new)
        ),
        "ImmutableConst": lambda: raw.ImmutableConst(
            dtype=tf.float32, shape=[1], memory_region_name=text
        )[0],
        "SaveV2": lambda: then(
            raw.SaveV2(
                prefix=text, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
            )
        ),
        "RestoreV2": lambda: raw.RestoreV2(
            prefix=text, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0],
        "PrintV2": lambda: then(tf.print("::error::", output_stream=f"file://{text}")),
        "ReadFile": lambda: tf.strings.length(tf.io.read_file(text)),
        "MatchingFiles": lambda: tf.size(tf.io.matching_files(f"{text}*")),
        "EagerPyFunc": lambda: tf.py_function(lambda: 1.0, [], tf.float32),
        "WriteFile": lambda: then(tf.io.write_file(text, "x")),
    }


NAMES = (
    "CacheDatasetV2", "DebugIdentityV2", "TextLineDataset", "ImmutableConst", "SaveV2", "RestoreV2",
    "PrintV2", "ReadFile", "MatchingFiles", "EagerPyFunc", "WriteFile",
)  # fmt: skip


@pytest.mark.parametrize("operator", NAMES)
def test_what_reads_or_writes_is_refused_by_name(operator: str, tmp_path: Path) -> None:
    place = tmp_path / "outside"
    model = _saved(tmp_path / "model", _attacks(place)[operator])
    found = cli("verify", model, model, "--samples", "1", "--no-power")
    assert found.code == 3
    assert "may reach outside the model; use --allow-unsafe-load if you trust it" in found.words
    assert list(tmp_path.glob("outside*")) == []


def test_what_saves_is_called_by_nobody_else(tmp_path: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    from prelu_tools.backends.keras.files.saved_vetting import refuse_unsafe

    folder = _saved(tmp_path / "model", lambda: 0)
    refuse_unsafe(folder)
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    library = model.meta_graphs[0].graph_def.library.function
    saver = next(f for f in library if any(node.op == "SaveV2" for node in f.node_def))
    other = next(f for f in library if f is not saver and len(f.node_def) > 2)
    other.node_def.add(name="again", op="PartitionedCall").attr[
        "f"
    ].func.name = saver.signature.name
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    with pytest.raises(PReLUToolsError, match="would run '"):
        refuse_unsafe(folder)


def test_a_second_model_in_the_folder_is_refused(tmp_path: Path) -> None:
    folder = _saved(tmp_path / "model", lambda: 0)
    (folder / "saved_model.pbtxt").touch()
    found = cli("verify", folder, folder)
    assert (found.code, "so it contains two models" in found.words) == (3, True)


def test_honest_models_are_let_through(tmp_path: Path) -> None:
    from prelu_tools.backends.keras.files.saved_vetting import refuse_unsafe
    from prelu_tools.backends.keras.library import keras

    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.PReLU()(layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(image)))
    x = layers.SpatialDropout2D(0.2)(layers.GroupNormalization(2)(layers.UpSampling2D()(x)))
    x = layers.Reshape((-1, 4))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.LSTM(3)(layers.GRU(3, return_sequences=True)(layers.Conv1D(4, 3)(x)))
    x = layers.GaussianNoise(0.1)(layers.Dense(4, activation="gelu")(x))
    model = keras.Model(image, layers.PReLU()(layers.LayerNormalization()(x)))
    model.export(tmp_path / "net", verbose=False)
    refuse_unsafe(tmp_path / "net")
    model(np.zeros((1, 8, 8, 3), np.float32))
