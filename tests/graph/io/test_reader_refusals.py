"""Files that are no models, and models that point where they must not: one clear sentence each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import model, numbers
from onnx import TensorProto, numpy_helper

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.io.reader import OnnxModel, read_model
from prelu_tools.graph.match.layers import read_layers

WEIGHT = numbers(1000)


def _with(*tensors: TensorProto) -> onnx.ModelProto:
    proto = model("y = PRelu(x, w)", "float[N,1000] x", "float[N,1000] y")
    proto.graph.initializer.extend(tensors)
    return proto


def _external(folder: Path, place: dict[str, str], dims: tuple[int, ...] = (1000,)) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "net.onnx"
    path.write_bytes(_with(tensor).SerializeToString())
    (folder / "w.bin").write_bytes(WEIGHT.tobytes())
    return path


def _read_all(path: Path) -> None:
    """Read a model with the values of its layers and of every initializer."""
    found = read_model(path)
    for tensor in found.proto.graph.initializer:
        found.values(tensor)
    read_layers(found)


def _sentence(path: Path) -> str:
    with pytest.raises(PReLUToolsError) as caught:
        _read_all(path)
    text = str(caught.value)
    assert "\n" not in text
    assert 20 < len(text) < 400 + len(str(path))
    return text


def _length(number: int, content: bytes) -> bytes:
    """A field of a message whose content has a length."""
    size, length = bytearray(), len(content)
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2]) + bytes([*size, length]) + content


PADDING = _length(6, b"d" * 2000)  # doc_string of a model: makes what is around it large
MALFORMED = {
    "empty": b"",
    "text": b"not a model, but a text of several words\n" * 50,
    "zeros": bytes(3000),
    "ones": b"\xff" * 3000,
    "a field number of zero": b"\x02\x01a",
    "a start of a group": b"\x0b" + PADDING,
    "an end of a group": b"\x0c" + PADDING,
    "wire type 6": b"\x0e" + PADDING,
    "wire type 7": b"\x0f" + PADDING,
    "a number without an end": b"\x08" + b"\x80" * 12,
    "a number cut off": b"\x08\x80",
    "a length beyond the end": b"\x3a\xff\xff\xff\x7f" + bytes(2000),
    "a length of 70 bits": b"\x3a" + b"\xff" * 9 + b"\x01" + bytes(2000),
    "no graph": PADDING,
    "a graph that is a number": b"\x38\x01" + PADDING,
    "a graph that is four bytes": b"\x3d1234" + PADDING,
    "a graph that is eight bytes cut off": PADDING + b"\x391234",
    "a graph of nonsense": _length(7, b"\x0f" * 3000),
    "a node of nonsense": _length(7, _length(1, b"\x0f" * 3000)),
    "a tensor of nonsense": _length(7, _length(5, b"\x0f" * 3000)),
    "a node that overruns its graph": _length(7, b"\x0a\xff\x7f" + bytes(2000)) + bytes(20000),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_model(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    assert f"{path} is not an ONNX model" in _sentence(path)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(np.random.default_rng(seed).bytes(5000))
    assert f"{path} is not an ONNX model" in _sentence(path)


def test_every_length_of_a_truncated_model(tmp_path: Path) -> None:
    data = _with(numpy_helper.from_array(WEIGHT, "w")).SerializeToString()
    path = tmp_path / "net.onnx"
    weight = data.index(WEIGHT.tobytes())
    for length in [*range(weight), *range(weight, weight + 4000, 97)]:
        path.write_bytes(data[:length])
        assert "is not an ONNX model" in _sentence(path)


def _mutated(data: bytes, seed: int) -> bytes:
    """The bytes with a few changed, dropped or repeated."""
    generator = np.random.default_rng(seed)
    changed = bytearray(data)
    for _ in range(int(generator.integers(1, 4))):
        place, end = (int(i) for i in np.sort(generator.integers(0, len(changed), 2)))
        match int(generator.integers(0, 3)):
            case 0:
                changed[place] = int(generator.integers(0, 256))
            case 1:
                del changed[place : min(end, place + 40)]
            case _:
                changed[place:place] = changed[place : min(end, place + 40)]
    return bytes(changed)


def test_a_damaged_model_is_read_or_refused(tmp_path: Path) -> None:
    body = "c = Conv(x, w) b = Unsqueeze(f, ax) t = PRelu(c, b) s = Mul(t, a) y = Max(t, s)"
    constants = {"w": numbers(3, 3, 9, 9), "f": numbers(3), "ax": np.array([1, 2])}
    data = model(body, constants=constants).SerializeToString()
    path = tmp_path / "net.onnx"
    refused = 0
    for seed in range(400):
        path.write_bytes(_mutated(data, seed))
        try:
            _read_all(path)
        except PReLUToolsError:
            refused += 1
    assert 50 < refused < 400


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert f"{path} cannot be read: No such file" in _sentence(path)


def test_a_folder(tmp_path: Path) -> None:
    assert f"{tmp_path} cannot be read: Is a directory" in _sentence(tmp_path)


@pytest.mark.parametrize("depth", [60, 3000])
def test_graphs_within_graphs_without_end(depth: int, tmp_path: Path) -> None:
    graph = _length(10, b"d" * 2000)
    for _ in range(depth):
        graph = _length(1, _length(5, _length(6, graph)))
    path = tmp_path / "net.onnx"
    path.write_bytes(_length(7, graph))
    assert "is not an ONNX model" in _sentence(path)


@pytest.mark.parametrize("location", ["../secret.bin", "a/../../secret.bin", "/etc/hostname"])
def test_data_outside_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    text = _sentence(_external(folder, {"location": location}))
    assert repr(location) in text
    assert "rejected" in text


def test_data_behind_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    assert "rejected" in _sentence(_external(folder, {"location": "link.bin"}))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        pytest.param({"location": "nowhere.bin"}, "nowhere.bin, which cannot be read (No such",
                     id="no file"),
        pytest.param({"location": "."}, "cannot be read (Is a directory)", id="a folder"),
        pytest.param({}, "its file is not named", id="no location"),
        pytest.param({"location": ""}, "its file is not named", id="empty location"),
        pytest.param({"location": "w\0.bin"}, "", id="a zero byte"),
        pytest.param({"location": "w.bin", "offset": "8"}, "should have 4,000", id="cut short"),
        pytest.param({"location": "w.bin", "offset": "9999999"}, "found 0", id="beyond the end"),
        pytest.param({"location": "w.bin", "offset": "-4"}, "", id="before the start"),
        pytest.param({"location": "w.bin", "offset": "much"}, "", id="no number"),
        pytest.param({"location": "w.bin", "offset": str(2**70)}, "", id="far beyond the end"),
        pytest.param({"location": "w.bin", "length": "400"}, "", id="too short a length"),
        pytest.param({"location": "w.bin", "length": "many"}, "", id="a length that is a word"),
    ],
)  # fmt: skip
def test_external_data_that_is_not_there(place: dict[str, str], words: str, tmp_path: Path) -> None:
    text = _sentence(_external(tmp_path, place))
    assert "tensor 'w'" in text
    assert words in text


def test_external_data_that_git_lfs_did_not_fetch(tmp_path: Path) -> None:
    model = _external(tmp_path, {"location": "w.bin"})
    (tmp_path / "w.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d\n")
    assert _sentence(model).endswith("w.bin is a Git LFS pointer, not the file: "
                                     "run git lfs pull")  # fmt: skip


@pytest.mark.parametrize("dims", [(-4,), (2**45,), (2**40, 2**40), (-1, -1000), (1000, 0, -1)])
def test_external_data_of_an_impossible_shape(dims: tuple[int, ...], tmp_path: Path) -> None:
    assert "tensor 'w'" in _sentence(_external(tmp_path, {"location": "w.bin"}, dims))


def test_external_data_as_stated_is_read(tmp_path: Path) -> None:
    found = read_model(_external(tmp_path, {"location": "w.bin", "offset": "0", "length": "4000"}))
    assert np.array_equal(found.values(found.proto.graph.initializer[0]), WEIGHT)


@pytest.mark.parametrize("count", [10, 1000], ids=["small", "large"])
@pytest.mark.parametrize("change", [-4, -1, 4], ids=["a value less", "a byte less", "a value more"])
def test_a_tensor_that_does_not_hold_what_its_shape_says(
    change: int, count: int, tmp_path: Path
) -> None:
    tensor = numpy_helper.from_array(WEIGHT[:count], "w")
    tensor.raw_data = tensor.raw_data[:change] if change < 0 else tensor.raw_data + bytes(change)
    proto = _with(tensor)
    proto.graph.doc_string = "behind the tensor " * 500
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    assert "tensor 'w'" in _sentence(path)


@pytest.mark.parametrize("count", [10, 1000], ids=["small", "large"])
@pytest.mark.parametrize("kind", [0, 99])
def test_a_tensor_of_an_unknown_type(kind: int, count: int, tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(WEIGHT[:count], "w")
    tensor.data_type = kind
    path = tmp_path / "net.onnx"
    path.write_bytes(_with(tensor).SerializeToString())
    assert "tensor 'w'" in _sentence(path)


def test_a_model_that_was_never_a_file_has_no_external_data() -> None:
    tensor = TensorProto(name="w", data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    with pytest.raises(PReLUToolsError, match="its file is not named"):
        OnnxModel(_with(tensor), None).values(tensor)
