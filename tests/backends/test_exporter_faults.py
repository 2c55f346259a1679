"""What exporters get wrong: names, pads, nested outputs; and inputs that are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from torch_nets import export, write_nets

from prelu_tools.commands.export.command import export as export_source
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import InputOption, SourceOptions

_NETS = """
import keras
from keras import layers as L


def head(start):
    keras.utils.set_random_seed(2)
    return L.PReLU(alpha_initializer=keras.initializers.Constant(-0.3), name="act")(start)


def upsampled(kernel, stride, padding, rank=2):
    start = keras.Input((*[5] * rank, 2))
    layer = getattr(L, f"Conv{rank}DTranspose")
    return keras.Model(start, layer(3, kernel, strides=stride, padding=padding)(head(start)))


@keras.saving.register_keras_serializable("faults")
class Elu(L.Layer):
    def call(self, x):
        return keras.ops.where(x > 0, x, keras.ops.exp(100 * x) - 1)


def chosen():
    start = keras.Input((4,), name="x")
    return keras.Model(start, L.Dense(2)(Elu()(head(start))))


def nested(how):
    start = keras.Input((4,), name="x")
    x = head(start)
    a, b, c = L.Dense(3)(x), L.Dense(2)(x), L.Dense(1)(x)
    outputs = {
        "lists": {"levels": [a, b], "score": c},
        "mappings": {"cls": a, "box": {"xy": b, "wh": c}},
        "a list of mappings": [{"a": a, "b": b}, {"a": c}],
        "a name of an input": {"x": a, "y": b},
    }[how]
    return keras.Model(start, outputs)
"""

NESTED = {
    "lists": ["levels.0", "levels.1", "score"],
    "mappings": ["cls", "box.xy", "box.wh"],
    "a list of mappings": ["0.a", "0.b", "1.a"],
    "a name of an input": ["x_1", "y"],
}


def _written(source: str, folder: Path, *inputs: InputOption) -> Any:
    options = SourceOptions(inputs=inputs)
    request = ExportRequest(source, folder / "out.onnx", force=True, options=options)
    result = export_source(request)
    assert result.verification is not None
    return onnx.load(result.path).graph


@pytest.mark.parametrize("how", NESTED)
def test_nested_outputs_are_named_by_the_keys_that_lead_to_them(nets: Path, how: str) -> None:
    graph = _written(f"{nets}:nested({how!r})", nets.parent)
    assert [value.name for value in graph.output] == NESTED[how]


def test_what_is_not_chosen_may_be_infinite(nets: Path) -> None:
    """tf2onnx adds products with a mask, and 0 times infinity is NaN."""
    graph = _written(f"{nets}:chosen()", nets.parent)
    assert "Where" in {node.op_type for node in graph.node}


@pytest.mark.parametrize(
    "arguments",
    ["3, 4, 'same'", "2, 5, 'same'", "1, 3, 'valid'", "(3, 2), (2, 4), 'same'", "2, 3, 'same', 1"],
)
def test_a_transposed_convolution_may_have_a_stride_larger_than_its_kernel(
    nets: Path, arguments: str
) -> None:
    graph = _written(f"{nets}:upsampled({arguments})", nets.parent)
    (node,) = (node for node in graph.node if node.op_type == "ConvTranspose")
    pads = [pad for a in node.attribute if a.name == "pads" for pad in a.ints]
    assert min([0, *pads]) == 0


@pytest.mark.parametrize(
    "name", ["linear", "prelu", "act.weight", "val_0", "fc.bias", "p_inner_fc_bias"]
)
def test_an_output_may_have_the_name_of_a_value_inside(tmp_path: Path, name: str) -> None:
    code = f"""

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.act, self.last = nn.Linear(3, 3), prelu(0.5, -0.25, 2.0), nn.Linear(3, 2)

    def forward(self, linear):
        return {{{name!r}: self.last(self.act(self.fc(linear))) + 1.0}}

    def example_inputs(self):
        return (torch.zeros(2, 3),)
"""
    found = export(f"{write_nets(tmp_path / 'named.py', code)}:Net")
    assert found.outputs == ["linear_1" if name == "linear" else name]
    assert list(found.inputs) == ["linear"]
    assert [values.tolist() for values in found.slopes.values()] == [[0.5, -0.25, 2.0]]


def test_sizes_that_are_given_for_a_keras_model_are_written(nets: Path) -> None:
    graph = _written(f"{nets}:nested('lists')", nets.parent, InputOption("x", (3, 4)))
    (value,) = graph.input
    assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [3, 4]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (InputOption("y", ("batch", 4)), "--input y: .* takes x$"),
        (InputOption("x", ("batch", 5)), "takes x:batch,4"),
        (InputOption("x", ("batch", 4, 4)), "has 3 dimensions; the model's input has 2"),
        (InputOption("x", ("batch", "width")), "takes x:batch,4"),
    ],
)
def test_an_input_that_a_keras_model_cannot_take_is_refused(
    nets: Path, option: InputOption, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        _written(f"{nets}:nested('lists')", nets.parent, option)
