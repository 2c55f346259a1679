"""HDF5 files that nobody can trust: what crashes, hangs or reaches outside is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.files import isolated
from prelu_tools.backends.files.answers import BadAnswerError, decoded
from prelu_tools.backends.files.isolated import Limits, run_isolated
from prelu_tools.backends.opening import open_for_inspection
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions

h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.keras

_READERS = """
import os
import time

from prelu_tools.core.errors import PReLUToolsError


def twice(path):
    return [path.name] * 2


def crash(path):
    os.abort()


def hang(path):
    time.sleep(600)


def spin(path):
    while True:
        pass


def grow(path):
    return bytearray(3 << 30)


def answer_with_a_call(path):
    import json
    import pickle
    import struct
    import sys

    class Call:
        def __reduce__(self):
            return os.system, ("touch marker",)

    text = json.dumps({"tuple": ["value", {"object": ["Popen", {"args": ["touch", "marker"]}]}]})
    answer = struct.pack("<Q", len(text)) + text.encode()
    sys.stdout.buffer.write(answer if path.name == "x.h5" else pickle.dumps(("value", Call())))
    sys.stdout.buffer.flush()
    os._exit(0)


def arrays(path):
    import ml_dtypes
    import numpy as np

    return [np.arange(3.0), np.array([1, 2], ml_dtypes.bfloat16), {"a": (1, None)}, np.float32(3)]


def endless(path):
    import sys

    while True:
        sys.stdout.buffer.write(bytes(1 << 20))


def refuse(path):
    raise PReLUToolsError(f"{path.name} is not available")
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad_readers.py").write_text(_READERS)
    (tmp_path / "x.h5").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)


def _refusal(reader: str, name: str = "x.h5") -> str:
    with pytest.raises(PReLUToolsError) as caught:
        run_isolated(f"bad_readers:{reader}", Path(name))
    return str(caught.value)


@pytest.mark.usefixtures("readers")
def test_what_a_reader_returns_comes_back() -> None:
    assert run_isolated("bad_readers:twice", Path("x.h5")) == ["x.h5", "x.h5"]
    assert _refusal("refuse") == "x.h5 is not available"


@pytest.mark.usefixtures("readers")
def test_a_crash_is_an_error_with_a_sentence() -> None:
    assert _refusal("crash") == "x.h5 is damaged: reading it ended with SIGABRT"


@pytest.mark.usefixtures("readers")
def test_a_reader_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "limits_for", lambda size: Limits(1, 2.0, 500 << 20))
    assert "took longer than 2 s" in _refusal("hang")
    monkeypatch.setattr(isolated, "limits_for", lambda size: Limits(1, 600.0, 500 << 20))
    assert "takes more than 1 s of CPU time" in _refusal("spin")


@pytest.mark.usefixtures("readers")
def test_memory_is_limited() -> None:
    assert "takes more than 524,288,000 bytes" in _refusal("grow")


@pytest.mark.usefixtures("readers")
def test_values_come_back_as_they_are() -> None:
    plain, half, numbers, single = run_isolated("bad_readers:arrays", Path("x.h5"))
    assert (plain.tolist(), half.tolist(), half.dtype.name) == ([0, 1, 2], [1, 2], "bfloat16")
    assert (numbers, single) == ({"a": (1, None)}, 3)


@pytest.mark.usefixtures("readers")
def test_a_process_that_was_taken_over_can_send_nothing_but_values() -> None:
    Path("y.h5").touch()
    for name in ("x.h5", "y.h5"):
        assert "the process that read it did not answer" in _refusal("answer_with_a_call", name)
    assert not Path("marker").exists()


@pytest.mark.usefixtures("readers")
def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "limits_for", lambda size: Limits(60, 600.0, 20 << 20))
    assert "returned an incomplete result" in _refusal("endless")


_ARRAYS = (["O", [1], 0], ["float64", [1 << 60], 0], ["f4,f4", [0], 0], ["float32", [2], -8])


@pytest.mark.parametrize("stated", _ARRAYS, ids=str)
def test_an_answer_has_plain_arrays_of_what_was_sent(stated: list[Any]) -> None:
    text = json.dumps({"array": stated}).encode()
    with pytest.raises(BadAnswerError):
        decoded(struct.pack("<Q", len(text)) + text + bytes(64), ())


def test_the_limits_grow_with_the_file() -> None:
    small, large = isolated.limits_for(1000), isolated.limits_for(1 << 30)
    assert (small.cpu_seconds, small.memory) == (3, 500 << 20)
    assert (large.cpu_seconds, large.memory) == (19, 10 << 30)


def _open(path: Path) -> Any:
    return open_for_inspection(str(path), SourceOptions())


def _layer(file: Any) -> Any:
    return file.create_group("layers/p_re_lu/vars")


def test_groups_of_keras_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        _layer(file)["0"] = np.array([0.5, -1.0], np.float32)
    (layer,) = _open(tmp_path / "x.weights.h5").layers()
    assert (layer.name, layer.slopes.tolist()) == ("p_re_lu", [[0.5, -1.0]])


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["values"] = np.ones(3, np.float32)
        _layer(file)["0"] = np.ones(3, np.float32)
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        _layer(file)["0"] = h5py.ExternalLink("secret.h5", "/values")
        file["layers/whole"] = h5py.ExternalLink("secret.h5", "/layers/p_re_lu")
    assert _open(tmp_path / "x.weights.h5").layers() == ()


def test_values_that_lie_in_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(100))
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        outside = [(str(tmp_path / "secret"), 0, 12)]
        _layer(file).create_dataset("0", (3,), np.float32, external=outside)
    with pytest.raises(PReLUToolsError, match="is in another file"):
        _open(tmp_path / "x.weights.h5")


def test_more_than_the_file_holds_is_not_allocated(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        _layer(file).create_dataset("0", (1 << 40,), np.float32, chunks=(1024,))
    with pytest.raises(PReLUToolsError, match="declares more than the file contains"):
        _open(tmp_path / "x.weights.h5")


def test_a_group_inside_itself_ends(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.weights.h5", "w") as file:
        _layer(file)["0"] = np.ones(3, np.float32)
        file["layers/again"] = file["layers"]
    assert len(_open(tmp_path / "x.weights.h5").layers()) == 1


def test_hdf5_that_keras_did_not_write_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones(3)
    with pytest.raises(PReLUToolsError, match="not one that Keras wrote"):
        _open(tmp_path / "other.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["model_config"] = "{}"
    with pytest.raises(PReLUToolsError, match="is not a Keras model"):
        _open(tmp_path / "other.h5")
    content = (tmp_path / "other.h5").read_bytes()
    (tmp_path / "other.h5").write_bytes(content[:200])
    with pytest.raises(PReLUToolsError, match="cannot be read: it is not an HDF5 file"):
        _open(tmp_path / "other.h5")


def test_weights_of_keras_2_keep_the_names_of_their_variables(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv", b"act"]
        file.create_group("conv").attrs["weight_names"] = [b"conv/kernel:0", b"conv/bias:0"]
        file["conv/conv/kernel:0"] = np.ones((3, 3, 2, 4), np.float32)
        file["conv/conv/bias:0"] = np.ones(4, np.float32)
        file.create_group("act").attrs["weight_names"] = [b"act/alpha:0"]
        file["act/act/alpha:0"] = np.full((1, 1, 4), 0.5, np.float32)
    source = _open(tmp_path / "old.h5")
    (layer,) = source.layers()
    assert (layer.name, layer.parameter, layer.preceding_parameters) == ("act", "act/alpha", 76)
    assert layer.slopes.reshape(-1).tolist() == [0.5] * 4
    assert "only weights" in source.notes[0]
