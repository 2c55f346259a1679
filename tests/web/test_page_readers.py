"""The page's readers of records and models, in node: they read what Python wrote, and no more."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import ROOT
from tiny_models import save_dense, save_graph

from prelu_tools.api import record
from prelu_tools.backends.opening import open_source
from prelu_tools.core.options import SourceOptions

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")
_PAGE = ROOT / "docs/web"


def _read(asked: Iterable[tuple[str, Path]]) -> list[dict[str, Any]]:
    """What the readers make of files, in one process."""
    done = subprocess.run(
        [NODE or "node", ROOT / "tests/web/read.mjs", _PAGE],
        input=json.dumps([(kind, str(path)) for kind, path in asked]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def _summary(values: Any) -> dict[str, Any]:
    plain = np.ascontiguousarray(values)
    digest = hashlib.sha256(plain.tobytes()).hexdigest()
    return {"dtype": values.dtype.name, "shape": list(values.shape), "hash": digest}


def test_arrays_are_read_as_numpy_wrote_them(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        "a/b": chance.normal(size=(3, 4, 5)), "half": np.float16([1, 2, np.nan]),
        "single": chance.normal(size=7).astype(np.float32), "whole": np.int64([-1, 2**60]),
        "flags": np.array([[True], [False]]), "number": np.float64(3), "none": np.zeros((0, 3)),
        "bytes": np.arange(200_000, dtype=np.uint8), "\N{SNOWMAN}": np.arange(3, dtype=np.uint16),
    }  # fmt: skip
    paths = [tmp_path / "packed.npz", tmp_path / "plain.npz"]
    np.savez_compressed(paths[0], **arrays)
    np.savez(paths[1], **arrays)
    wanted = {name: _summary(np.asarray(values)) for name, values in arrays.items()}
    assert _read(("npz", path) for path in paths) == [wanted, wanted]


def _spoilt(net: Path, kept: Path, folder: Path) -> dict[str, tuple[str, bytes]]:
    """Files that are wrong, by what should be said of each."""
    good = kept.read_bytes()
    with np.load(kept) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())

    def with_header(**changed: Any) -> bytes:
        return with_arrays(header=np.frombuffer(json.dumps(header | changed).encode(), np.uint8))

    def with_arrays(**changed: Any) -> bytes:
        path = folder / "made.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, values in {**arrays, **changed}.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asanyarray(values))
        return path.read_bytes()

    middle = bytearray(good)
    middle[len(good) // 3] ^= 255
    pickled = np.array([{"a": 1}], object)
    start = good.index(b"PK\x01\x02") + 24
    bomb = good[:start] + (2**31 - 1).to_bytes(4, "little") + good[start + 4 :]
    return {
        "is not an .npz file": ("npz", b"not a zip file, but as long as the end of one is"),
        "its list of members": ("npz", good[: len(good) // 2]),
        "damaged": ("npz", bytes(middle)),
        "rejected: it unpacks to": ("npz", bomb),
        "expected numbers": ("npz", with_arrays(odd=pickled)),
        "not a record of a model (it has the arrays x)": ("record", _npz(folder, x=np.zeros(3))),
        "its header is not JSON": ("record", with_arrays(header=np.zeros(9, np.uint8))),
        "has format 2, but this page reads formats up to 1": (
            "record",
            with_header(format_version=2),
        ),
        "format_version is": ("record", with_header(format_version=None)),
        "there are no runs": ("record", with_header(runs=[])),
        "there are no inputs": ("record", with_header(inputs=None)),
        "not a record": ("record", with_header(format="other")),
        "the model is not an ONNX file: it has no graph": ("onnx", b""),
        "not a valid ONNX file": ("onnx", net.read_bytes()[:-3]),
        "the model is not a valid": ("onnx", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    }


def _npz(folder: Path, **arrays: Any) -> bytes:
    path = folder / "other.npz"
    np.savez(path, **arrays)
    return path.read_bytes()


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    record(net, tmp_path / "net.npz", samples=2, search_seconds=0)
    spoilt = _spoilt(net, tmp_path / "net.npz", tmp_path)
    asked = []
    for number, (kind, data) in enumerate(spoilt.values()):
        path = tmp_path / f"file{number}"
        path.write_bytes(data)
        asked.append((kind, path))
    found = _read([*asked, ("record", tmp_path / "net.npz"), ("onnx", net)])
    for words, answer in zip(spoilt, found, strict=False):
        assert words in answer.get("error", str(answer)[:400]), words
    assert found[-2] == {"outputs": ["y"], "layers": ["act"]}
    assert [layer["name"] for layer in found[-1]["layers"]] == ["act"]


def test_broken_files_end_in_a_sentence(tmp_path: Path) -> None:
    """Bytes changed at random: whatever comes of it, it is an answer, and never a crash."""
    net = save_dense(tmp_path / "net.onnx")
    record(net, tmp_path / "net.npz", samples=2, search_seconds=0)
    chance, asked = np.random.default_rng(7), []
    for number in range(200):
        source, kind = ((net, "onnx"), (tmp_path / "net.npz", "record"))[number % 2]
        data = bytearray(source.read_bytes())
        if number % 5 == 0:
            data = data[: int(chance.integers(len(data)))]
        for place in chance.integers(len(data) or 1, size=1 + number % 7):
            if data:
                data[place] = int(chance.integers(256))
        path = tmp_path / f"broken{number}"
        path.write_bytes(data)
        asked.append((kind, path))
    crashed = [answer["crash"] for answer in _read(asked) if "crash" in answer]
    assert crashed == []


def _odd_net(path: Path) -> Path:
    """Slopes in every place and shape that a file has for them; names of all kinds."""
    chance = np.random.default_rng(1)
    slopes = {
        "a.weight": chance.normal(size=(3, 1, 1)), "onnx::PRelu_7": chance.normal(size=(3, 1, 1)),
        "b.weight": chance.normal(size=(1, 3, 1, 1)), "shared.alpha": chance.normal(size=1),
    }  # fmt: skip
    nodes = [
        helper.make_node("PRelu", ["x", "a.weight"], ["h"], name="first"),
        helper.make_node("PRelu", ["h", "onnx::PRelu_7"], ["__proto__"], name="/net/act/PRelu"),
        helper.make_node("PRelu", ["__proto__", "b.weight"], ["i"]),
        helper.make_node("PRelu", ["i", "shared.alpha"], ["j"], name="p"),
        helper.make_node("PRelu", ["j", "shared.alpha"], ["y"], name="q"),
    ]
    tensors = {name: values.astype(np.float32) for name, values in slopes.items()}
    dims = ["batch", 3, 4, 5]
    save_graph(path, nodes, {"x": dims}, {"y": dims}, tensors)
    model = onnx.load(path)
    model.graph.node[2].metadata_props.add(key="prelu_tools.layer", value="told")
    model.graph.node[2].metadata_props.add(key="prelu_tools.axes", value="0,3,1,2")
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).reshape(-1)
    tensor.ClearField("raw_data")
    tensor.float_data.extend(values.tolist())
    onnx.save(model, path)
    return path


def test_models_are_read_as_python_reads_them(tmp_path: Path) -> None:
    path = _odd_net(tmp_path / "net.onnx")
    (found,) = _read([("onnx", path)])
    layers = open_source(str(path), SourceOptions()).layers()
    assert [(x["name"], x["axes"], x["calls"], x["slopes"]["hash"]) for x in found["layers"]] == [
        (x.name, x.axes and list(x.axes), len(x.nodes), _summary(x.slopes)["hash"]) for x in layers
    ]
    model = onnx.load(path)
    wanted = {t.name: _summary(numpy_helper.to_array(t)) for t in model.graph.initializer}
    assert found["tensors"] == wanted
    assert found["opset"] == 17
    assert found["inputs"] == [{"name": "x", "dtype": "float32", "shape": [None, 3, 4, 5]}]


def test_outputs_that_are_appended_are_merged_into_the_graph(tmp_path: Path) -> None:
    path = _odd_net(tmp_path / "net.onnx")
    (found,) = _read([("tapped", path)])
    tapped = onnx.load_from_string(base64.b64decode(found["base64"]))
    plain = onnx.load(path)
    assert [value.name for value in tapped.graph.output] == ["y", "h", "__proto__"]
    del tapped.graph.output[1:]
    assert tapped == plain


_CHANCE = """
const { Comparison } = await import(process.argv[1]);
const value = (first, rest) => (_, i) => (i < 2 ? first : rest);
const rows = (first, rest) => Float32Array.from({ length: 20000 }, value(first, rest));
const tensor = (data) => ({ data, shape: [2, 10000], dtype: "float32" });
const found = [0.9, 1.1].map((off) => {
  const comparison = new Comparison();
  const scale = tensor(rows(0.001, 1));
  const spread = { scale, nFlips: 0, border: null, rough: null };
  const limit = { rtol: 0, atol: rows(0.016, 16), spread };
  comparison.add(tensor(rows(0, 0)), tensor(rows(off, 0)), limit);
  return [comparison.verdict, comparison.wrong, comparison.worst];
});
console.log(JSON.stringify(found));
"""


def test_one_value_in_ten_thousand_may_have_the_rounding_of_its_row() -> None:
    command = [
        NODE or "node",
        "--input-type=module",
        "-e",
        _CHANCE,
        (_PAGE / "comparing.js").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    within, beyond = json.loads(done.stdout)
    assert within == ["pass", 0, 0]
    assert beyond[:2] == ["fail", 2]
