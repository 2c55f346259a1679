"""The published holes of Keras' loaders: a file of each kind is refused before Keras sees it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attacks import NET, OLD, configured, rewritten

from fuzz.corpus import SEEDS
from prelu_tools.backends.files.keras.vetting import refuse_unsafe
from prelu_tools.core.errors import PReLUToolsError

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras

Change = Callable[[Any], Any]


def _refusal(path: Path) -> str:
    with pytest.raises(PReLUToolsError) as caught:
        refuse_unsafe(path, {}, allow_unsafe=False)
    return str(caught.value)


def _layer(kind: str, module: str = "keras.layers", **settings: Any) -> Change:
    """Put a layer into a model."""
    settings.setdefault("name", "odd")

    def change(document: Any) -> None:
        inner = {"class_name": kind, "module": module, "config": settings, "registered_name": None}
        document["config"]["layers"].append({**inner, "name": "odd", "inbound_nodes": []})

    return change


def _function(module: str, name: str) -> Change:
    """Have an activation be another function, with arguments of the file's."""
    call = {"module": module, "class_name": "function", "config": name, "registered_name": name}
    return _layer("Activation", activation=call)


def _code(kind: str = "Lambda", **more: Any) -> Change:
    return _layer(kind, function=["4wEA", None, None], function_type="lambda", **more)


CONFIGURED: dict[str, tuple[Change, str]] = {
    "CVE-2024-3660 Lambda": (_code(), "contains the Lambda layer 'odd'"),
    "CVE-2024-3660 Lambda by its old name": (_code("keras>Lambda"), "contains the Lambda layer"),
    "CVE-2025-1550 a function of Python": (_function("os", "system"), "'system' of os"),
    "CVE-2025-1550 a builtin function": (_function("builtins", "exec"), "'exec' of builtins"),
    "CVE-2025-8747 keras.utils.get_file": (
        _function("keras.utils", "get_file"), "'get_file' of keras.utils",
    ),
    "CVE-2025-8747 a module of Keras' own": (
        _function("keras.src.utils.file_utils", "get_file"), "'get_file' of keras.src.utils",
    ),
    "CVE-2025-9906 unsafe deserialization": (
        _function("keras.config", "enable_unsafe_deserialization"), "of keras.config",
    ),
    "CVE-2025-9906 the loader itself": (
        _function("keras.saving", "load_model"), "'load_model' of keras.saving",
    ),
    "CVE-2025-9906 the loader by its other name": (
        _function("keras.models", "load_model"), "'load_model' of keras.models",
    ),
    "CVE-2025-9906 the loader as a class": (
        _layer("load_model", module="keras.models"), "'load_model' of keras.models",
    ),
    "CVE-2024-3660 Lambda as a function": (
        _function("keras.src.layers.core.lambda_layer", "Lambda"), "'Lambda' of keras.src.layers",
    ),
    "CVE-2026-1462 TFSMLayer as a function": (
        _function("keras.layers", "TFSMLayer"), "'TFSMLayer' of keras.layers",
    ),
    "CVE-2025-12058 a file as a vocabulary": (
        _layer("StringLookup", vocabulary="/etc/hostname"), "reads its vocabulary from",
    ),
    "CVE-2025-12058 a URL as a vocabulary": (
        _layer("TextVectorization", vocabulary="http://localhost/x"), "reads its vocabulary from",
    ),
    "CVE-2025-12058 a file of weights": (
        _layer("IntegerLookup", idf_weights="/etc/hostname"), "reads its idf_weights from",
    ),
    "CVE-2025-49655 TorchModuleWrapper": (
        _layer("TorchModuleWrapper", module="keras.src.utils.torch_utils"), "loads another model",
    ),
    "CVE-2026-1462 TFSMLayer": (
        _layer("TFSMLayer", filepath="/somewhere/saved_model"), "loads another model",
    ),
    "CVE-2026-1462 TFSMLayer as it is registered": (
        _layer("keras>TFSMLayer", filepath="/somewhere"), "loads another model",
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5"])  # CVE-2025-9905: safe_mode is not for .h5
@pytest.mark.parametrize("name", CONFIGURED)
def test_what_a_configuration_would_run_or_read(name: str, suffix: str, tmp_path: Path) -> None:
    change, said = CONFIGURED[name]
    assert said in _refusal(configured(tmp_path / f"net{suffix}", change))


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "assets/../../x", "..\\x"])
def test_members_that_lie_outside(name: str, tmp_path: Path) -> None:
    """CVE-2025-12060, CVE-2025-12638, GHSA-hqp4-2352-xf5r: unpacked, they are written there."""
    path = tmp_path / "net.keras"
    path.write_bytes(NET.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, "x")
    assert "is outside the archive" in _refusal(path)


def test_members_that_are_links(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    path.write_bytes(NET.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("assets/link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc")
    assert "is a link" in _refusal(path)


@pytest.mark.parametrize("kind", ["external", "virtual", "external link", "path", "shape"])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_weights_elsewhere_or_of_impossible_size(kind: str, suffix: str, tmp_path: Path) -> None:
    """CVE-2026-1669, CVE-2026-12480 (other files), CVE-2026-0897, CVE-2026-12570 (memory)."""
    (tmp_path / "raw.bin").write_bytes(bytes(400))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["values"] = np.ones(100, np.float32)
    weights = tmp_path / "made.h5"
    with zipfile.ZipFile(NET) as archive:
        content = archive.read("model.weights.h5")
    weights.write_bytes(OLD.read_bytes() if suffix == ".h5" else content)
    with h5py.File(weights, "r+") as file:
        _spoil(file, kind, tmp_path)
    path = tmp_path / f"net{suffix}"
    if suffix == ".keras":
        data = weights.read_bytes()
        rewritten(NET, path, lambda name, old: data if name == "model.weights.h5" else old)
    else:
        weights.rename(path)
    assert "another file" in (said := _refusal(path)) or "more than the file contains" in said


def _spoil(file: Any, kind: str, folder: Path) -> None:
    if kind == "external":
        file.create_dataset("odd", (100,), "f4", external=[(str(folder / "raw.bin"), 0, 400)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout((100,), "f4")
        layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "values", (100,))
        file.create_virtual_dataset("odd", layout)
    elif kind == "path":  # a name that goes through a link: keras-team/keras#23163
        file["ext"] = h5py.ExternalLink(str(folder / "other.h5"), "/")
        file.attrs["layer_names"] = ["ext/values"]
    elif kind == "external link":
        file["odd"] = h5py.ExternalLink(str(folder / "other.h5"), "/values")
    else:
        file.create_dataset("odd", (1 << 40,), "f4", chunks=(1024,))


def test_a_file_of_two_formats(tmp_path: Path) -> None:
    """Vetted as one, and loaded as the other."""
    for suffix in (".h5", ".keras", ".weights.h5"):
        path = tmp_path / f"net{suffix}"
        path.write_bytes(OLD.read_bytes() + NET.read_bytes())
        assert "HDF5" in (said := _refusal(path)) or "can be read in two ways" in said
    behind = tmp_path / "behind.h5"
    behind.write_bytes(bytes(512) + OLD.read_bytes())
    assert "does not begin like an HDF5 file" in _refusal(behind)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_two_of_a_name_or_two_sets_of_weights(tmp_path: Path) -> None:
    for name, said in (
        ("config.json", "has 'config.json' twice"),
        ("model.weights.json", "also has weights in 'model.weights.json'"),
        ("model.weights.npz", "also has weights in 'model.weights.npz'"),
    ):
        path = tmp_path / "net.keras"
        path.write_bytes(NET.read_bytes())
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "{}")
        assert said in _refusal(path)


@pytest.mark.parametrize("name", ["functional.keras", "functional.h5", "net.keras", "net.h5"])
def test_honest_files_are_let_through(name: str) -> None:
    refuse_unsafe(SEEDS / name, {}, allow_unsafe=False)


def test_honest_layers_of_every_kind_are_let_through(tmp_path: Path) -> None:
    from prelu_tools.backends.keras.library import keras

    layers = keras.layers
    x = image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="gelu", kernel_regularizer=keras.regularizers.L2(0.1))(x)
    x = layers.PReLU(alpha_initializer=keras.initializers.Constant(0.1))(keras.ops.relu(x) * 2)
    x = layers.Dense(3, kernel_constraint=keras.constraints.NonNeg(), dtype="mixed_float16")(x)
    x = layers.Activation(keras.activations.swish)(layers.Dropout(0.1, seed=1)(x[:, 1:]))
    model = keras.Model(image, keras.ops.mean(x, axis=(1, 2)))
    model.compile("adam", "mse", metrics=["mae"])
    model.save(tmp_path / "net.keras")
    refuse_unsafe(tmp_path / "net.keras", {}, allow_unsafe=False)
