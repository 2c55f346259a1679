"""`.keras` and `.h5` read by themselves: the same layers as the live model has, bit for bit."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import ROOT, cli, environment
from sample_list import FOLDER

from prelu_tools.backends.opening import open_for_inspection
from prelu_tools.core.arrays import same_bits
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer

pytestmark = pytest.mark.keras

_SIDES = (5, 6, 7)  # height, width and channels are told apart by size
_AXES = (None, (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3))
_ORDERED = ("digits", "digits_shared", "where", "shared", "article", "nested", "axes", "ranks")
_LEGACY = ("digits", "digits_shared", "where", "article", "nested", "axes", "ranks")


@dataclass(frozen=True)
class Saved:
    """A model on the disk, and what the live one has."""

    folder: Path
    layers: Mapping[str, tuple[PReLULayer, ...]]
    n_parameters: Mapping[str, int]

    def open(self, name: str, suffix: str = ".keras") -> Any:
        """The source of one of them."""
        return _open(self.folder / f"{name}{suffix}")


def _open(path: Path) -> Any:
    return open_for_inspection(str(path), SourceOptions())


def _refusal(path: Path) -> str:
    with pytest.raises(PReLUToolsError) as caught:
        _open(path)
    return str(caught.value)


def _models() -> dict[str, Callable[[], Any]]:
    import keras

    import keras_digits
    import keras_where

    layers = keras.layers

    def nested() -> Any:
        inner = keras.Sequential(
            [
                keras.Input((8, 8, 4)),
                layers.Conv2D(4, 3, padding="same"),
                layers.PReLU(shared_axes=[1, 2], name="act"),
                layers.Dropout(0.5),
            ],
            name="inner",
        )
        x = image = keras.Input((8, 8, 3), name="image")
        x = layers.PReLU(name="act")(layers.Conv2D(4, 3, padding="same")(x))
        x = layers.BatchNormalization()(inner(x))
        x = layers.add([x, layers.Conv2D(4, 1)(inner(x))])
        x = layers.PReLU(name="last")(layers.Dense(5)(layers.Flatten()(x)))
        return keras.Model(image, x, name="nested")

    def axes() -> Any:
        x = image = keras.Input(_SIDES, name="image")
        for number, shared in enumerate(_AXES):
            x = layers.PReLU(shared_axes=shared, name=f"axes{number}")(layers.Conv2D(7, 1)(x))
        return keras.Model(image, x, name="axes")

    def ranks() -> Any:
        line = keras.Input((6, 3), name="line")
        x = layers.PReLU(name="line_act")(layers.Conv1D(4, 1)(line))
        x = layers.PReLU(name="vector_act")(layers.Dense(5, use_bias=False)(layers.Flatten()(x)))
        return keras.Model(line, x, name="ranks")

    class Own(keras.Model):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.conv = layers.Conv2D(4, 3)
            self.act = layers.PReLU(shared_axes=[1, 2], name="chosen")
            self.rest = [layers.Dense(3), layers.PReLU(name="second_prelu")]
            self.inner = keras.Sequential([layers.Dense(2), layers.PReLU(name="p_re_lu_inside")])

        def call(self, x: Any) -> Any:
            x = self.act(self.conv(x))
            for layer in self.rest:
                x = layer(x)
            return self.inner(x)

    def own() -> Any:
        model = Own(name="own")
        model(np.zeros((1, 8, 8, 3), np.float32))
        return model

    return {
        "digits": keras_digits.convnet,
        "digits_shared": lambda: keras_digits.convnet(shared_axes=(1, 2)),
        "where": keras_where.sequential_net,
        "shared": keras_where.shared_instance_net,
        "article": keras_where.article_net,
        "nested": nested,
        "axes": axes,
        "ranks": ranks,
        "own": own,
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Every model with slopes of its own, saved in every way that Keras has."""
    folder = tmp_path_factory.mktemp("saved")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        from prelu_tools.backends.keras.source import KerasSource
        from prelu_tools.core.options import InputOption

        options = SourceOptions(inputs=(InputOption("x", ("batch", 8, 8, 3)),))
        layers, sizes = {}, {}
        for number, (name, build) in enumerate(_models().items()):
            model = build()
            _scatter(model, number)
            knows = getattr(model, "inputs", None)
            source = KerasSource(model, name, SourceOptions() if knows else options)
            layers[name], sizes[name] = source.layers(), source.n_parameters
            model.save(folder / f"{name}.keras")
            model.save_weights(folder / f"{name}.weights.h5")
            if name in _LEGACY:
                model.save(folder / f"{name}.h5")
    return Saved(folder, layers, sizes)


def _scatter(model: Any, seed: int) -> None:
    """Give every slope a value of its own."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name == "alpha":
            weight.assign(random.normal(size=weight.shape).astype(np.float32))


def _assert_same(found: PReLULayer, live: PReLULayer, *but: str) -> None:
    fields = ("name", "nodes", "parameter", "form", "input_shape", "stored_shape", "sharing",
              "channel_axis", "preceding_parameters", "same_instance")  # fmt: skip
    for field in fields:
        if field not in but:
            assert getattr(found, field) == getattr(live, field), field
    assert same_bits(found.slopes.reshape(-1), live.slopes.reshape(-1))
    assert not found.slopes.flags.writeable


@pytest.mark.parametrize("name", _ORDERED)
def test_an_archive_has_the_layers_of_the_live_model(saved: Saved, name: str) -> None:
    source = saved.open(name)
    assert (source.framework, source.n_parameters) == ("keras", saved.n_parameters[name])
    assert [layer.name for layer in source.layers()] == [x.name for x in saved.layers[name]]
    for found, live in zip(source.layers(), saved.layers[name], strict=True):
        custom = ("parameter",) if found.form != "PReLU" else ()  # the archive only numbers it
        _assert_same(found, live, *custom)
        assert found.slopes.shape == live.slopes.shape
    assert bool(source.notes) == (name in ("where", "shared", "article"))


@pytest.mark.parametrize("name", _LEGACY)
def test_an_h5_file_has_the_layers_of_the_live_model(saved: Saved, name: str) -> None:
    source = saved.open(name, ".h5")
    assert source.n_parameters == saved.n_parameters[name]
    for found, live in zip(source.layers(), saved.layers[name], strict=True):
        # It keeps no shapes: what the slopes do not say of their input is unknown.
        _assert_same(found, live, "input_shape", "sharing", "channel_axis")
        if live.sharing == "channel-wise" and found.form == "PReLU":
            assert (found.sharing, found.channel_axis) == ("channel-wise", live.channel_axis)


@pytest.mark.parametrize("name", _ORDERED)
def test_weights_alone_have_the_slopes_and_say_how_they_were_told(saved: Saved, name: str) -> None:
    source = saved.open(name, ".weights.h5")
    assert source.n_parameters == saved.n_parameters[name]
    by_name = {layer.name: layer for layer in source.layers()}
    assert set(by_name) == {layer.name for layer in saved.layers[name]}
    for live in saved.layers[name]:
        assert same_bits(by_name[live.name].slopes.reshape(-1), live.slopes.reshape(-1))
        assert by_name[live.name].preceding_parameters is None
    (note,) = source.notes
    assert "identified by the" in note
    assert "only weights" in note


def test_the_sharing_of_every_combination_of_axes_is_known(saved: Saved) -> None:
    sharings = [layer.sharing for layer in saved.open("axes").layers()]
    assert sharings == [
        "element-wise", "partial", "partial", "partial",
        "channel-wise", "channel-wise", "channel-wise", "channel-shared",
    ]  # fmt: skip
    assert [layer.channel_axis for layer in saved.open("axes").layers()][4:] == [3, 2, 1, None]


def test_a_class_of_ones_own_is_seen_by_its_weights(saved: Saved) -> None:
    live = {layer.name: layer for layer in saved.layers["own"]}
    assert set(live) == {"chosen", "second_prelu", "p_re_lu_inside"}
    for suffix in (".keras", ".weights.h5"):
        source = saved.open("own", suffix)
        found = {layer.name: layer for layer in source.layers()}
        assert set(found) == set(live)
        for name, layer in found.items():
            assert same_bits(layer.slopes.reshape(-1), live[name].slopes.reshape(-1))
            assert layer.preceding_parameters is None
    notes = " ".join(saved.open("own").notes)
    assert "does not say which layers Own contains" in notes
    assert "chosen" in notes


def test_layers_of_other_classes_are_named_in_a_note(saved: Saved) -> None:
    (note,) = saved.open("where").notes
    assert "not Keras' own" in note
    assert "prelu1, prelu2, prelu3" in note


def test_bfloat16_slopes_keep_their_type(tmp_path: Path) -> None:
    import keras

    act = keras.layers.PReLU(name="act", dtype="bfloat16")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), act])
    act.alpha.assign(np.array([0.5, -0.3, 1.7]))
    model.save(tmp_path / "half.keras")
    model.save_weights(tmp_path / "half.weights.h5")
    for name in ("half.keras", "half.weights.h5"):
        (layer,) = _open(tmp_path / name).layers()
        assert layer.dtype == "bfloat16"
        assert same_bits(layer.slopes.reshape(-1), np.array(act.alpha))


def test_the_name_in_the_file_counts_and_not_the_number(saved: Saved, tmp_path: Path) -> None:
    def exchange(file: Any) -> None:
        file.move("layers/p_re_lu", "layers/aside")
        file.move("layers/p_re_lu_1", "layers/p_re_lu")
        file.move("layers/aside", "layers/p_re_lu_1")

    path = _rewritten(saved.folder / "digits.keras", tmp_path / "exchanged.keras", exchange)
    for found, live in zip(_open(path).layers(), saved.layers["digits"], strict=True):
        _assert_same(found, live)


def test_older_archives_name_no_layer_and_count_per_class(saved: Saved, tmp_path: Path) -> None:
    def forget(file: Any) -> None:
        def unname(_: str, item: Any) -> None:
            item.attrs.pop("name", None)

        file.visititems(unname)
        file.move("layers/sequential/layers", "layers/sequential/_layer_checkpoint_dependencies")
        file.move("layers", "_layer_checkpoint_dependencies")

    path = _rewritten(saved.folder / "nested.keras", tmp_path / "older.keras", forget)
    for found, live in zip(_open(path).layers(), saved.layers["nested"], strict=True):
        _assert_same(found, live)


def _rewritten(path: Path, target: Path, change: Callable[[Any], None]) -> Path:
    """The archive with its weights changed, as h5py has them."""
    import h5py

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        change(file)
    return _zipped(target, {**members, "model.weights.h5": weights.getvalue()})


def _zipped(
    path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_the_optimizer_keeps_is_no_parameter(saved: Saved, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.PReLU()])
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 4)), np.zeros((2, 3)), verbose=0)
    model.save(tmp_path / "trained.keras")
    source = _open(tmp_path / "trained.keras")
    assert (source.n_parameters, len(source.layers())) == (4 * 3 + 3 + 3, 1)


def test_inspecting_an_archive_imports_no_framework(saved: Saved) -> None:
    script = (
        "import sys; from prelu_tools.cli.main import run; code = run(sys.argv[1:]); "
        "print([m for m in ('tensorflow', 'keras', 'torch', 'onnxruntime') if m in sys.modules]); "
        "sys.exit(code)"
    )
    for suffix in (".keras", ".h5", ".weights.h5"):
        path = saved.folder / f"digits{suffix}"
        done = subprocess.run(
            [sys.executable, "-c", script, "inspect", str(path), "--format", "json"],
            capture_output=True, text=True, cwd=ROOT, env=environment(), check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        document, _, imported = done.stdout.rstrip().rpartition("\n")
        assert imported == "[]"
        names = [layer["name"] for layer in json.loads(document)["layers"]]
        assert names == ["prelu1", "prelu2", "prelu3"]


def test_the_command_shows_the_note(saved: Saved) -> None:
    outcome = cli("inspect", saved.folder / "where.weights.h5")
    assert outcome.code == 0, outcome.err
    assert "slopes were identified by the tensors" in outcome.words


def test_an_h5_model_runs_as_well_as_it_is_inspected(saved: Saved, tmp_path: Path) -> None:
    target = tmp_path / "axes.onnx"
    outcome = cli("export", saved.folder / "ranks.h5", "-o", target, "-q")
    assert outcome.code == 0, outcome.err
    assert target.exists()


def test_weights_alone_are_not_run(saved: Saved, tmp_path: Path) -> None:
    path = saved.folder / "digits.weights.h5"
    outcome = cli("export", path, "-o", tmp_path / "never.onnx")
    assert outcome.code == 3
    assert "contains weights but no model: name the code as well" in outcome.words
    with pytest.raises(PReLUToolsError, match="use the code"):
        _open(saved.folder / "digits.keras").inputs()


def test_a_damaged_archive_is_refused(saved: Saved, tmp_path: Path) -> None:
    content = (saved.folder / "digits.keras").read_bytes()
    short = tmp_path / "short.keras"
    short.write_bytes(content[: len(content) // 2])
    assert "not a zip file, or is damaged" in _refusal(short)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1  # a weight: only the checksum tells
    (tmp_path / "flipped.keras").write_bytes(flipped)
    assert "CRC" in _refusal(tmp_path / "flipped.keras")


def test_an_archive_without_its_parts_is_refused(saved: Saved, tmp_path: Path) -> None:
    members = _members(saved.folder / "ranks.keras")
    weights = members.pop("model.weights.h5")
    path = tmp_path / "parts.keras"
    assert "has no model.weights.h5" in _refusal(_zipped(path, members))
    changed = {**members, "model.weights.h5": weights, "config.json": b"not json"}
    assert "cannot be read as a Keras archive" in _refusal(_zipped(path, changed))
    assert "is not a JSON object" in _refusal(_zipped(path, {**changed, "config.json": b"[]"}))
    assert "has no model" in _refusal(_zipped(path, {**changed, "config.json": b"{}"}))
    broken = {**members, "model.weights.h5": weights[:1000]}
    assert "cannot be read: it is not an HDF5 file" in _refusal(_zipped(path, broken))


def test_metadata_are_not_needed(saved: Saved, tmp_path: Path) -> None:
    members = _members(saved.folder / "ranks.keras")
    del members["metadata.json"]
    source = _open(_zipped(tmp_path / "bare.keras", members))
    assert (source.producer, len(source.layers())) == ("keras", 2)


def test_a_zip_bomb_is_refused(saved: Saved, tmp_path: Path) -> None:
    members = {**_members(saved.folder / "ranks.keras"), "model.weights.h5": bytes(65 << 20)}
    path = _zipped(tmp_path / "bomb.keras", members, zipfile.ZIP_DEFLATED)
    assert "zip bomb" in _refusal(path)
    members["config.json"] = bytes(65 << 20)
    assert "zip bomb" in _refusal(_zipped(path, members, zipfile.ZIP_DEFLATED))


def test_a_large_archive_is_read_through_a_temporary_file(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prelu_tools.backends.files.keras.archive._IN_MEMORY", 1000)
    for found, live in zip(saved.open("digits").layers(), saved.layers["digits"], strict=True):
        _assert_same(found, live)


def test_content_that_the_suffix_does_not_say_is_refused(saved: Saved, tmp_path: Path) -> None:
    for source, name, said in (
        ("digits.h5", "a.keras", "rename it to a.h5"),
        ("digits.keras", "b.h5", "not an HDF5 file, or it is damaged"),
    ):
        shutil.copyfile(saved.folder / source, tmp_path / name)
        assert said in _refusal(tmp_path / name)
    (tmp_path / "c.keras").write_text("hello")
    assert "not a zip file" in _refusal(tmp_path / "c.keras")
    assert "no such file" in _refusal(tmp_path / "missing.keras")
    (tmp_path / "folder.keras").mkdir()
    assert "is a folder" in _refusal(tmp_path / "folder.keras")


def test_a_missing_h5py_says_what_to_install(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"prelu-tools\[keras\]"):
        saved.open("digits")
