"""TensorFlow's checkpoints read without it: as TensorFlow reads them, and within their size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelu_tools.backends.files import tensor_bundle
from prelu_tools.backends.files.tensor_bundle import TensorBundle
from prelu_tools.core.arrays import same_bits
from prelu_tools.graph.io.wire import MalformedError, heading, varint

Pairs = Sequence[tuple[bytes, bytes]]


def _checked(content: bytes) -> bytes:
    """A block with its trailer."""
    return content + b"\0" + tensor_bundle._masked_sum(content + b"\0").to_bytes(4, "little")


def _block(pairs: Sequence[tuple[int, bytes, bytes]]) -> bytes:
    """Of pairs of a key, of which so many bytes are those of the one before, and a value."""
    content = b"".join(
        varint(shared) + varint(len(key)) + varint(len(value)) + key + value
        for shared, key, value in pairs
    )
    return _checked(content + bytes(4) + (1).to_bytes(4, "little"))


def _index(*blocks: bytes, handles: int = 1) -> bytes:
    """An index of data blocks, the last of which is named several times."""
    places, content = [], b""
    for block in blocks:
        places.append(varint(len(content)) + varint(len(block) - 5))
        content += block
    places += places[-1:] * (handles - 1)
    named = _block([(0, b"%09d" % n, place) for n, place in enumerate(places)])
    handle = varint(len(content)) + varint(len(named) - 5)
    footer = (bytes(2) + handle).ljust(40, b"\0") + tensor_bundle._MAGIC.to_bytes(8, "little")
    return content + named + footer


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def _entry(shape: Sequence[int], offset: int, size: int, dtype: int = 1, shard: int = 0) -> bytes:
    dims = b"".join(heading(2, len(_number(1, n))) + _number(1, n) for n in shape)
    return (
        _number(1, dtype) + heading(2, len(dims)) + dims + _number(3, shard) + _number(4, offset)
        + _number(5, size) + varint(6 << 3 | 5) + bytes(4)
    )  # fmt: skip


def _written(folder: Path, pairs: Pairs, data: bytes = bytes(64), header: bytes = b"") -> Path:
    """A checkpoint of one data file."""
    every = [(0, b"", header or _number(1, 1)), *((0, key, value) for key, value in pairs)]
    return _placed(folder, _index(_block(every)), data)


def _placed(folder: Path, index: bytes, data: bytes = bytes(64)) -> Path:
    (folder / "v.index").write_bytes(index)
    (folder / "v.data-00000-of-00001").write_bytes(data)
    return folder / "v"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import tensorflow as tf

    module = tf.Module()
    random = np.random.default_rng(0)
    for dtype in ("float16", "float32", "float64", "bfloat16", "int32", "int64", "bool"):
        for shape in ((), (3,), (2, 3, 4), (0, 2)):
            values = tf.cast(random.normal(size=shape), dtype)
            setattr(module, f"{dtype}_{'x'.join(map(str, shape))}", tf.Variable(values))
    module.many = [tf.Variable(float(n)) for n in range(300)]  # more than one block of the index
    folder = tmp_path_factory.mktemp("saved")
    tf.saved_model.save(module, str(folder))
    return folder / "variables" / "variables"


@pytest.mark.keras
def test_every_tensor_is_the_one_that_tensorflow_reads(saved: Path) -> None:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(saved))
    bundle = TensorBundle(saved)
    bundle.check()
    types = reader.get_variable_to_dtype_map()
    assert len(bundle.entries) > 300
    assert {key: list(entry.shape) for key, entry in bundle.entries.items()} == (
        reader.get_variable_to_shape_map()
    )
    for key, entry in bundle.entries.items():
        assert entry.is_float == types[key].is_floating
        if entry.is_float:
            assert same_bits(bundle.read(key), reader.get_tensor(key)), key
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    assert bundle.text(graph) == reader.get_tensor(graph)


@pytest.mark.keras
def test_whatever_byte_is_damaged_it_is_refused(saved: Path, tmp_path: Path) -> None:
    index = saved.with_suffix(".index").read_bytes()
    data = saved.with_name("variables.data-00000-of-00001").read_bytes()
    random = np.random.default_rng(0)
    for place in random.integers(0, len(index), 60):
        spoilt = bytearray(index)
        spoilt[place] ^= int(random.integers(1, 256))
        try:
            bundle = TensorBundle(_placed(tmp_path, bytes(spoilt), data))
        except MalformedError:
            continue
        assert bundle.entries.keys() == TensorBundle(saved).entries.keys()  # it was padding
    spoilt = bytearray(data)
    entry = next(e for e in TensorBundle(saved).entries.values() if e.shape == (2, 3, 4))
    spoilt[entry.offset] ^= 1
    bundle = TensorBundle(_placed(tmp_path, index, bytes(spoilt)))
    (key,) = (key for key, one in bundle.entries.items() if one == entry)
    with pytest.raises(MalformedError, match="checksum"):
        bundle.read(key)


def test_what_lies_in_its_file_is_taken(tmp_path: Path) -> None:
    pairs = [(b"a", _entry((2, 2), 0, 16)), (b"b", _entry((12,), 16, 48)), (b"c", _entry((), 0, 4))]
    bundle = TensorBundle(_written(tmp_path, pairs))
    bundle.check()
    assert bundle.entries["a"].shape == (2, 2)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (_entry((4,), 60, 16), "'a' is not in its file"),
        (_entry((4,), 0, 16, shard=1), "'a' is not in its file"),
        (_entry((1 << 40,), 0, 16), "'a' is not as large as its shape says"),
        (_entry((3,), 0, 16), "'a' is not as large as its shape says"),
        (_entry((1 << 40, 1 << 40), 0, 16) + heading(7, 0), "larger than its files"),
        (_entry((1 << 63,), 0, 16), "a number is negative"),
    ],
)
def test_what_does_not_is_refused(entry: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=said):
        TensorBundle(_written(tmp_path, [(b"a", entry)])).check()


def test_tensors_that_share_their_bytes_take_no_more_than_twice_the_file(tmp_path: Path) -> None:
    size = 1 << 20
    pairs = [(b"%03d" % n, _entry((size // 4,), 0, size)) for n in range(110)]
    bundle = TensorBundle(_written(tmp_path, pairs[:90], bytes(size)))
    bundle.check()
    with pytest.raises(MalformedError, match="larger than its files"):
        TensorBundle(_written(tmp_path, pairs, bytes(size))).check()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (_number(1, 1) + _number(2, 1), "big endian"),
        (_number(1, 1 << 40), "data files were expected, 1 found"),
        (_number(2, 0), "0 data files were expected"),
    ],
)
def test_headers_of_another_kind(header: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=said):
        TensorBundle(_written(tmp_path, [], header=header))


def _spoilt(index: bytes, place: int, value: int) -> bytes:
    return index[:place] + bytes([value]) + index[place + 1 :]


ONE = _block([(0, b"", _number(1, 1)), (0, b"a", _entry((4,), 0, 16))])
LONG = b"k" * 500_000
REPEATED: dict[str, tuple[bytes, str]] = {
    "a block twice": (_index(ONE, handles=2), "not in order"),
    "a block without keys, many times": (
        _index(ONE, _checked(bytes(100_000) + b"\xff" * 4), handles=1000),
        "larger than its files",
    ),
    "keys that go on and on": (
        _index(_block([(0, LONG, b""), *((500_000 + n, b"k", b"") for n in range(400))])),
        "larger than its files",
    ),
    "a key before the one before": (_index(_block([(0, b"b", b""), (0, b"a", b"")])), "in order"),
    "a key twice": (_index(_block([(0, b"b", b""), (0, b"b", b"")])), "in order"),
    "more shared than there is": (_index(_block([(3, b"b", b"")])), "does not fit"),
    "compressed": (_spoilt(_index(ONE), len(ONE) - 5, 1), "compressed"),
    "another sum": (_spoilt(_index(ONE), 1, 9), "checksum"),
    "another end": (_spoilt(_index(ONE), -1 % len(_index(ONE)), 9), "it has no index"),
    "nothing": (b"", "it has no index"),
}


@pytest.mark.parametrize("name", REPEATED)
def test_an_index_that_has_no_end_or_makes_no_sense(name: str, tmp_path: Path) -> None:
    index, said = REPEATED[name]
    with pytest.raises(MalformedError, match=said):
        TensorBundle(_placed(tmp_path, index))


def test_what_is_partitioned_or_no_text_is_not_read(tmp_path: Path) -> None:
    pairs: Any = [(b"a", _entry((4,), 0, 16) + heading(7, 0)), (b"b", _entry((4,), 0, 16))]
    bundle = TensorBundle(_written(tmp_path, pairs))
    with pytest.raises(MalformedError, match="partitioned"):
        bundle.read("a")
    with pytest.raises(MalformedError, match="is not text"):
        bundle.text("b")
