"""Files that are made from nothing, as their formats have them: no real file is changed.

Graphs, tensors, attributes, bodies and functions; pickles as programs; HDF5 and configurations as
trees; archives of them. What is drawn mostly fits together, so that readers get far.
"""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, Final

import h5py
import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

NAMES: Final = (
    "x", "a", "act.weight", "alpha", "layer/alpha:0", "::error::x", "a\nPASS", "=1+1", "\x1b[2J",
    "", "##[error]x", "n" * 3000, "é\u202e", "../x", "prelu", "p_re_lu",
)  # fmt: skip
_OPERATORS: Final = (
    "PRelu", "Relu", "LeakyRelu", "Neg", "Mul", "Add", "Sub", "Max", "Min", "Abs", "Where", "Clip",
    "Identity", "Transpose", "Reshape", "Expand", "Cast", "Constant", "DequantizeLinear", "Conv",
    "Squeeze", "Unsqueeze", "Greater", "Shape", "Act", "If", "Loop", "Scan",
)  # fmt: skip
_INPUTS: Final = {"Where": 3, "Constant": 0, "If": 1, "Loop": 3, "Scan": 2, "Clip": 3}
_TWO: Final = ("PRelu", "Mul", "Add", "Sub", "Max", "Min", "Reshape", "Expand", "Conv", "Greater")


def _name(draw: random.Random) -> str:
    return (
        draw.choice(NAMES) if draw.random() < 0.1 else f"{draw.choice('abcxyz')}{draw.randrange(9)}"
    )


def _array(draw: random.Random) -> Any:
    shape = tuple(draw.choice((0, 1, 1, 2, 3, 4)) for _ in range(draw.randrange(5)))
    kinds = ("float32", "float32", "float64", "float16", "int64", "int32", "int8", "uint8", "bool")
    values = np.random.default_rng(draw.randrange(99)).normal(size=shape) * draw.choice(
        (1, 9, 1e30)
    )
    with np.errstate(all="ignore"):
        return values.astype(draw.choice(kinds))


def _tensor(draw: random.Random, name: str) -> TensorProto:
    tensor = numpy_helper.from_array(_array(draw), name)
    if draw.random() < 0.1:
        tensor.float_data.extend([0.5] * draw.randrange(5))
    if draw.random() < 0.1:
        tensor.dims.append(draw.choice((-1, 1, 2, 1 << 40)))
    if draw.random() < 0.1:
        tensor.data_type = draw.randrange(30)
    if draw.random() < 0.05:
        tensor.data_location = TensorProto.EXTERNAL
        for key in ("location", "offset", "length"):
            value = draw.choice(("case.onnx", "outside.bin", "0", "64", "9" * 50, "../x"))
            tensor.external_data.add(key=key, value=value)
    return tensor


def _attribute(draw: random.Random, depth: int) -> AttributeProto:
    known = ("alpha", "perm", "axes", "to", "value", "value_float", "value_floats", "axis", "body",
             "then_branch", "else_branch", "num_scan_inputs", "min", "max", "group")  # fmt: skip
    name = draw.choice(known)
    if depth < 2 and name in ("body", "then_branch", "else_branch"):
        return helper.make_attribute(name, _graph(draw, depth + 1))
    value = draw.choice(
        (0.5, 1, [0, 1], [1, 0, 2], [0.5, 0.25], _tensor(draw, "v"), "text", 10, 17)
    )
    attribute = helper.make_attribute(name, value)
    if draw.random() < 0.1:
        attribute.type = draw.randrange(15)  # type: ignore[assignment]
    if draw.random() < 0.05:
        attribute.ref_attr_name = "alpha"
    return attribute


def _graph(draw: random.Random, depth: int = 0) -> onnx.GraphProto:
    graph = onnx.GraphProto(name=_name(draw))
    for number in range(draw.randint(1, 3)):
        shape: Any = draw.choice((["n", 3], [1, 3, 4, 4], None, [], [-1, 3], ["n", "n", 3]))
        graph.input.append(helper.make_tensor_value_info(f"x{number}", 1, shape))
    known = [value.name for value in graph.input]
    for _ in range(draw.randrange(5)):
        graph.initializer.append(_tensor(draw, _name(draw)))
        known.append(graph.initializer[-1].name)
    for number in range(draw.choice((1, 3, 6, 12, 80))):
        kind = draw.choice(_OPERATORS)
        count = _INPUTS.get(kind, 2 if kind in _TWO else 1)
        inputs = [draw.choice(known[-6:] if draw.random() < 0.7 else known) for _ in range(count)]
        node = helper.make_node(kind, inputs, [f"t{depth}_{number}"], name=_name(draw))
        if draw.random() < 0.5 or kind in ("Constant", "If", "Loop", "Scan", "Cast"):
            node.attribute.append(_attribute(draw, depth))
        if kind == "Act":
            node.domain = "own"
        if draw.random() < 0.1:
            keys = ("slope_name", "slope_shape", "axes", "layer", "parameter")
            value = draw.choice(("1,0", "3", "9" * 12, _name(draw), ",".join(map(str, range(80)))))
            node.metadata_props.add(key=f"prelu_tools.{draw.choice(keys)}", value=value)
        graph.node.append(node)
        known.append(node.output[0])
    graph.output.append(helper.make_tensor_value_info(known[-1], 1, None))
    return graph


def _onnx(draw: random.Random) -> bytes:
    body = [helper.make_node("PRelu", ["v", "s"], ["o"])]
    slope = helper.make_node("Constant", [], ["s"])
    slope.attribute.add(name="value_floats", type=AttributeProto.FLOATS, ref_attr_name="slopes")
    version = draw.choice((6, 7, 11, 13, 16, 18, 21, 99))
    opsets = [helper.make_opsetid("", version)]
    own = helper.make_function("own", "Act", ["v"], ["o"], [slope, *body], opsets)
    own.attribute_proto.append(helper.make_attribute("slopes", [0.5, 0.25, 0.125]))
    model = helper.make_model(
        _graph(draw), opset_imports=[*opsets, helper.make_opsetid("own", 1)], functions=[own],
        ir_version=draw.randint(3, 12),
    )  # fmt: skip
    return model.SerializeToString()


def _value(draw: random.Random, depth: int = 0) -> Any:
    """A value of Python's own types, nested, and now and then of itself."""
    kind = draw.randrange(9 if depth < 4 else 5)
    if kind < 5:
        return (draw.randrange(-9, 9), _name(draw), None, draw.random() * 1e9, b"bytes")[kind]
    inner = [_value(draw, depth + 1) for _ in range(draw.randrange(5))]
    if kind == 5:
        return tuple(inner)
    if kind == 6:
        return bytearray(draw.randrange(9))
    if kind == 7:
        return [*inner, inner]
    keys = ("state_dict", "model", "weight", "act.weight", _name(draw), (1, (2, 3)))
    return {draw.choice(keys): item for item in inner}


def _pt(draw: random.Random) -> bytes:
    content = bytearray(pickle.dumps(_value(draw), draw.choice((2, 2, 2, 4))))
    for _ in range(draw.choice((0, 0, 1, 3))):
        content.insert(
            draw.randrange(len(content)), draw.choice(b"()0.2IJKMNRbcdehjlopqrstu]}\x85\x86")
        )
    names = ("archive/data.pkl", "archive/version", "archive/byteorder", "archive/data/0")
    return _zip(draw, {**dict.fromkeys(names[1:], b"3"), names[0]: bytes(content)})


def _zip(draw: random.Random, members: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            compression = draw.choice((0, 0, 8, 12, 14))
            placed = name if draw.random() < 0.97 else f"../{name}"
            info = zipfile.ZipInfo(placed, (1980, 1, 1, 0, 0, 0))  # the same bytes at any time
            archive.writestr(info, content, compression)
    return (b"junk" if draw.random() < 0.03 else b"") + out.getvalue()


def _config(draw: random.Random, depth: int = 0) -> Any:
    kinds = (
        "Functional",
        "Sequential",
        "PReLU",
        "Dense",
        "InputLayer",
        "Lambda",
        "TFSMLayer",
        "Own",
    )
    modules = ("keras.layers", "keras", "keras.src.models", "os", "builtins", None)
    inner: dict[str, Any] = {
        "name": _name(draw), "units": draw.choice((3, -1, 10**12, "x")), "shared_axes": [1, 2],
        "batch_shape": draw.choice(([None, 3], [None, 4, 4, 3], "x", None)),
    }  # fmt: skip
    if depth < 3:
        inner["layers"] = [_config(draw, depth + 1) for _ in range(draw.randrange(4))]
    kind = draw.choice(kinds)
    return {
        "class_name": kind,
        "module": draw.choice(modules),
        "config": inner,
        "name": _name(draw),
    }


def _h5(draw: random.Random) -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        if draw.random() < 0.5:
            file.attrs["model_config"] = json.dumps(_config(draw))
        file.attrs["layer_names"] = [b"p", b"act"][: draw.randrange(3)]
        places = (
            "layers/p_re_lu/vars/0",
            "layers/a/vars/1",
            "p/p/alpha:0",
            "model_weights/p/alpha",
        )
        for place in draw.sample(places, draw.randrange(1, 5)):
            made = file.create_dataset(place, data=_array(draw))
            if draw.random() < 0.3:
                made.attrs["dtype"] = draw.choice(("bfloat16", "float8_e4m3fn", "object", "x"))
            made.parent.attrs["weight_names"] = [b"alpha", b"p/alpha:0"][: draw.randrange(3)]
            made.parent.attrs["name"] = draw.choice(("p", "", "a/b"))
        if draw.random() < 0.1:
            file["link"] = draw.choice((h5py.SoftLink("/"), h5py.ExternalLink("x.h5", "/a")))
    return out.getvalue()


def _keras(draw: random.Random) -> bytes:
    config = json.dumps(_config(draw)).encode()
    members = {"config.json": config, "metadata.json": b"{}", "model.weights.h5": _h5(draw)}
    return _zip(draw, members)


def _safetensors(draw: random.Random) -> bytes:
    header, data = {}, b""
    for _ in range(draw.randrange(5)):
        values = np.atleast_1d(_array(draw).astype(np.float32))
        ends = [len(data), len(data) + values.nbytes + draw.choice((0, 0, 0, 4, -4))]
        kind = draw.choice(("F32", "F32", "BF16", "X"))
        header[_name(draw)] = {"dtype": kind, "shape": list(values.shape), "data_offsets": ends}
        data += values.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) + draw.choice((0, 0, 0, 1, 1 << 40))) + text + data


def _npz(draw: random.Random) -> bytes:
    members = {}
    for _ in range(draw.randrange(1, 4)):
        out = io.BytesIO()
        np.save(out, _array(draw))
        members[f"{draw.choice(('x', 'image', _name(draw)))}.npy"] = out.getvalue()
    return _zip(draw, members)


def _pt2(draw: random.Random) -> bytes:
    names = ("models/model.json", "data/weights/model.pt", "archive_version",
             "data/sample_inputs/a.pt",
             "data/weights/model_weights_config.json", "extra/x", "byteorder")  # fmt: skip
    contents = (json.dumps(_config(draw)).encode(), pickle.dumps(_value(draw), 2), b"0")
    return _zip(draw, {f"net/{name}": draw.choice(contents) for name in draw.sample(names, 5)})


def _toml(draw: random.Random) -> bytes:
    lines = []
    for _ in range(draw.randrange(1, 4)):
        lines.append("[[checks]]")
        for key in ("reference", "candidates", "name", "samples", draw.choice(("seed", "x"))):
            values = ("forms.onnx", "*.onnx", "{stem}.onnx", _name(draw), 3, ["old.onnx"], True)
            lines.append(f"{key} = {json.dumps(draw.choice(values))}")
    return "\n".join(lines).encode("utf-8", "replace")


MAKERS: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    ".onnx": _onnx, ".keras": _keras, ".h5": _h5, ".weights.h5": _h5, ".pt": _pt, ".pt2": _pt2,
    ".safetensors": _safetensors, ".npz": _npz, ".toml": _toml,
}  # fmt: skip
"""What makes a file of each kind."""
