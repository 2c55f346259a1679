"""Keras models whose inputs and outputs become channels first, and what `verify` knows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from running import cli

import prelu_tools
from prelu_tools import UsageError
from prelu_tools.graph.io.metadata import OUTPUT_AXES, stated_boundary

pytestmark = pytest.mark.keras

NETS = '''
import keras
import numpy as np

L = keras.layers


def drawn(inputs, outputs):
    model, generator = keras.Model(inputs, outputs), np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.uniform(-0.5, 0.5, weight.shape))
    return model


def picture(*sizes, name="y"):
    """An image for an image, of one channel less."""
    x = keras.Input(sizes, name="x")
    wide = L.PReLU(shared_axes=[1, 2], name="a")(L.Conv2D(6, 3, padding="same")(x))
    low = L.PReLU(shared_axes=[1, 2], name="b")(L.Conv2D(4, 3, 2, padding="same")(wide))
    back = L.Concatenate()([wide, L.Conv2DTranspose(5, 2, 2)(low)])
    return drawn(x, {name: L.Conv2D(max(1, sizes[-1] - 1), 3, padding="same")(back)})


def cube():
    x = keras.Input((4, 4, 4), name="x")
    y = L.PReLU(shared_axes=[1, 2], name="a")(L.Conv2D(4, 3, padding="same")(x))
    return drawn(x, {"y": L.Conv2D(4, 3, padding="same")(y)})


def heads():
    """An image, and what is none: boxes and scores; and its input as it is."""
    x = keras.Input((8, 4, 3), name="x")
    y = L.PReLU(shared_axes=[1, 2], name="a")(L.Conv2D(4, 3, padding="same")(x))
    boxes = L.Reshape((-1, 4))(L.Conv2D(8, 3, 4)(y))
    scores = L.Dense(5)(L.GlobalAveragePooling2D()(y))
    return drawn(x, {"mask": y, "boxes": boxes, "scores": scores, "same": x})


def large():
    """Weights of ranks 4 and 3 that are too large to be constants during the conversion."""
    x = keras.Input((8, 4, 3), name="x")
    y = L.PReLU(shared_axes=[1, 2], name="a")(L.Conv2D(32, 3, padding="same")(x))
    y = L.PReLU(shared_axes=[1, 2], name="b")(L.Conv2D(64, 3, padding="same")(y))
    boxes = L.Conv1D(96, 3)(L.Reshape((-1, 64))(y))
    return drawn(x, {"mask": y, "boxes": boxes})


def generator():
    z = keras.Input((5,), name="x")
    y = L.Reshape((4, 2, 3))(L.PReLU(name="a")(L.Dense(24)(z)))
    return drawn(z, {"y": L.Conv2DTranspose(2, 2, 2)(y)})


def vector():
    x = keras.Input((8, 4, 3), name="x")
    return drawn(x, {"y": L.Dense(2)(L.PReLU()(L.GlobalAveragePooling2D()(x)))})


def sound():
    x = keras.Input((16, 2), name="x")
    y = L.PReLU(shared_axes=[1], name="a")(L.Conv1D(4, 3, padding="same")(x))
    return drawn(x, {"y": L.Conv1D(3, 3, padding="same")(y)})


def volume():
    x = keras.Input((4, 5, 6, 2), name="x")
    y = L.PReLU(shared_axes=[1, 2, 3], name="a")(L.Conv3D(4, 3, padding="same")(x))
    return drawn(x, {"y": L.Conv3D(3, 3, padding="same")(y)})


class Unsized(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.last = (L.Conv2D(4, 3, padding="same") for _ in range(2))
        self.act = L.PReLU("ones", shared_axes=[1, 2])

    def call(self, x):
        return self.last(self.act(self.first(x)))
'''
FIRST, BOTH = (0, 3, 1, 2), {"input_layout": "nchw", "output_layout": "nchw"}


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layouts") / "nets_with_layouts.py"
    path.write_text(NETS)
    return path


def _exported(source: str, path: Path, **options: object) -> onnx.ModelProto:
    found = prelu_tools.export(source, path, quick=True, force=True, **options)  # type: ignore[arg-type]
    assert found.verification is not None
    assert found.verification.verdict == "pass"
    return onnx.load(path)


def _verdict(reference: object, candidate: object) -> str:
    return prelu_tools.verify(str(reference), str(candidate), quick=True).verdict


def _sizes(model: onnx.ModelProto) -> dict[str, list[int | str]]:
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }


def _count(model: onnx.ModelProto) -> int:
    return Counter(node.op_type for node in model.graph.node)["Transpose"]


@pytest.mark.parametrize(
    ("net", "sizes", "transposes"),
    [
        ("picture(8,6,3)", {"x": [3, 8, 6], "y": [2, 8, 6]}, 0),
        ("picture(8,6,1)", {"x": [1, 8, 6], "y": [1, 8, 6]}, 0),
        ("cube()", {"x": [4, 4, 4], "y": [4, 4, 4]}, 0),
        ("sound()", {"x": [2, 16], "y": [3, 16]}, 0),
        ("volume()", {"x": [2, 4, 5, 6], "y": [3, 4, 5, 6]}, 0),
        ("large()", {"x": [3, 8, 4], "mask": [64, 8, 4], "boxes": [30, 96]}, 3),
        (
            "heads()", {"x": [3, 8, 4], "mask": [4, 8, 4], "boxes": [4, 4], "scores": [5],
                        "same": [3, 8, 4]}, 2,  # of the boxes and of the scores, as without it
        ),
    ],
)  # fmt: skip
def test_both_ends_are_channels_first_and_verify_needs_no_option(
    nets: Path, tmp_path: Path, net: str, sizes: Mapping[str, list[int]], transposes: int
) -> None:
    path = tmp_path / "net.onnx"
    model = _exported(f"{nets}:{net}", path, **BOTH)
    assert _sizes(model) == {name: ["batch", *own] for name, own in sizes.items()}
    assert _count(model) == transposes
    assert not any(node.op_type == "Reshape" for node in model.graph.node) or net in (
        "heads()",
        "large()",
    )
    assert _verdict(f"{nets}:{net}", path) == "pass"


def test_outputs_alone_are_moved_and_the_file_says_so(nets: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = _exported(f"{nets}:picture(8,6,3)", path, output_layout="nchw")
    assert _sizes(model) == {"x": ["batch", 8, 6, 3], "y": ["batch", 2, 8, 6]}
    assert _count(model) == 1  # of the input
    assert stated_boundary(model).outputs == {"y": FIRST}
    assert not stated_boundary(model).inputs
    assert _verdict(f"{nets}:picture(8,6,3)", path) == "pass"
    plain = _exported(f"{nets}:generator()", path, output_layout="nchw")
    assert _sizes(plain) == {"x": ["batch", 5], "y": ["batch", 2, 8, 4]}
    assert _count(plain) == 1  # of what Dense made, which nothing else needs


def test_free_sizes_opsets_and_float16(nets: Path, tmp_path: Path) -> None:
    path, net = tmp_path / "net.onnx", f"{nets}:picture(None,None,3)"
    sizes = {"x": ("batch", "h", "w", 3)}
    model = _exported(net, path, input=sizes, opset=13, dtype="float16", **BOTH)
    assert [size[:2] for size in _sizes(model).values()] == [["batch", 3], ["batch", 2]]
    assert _count(model) == 0
    found = prelu_tools.verify(net, path, input=sizes, quick=True)
    assert found.verdict == "pass", found.reasons


@pytest.mark.parametrize("net", ["picture(8,6,3)", "cube()"])
def test_a_file_that_is_not_as_it_says_or_does_not_say_it_fails(
    nets: Path, tmp_path: Path, net: str
) -> None:
    path = tmp_path / "net.onnx"
    silent = _exported(f"{nets}:{net}", path, output_layout="nchw")
    swapped = onnx.ModelProto.FromString(silent.SerializeToString())
    last = next(node for node in swapped.graph.node if node.output[0] == "y")
    last.output[0] = "before"
    swapped.graph.node.append(helper.make_node("Transpose", ["before"], ["y"], perm=[0, 1, 3, 2]))
    entry = next(one for one in silent.metadata_props if one.key == OUTPUT_AXES)
    silent.metadata_props.remove(entry)
    for name, model in (("silent", silent), ("swapped", swapped)):
        onnx.save(model, tmp_path / f"{name}.onnx")
        assert _verdict(f"{nets}:{net}", tmp_path / f"{name}.onnx") == "fail", name


def test_files_made_from_the_file_say_it_too(nets: Path, tmp_path: Path) -> None:
    """An export of the export, `optimize`, a record; and exports are compared with each other."""
    net, path = f"{nets}:cube()", tmp_path / "net.onnx"
    _exported(net, path, output_layout="nchw")
    again, fast, kept = (tmp_path / name for name in ("again.onnx", "fast.onnx", "kept.onnx"))
    _exported(str(path), again)
    assert stated_boundary(onnx.load(again)) == stated_boundary(onnx.load(path))
    prelu_tools.optimize(path, fast, tune=False)
    _exported(net, kept)
    prelu_tools.record(net, tmp_path / "net.npz", samples=2, search_seconds=0)
    pairs = [(net, again), (net, fast), (path, again), (path, kept), (kept, path)]
    for reference, candidate in (*pairs, (tmp_path / "net.npz", path)):
        assert _verdict(reference, candidate) == "pass", (reference, candidate)


def test_a_model_without_sizes_takes_them_in_its_own_order(nets: Path, tmp_path: Path) -> None:
    net, path = f"{nets}:Unsized()", tmp_path / "net.onnx"
    _exported(net, path, input={"x": ("batch", 6, 5, 3)}, **BOTH)
    assert prelu_tools.verify(net, path, quick=True).verdict == "pass"
    assert prelu_tools.verify(path, net, quick=True).verdict == "pass"


def test_a_layout_that_nothing_has_is_refused_but_not_of_many_models(
    nets: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"^output_layout is for outputs of rank 4 or more, .*y:b"):
        prelu_tools.export(f"{nets}:vector()", tmp_path / "a.onnx", output_layout="nchw")
    found = cli("export", f"{nets}:generator()", "-o", tmp_path / "a.onnx", "--input-layout",
                "nchw", "--no-verify")  # fmt: skip
    assert found.code == 2
    said = "--input-layout is for inputs of rank 3 or more, but"
    assert said in found.err
    assert "has none (x:batch,5): leave it out" in found.err
    assert list(tmp_path.iterdir()) == []
    sources = [f"{nets}:generator()", f"{nets}:sound()"]
    many = cli("export", *sources, "-o", f"{tmp_path}/", "--input-layout", "nchw", "--no-verify")
    assert many.code == 0, many.err


def test_values_are_those_of_the_model_in_the_other_order(nets: Path, tmp_path: Path) -> None:
    """Against Keras itself, by nothing of the tool."""
    import onnxruntime

    from prelu_tools.backends.source_spec import build_object, parse_source_spec

    path, net = tmp_path / "net.onnx", f"{nets}:picture(8,6,3)"
    _exported(net, path, **BOTH)
    x = np.random.default_rng(0).normal(size=(2, 8, 6, 3)).astype(np.float32)
    expected = np.asarray(build_object(parse_source_spec(net))(x)["y"])
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"x": x.transpose(FIRST)})
    assert np.allclose(found, expected.transpose(FIRST), atol=1e-4)
