"""Make the real files that the corpus begins with: `python -m fuzz.make_seeds`.

They are kept in `seeds/`, so that a case is the same file whatever versions are installed.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import parser

from fuzz.corpus import SEEDS
from prelu_tools.cli.main import run

_FORMS = """
<ir_version: 8, opset_import: ["" : 18]>
forms (float[N,3,4,4] x) => (float[N,3,4,4] y)
<float[3,1,1] a = {0.1, -0.2, 0.3}, float[3] f = {0.5, 0.25, 0.125}, float zero = {0},
 float half = {0.5}, int64[2] ax = {1, 2}, float[3,3,1,1] w = {1, 2, 3, 4, 5, 6, 7, 8, 9},
 float[3] b = {0, 1, 2}>
{
    c = Conv(x, w, b)
    u = Unsqueeze(f, ax)
    p = PRelu(c, u)
    r = Relu(p)
    n = Neg(p)
    rn = Relu(n)
    an = Neg(a)
    m = Mul(an, rn)
    k = Add(r, m)
    t = Mul(k, a)
    g = Greater(k, zero)
    s = Where(g, k, t)
    l = LeakyRelu<alpha = 0.2>(s)
    ab = Abs(l)
    lo = Sub(l, ab)
    ml = Mul(lo, a)
    hl = Mul(ml, half)
    rl = Relu(l)
    z = Add(rl, hl)
    y = Max(z, t)
}
"""
_BODIES = """
<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
bodies (float[N,4] x, bool c) => (float[N,4] y, float[N,4] l)
<float[4] a = {0.1, 0.2, 0.3, 0.4}, int64 three = {3}, bool true = {1}>
{
    i = If(c) <
        then_branch = g1 () => (float[N,4] t) { t = PRelu(x, a) },
        else_branch = g2 () => (float[N,4] e) { e = Neg(x) }
    >
    y = own.act(i, a)
    l = Loop(three, true, y) <
        body = g3 (int64 n, bool k, float[N,4] v) => (bool o, float[N,4] w) {
            o = Identity(k)
            w = PRelu(v, a)
        }
    >
}
<opset_import: ["" : 17], domain: "own">
act (x, s) => (y)
{
    y = PRelu(x, s)
}
"""


def _onnx(folder: Path) -> None:
    for name, text in (("forms", _FORMS), ("bodies", _BODIES)):
        onnx.save(parser.parse_model(text), folder / f"{name}.onnx")
    large = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> large (float[N,600] x) => (float[N,600] y) '
        "{ y = PRelu(x, s) }"
    )
    values = np.linspace(-1, 1, 600, dtype=np.float32)
    large.graph.initializer.append(onnx.numpy_helper.from_array(values, "s"))
    onnx.save(large, folder / "large.onnx")
    tensor = large.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    place = {"location": "outside.bin", "offset": "0", "length": "2400"}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "outside.onnx").write_bytes(large.SerializeToString())
    (folder / "outside.bin").write_bytes(values.tobytes())
    old = parser.parse_model(
        '<ir_version: 3, opset_import: ["" : 6]> old (float[1,3,4,4] x, float[3] s) => '
        "(float[1,3,4,4] y) <float[3] s = {0.1, 0.2, 0.3}> { y = PRelu(x, s) }"
    )
    onnx.save(old, folder / "old.onnx")


def _torch_net() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.PReLU(4), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2), nn.PReLU()
    ).eval()


def _torch(folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = _torch_net()
    state = net.state_dict()
    save_file(state, folder / "net.safetensors")
    save_file({"act.weight": torch.rand(4).bfloat16()}, folder / "half.safetensors")
    torch.save(state, folder / "net.pt")
    torch.save({"state_dict": state, "epoch": 3}, folder / "checkpoint.pt")
    torch.save(state, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    x = torch.rand(2, 3, 8, 8)
    batch = torch.export.Dim("batch")
    for name, shapes in (("net.pt2", ({0: batch},)), ("fixed.pt2", None)):
        program = torch.export.export(net, (x,), dynamic_shapes=shapes)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it names folders of this machine
        torch.export.save(program, folder / name)
    path = folder / "torch.onnx"
    torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, verbose=False)
    written = onnx.load(path)
    for made in written.graph.node:
        kept = [entry for entry in made.metadata_props if not entry.key.endswith("stack_trace")]
        del made.metadata_props[:]
        made.metadata_props.extend(kept)
    onnx.save(written, path)
    rows = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    np.savez(folder / "batch.npz", x=rows)
    runs: dict[str, Any] = {f"run{i}/x": rows for i in range(2)}
    np.savez_compressed(folder / "runs.npz", **runs)


def _keras(folder: Path) -> None:
    from prelu_tools.backends.keras.framework import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    inner = keras.Sequential([layers.Input((6, 6, 4)), layers.Conv2D(2, 3), layers.PReLU()])
    net = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3),
            layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal"),
            inner,
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    net.save(folder / "net.keras")
    net.save(folder / "net.h5")
    net.save_weights(folder / "net.weights.h5")
    x = keras.Input((5,))
    twice = layers.PReLU(name="twice")
    functional = keras.Model(x, twice(layers.Dense(5)(twice(x))))
    functional.save(folder / "functional.keras")
    functional.save(folder / "functional.h5")
    functional.save_weights(folder / "functional.weights.h5")
    code = run(["export", str(folder / "net.keras"), "-o", str(folder / "exported.onnx"), "-q"])
    if code:
        raise RuntimeError(f"export ended with {code}")


_TOML = {
    "checks.toml": """
[[checks]]
name = "same"
reference = "forms.onnx"
candidates = ["forms.onnx"]
samples = 1
seed = 3
search_seconds = 0
power = false
tolerance = "calibrated"
input_range = { x = [-1, 1] }

[[checks]]
reference = "forms.onnx"
candidates = ["old.onnx", "nowhere.onnx"]
inputs = "batch.npz"
providers = ["cpu"]
layouts = { candidate = "nchw" }
min_coverage = 0.5
layers = true
""",
    "names.toml": """
[[checks]]
name = "\\u00e9"
reference = "nowhere.keras"
candidates = ["nowhere.onnx"]
input = ["x:batch,3,8,8"]
custom_objects = []
allow_no_prelu = true
tolerance = [1e-4, 1e-6]
""",
}


def _models(folder: Path) -> None:
    """Files of other runtimes, a record and a baseline, for `fuzz/models.py`."""
    sys.path.append(str(SEEDS.parents[1] / "tests" / "rigs" / "files"))
    runtimes, tflite = map(importlib.import_module, ("runtime_files", "tflite_files"))
    folder.mkdir(exist_ok=True)
    tflite.save_prelu_net(folder / "lite.tflite")
    runtimes.save_ncnn_net(folder / "ncnn.param")
    runtimes.save_ncnn_net(folder / "half.param", half=True)
    runtimes.save_openvino_net(folder / "openvino.xml")
    record, baseline = str(folder / "forms.record.npz"), str(folder / "baseline.json")
    quick = ["--search-seconds", "0", "-q", "--samples"]
    with contextlib.chdir(SEEDS):
        forms, renewed = "forms.onnx", ["--baseline", baseline, "--update-baseline"]
        codes = [
            run(["record", forms, "-o", record, "--force", *quick, "2"]),
            run(["verify", forms, forms, *renewed, "--no-power", *quick, "1"]),
        ]
    if any(codes):
        raise RuntimeError(f"record and verify ended with {codes}")


def main() -> None:
    """Make all of them again."""
    SEEDS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _onnx(folder)
        _torch(folder)
        _keras(folder)
        for file, text in _TOML.items():
            (folder / file).write_text(text.lstrip())
        for path in SEEDS.iterdir():
            if path.is_file():
                path.unlink()
        for path in sorted(folder.iterdir()):
            (SEEDS / path.name).write_bytes(path.read_bytes())
            print(f"{path.stat().st_size:9,} {path.name}")
        _models(SEEDS / "models")


if __name__ == "__main__":
    main()
