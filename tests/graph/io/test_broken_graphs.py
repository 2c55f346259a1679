"""Graphs that no runtime would load are refused in a sentence, and what is odd is read."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_text import SLOPES, model
from onnx import helper, parser
from running import cli

from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.graph.facts.survey import survey
from prelu_tools.graph.io.reader import read_model

FORM = "r = Relu(x) {} y = Add(r, s)"
CHAIN = 1500


def _read(proto: onnx.ModelProto, folder: Path) -> int:
    """How many layers `inspect -v` finds in the file of a model."""
    path = folder / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return len(survey(read_model(path), explain=True, target="tensorrt").layers)


def _refusal(proto: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(PReLUToolsError) as caught:
        _read(proto, folder)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500 + len(str(folder))
    return text


def _chain(first: str, link: str, length: int = CHAIN) -> str:
    """`first` makes t0, and every link makes t{next} of t{last}."""
    links = (link.format(last=i, next=i + 1) for i in range(length))
    return f"{first} {' '.join(links)}"


NEEDED = {"Identity": 1, "Neg": 1, "Mul": 2, "Div": 2, "Clip": 1, "Conv": 2, "Transpose": 1,
          "Relu": 1, "Min": 1, "Reshape": 2}  # fmt: skip


@pytest.mark.parametrize(("operator", "left"), itertools.product(NEEDED, (0, 1)))
def test_a_node_without_its_inputs(operator: str, left: int, tmp_path: Path) -> None:
    proto = model(FORM.format("s = Mul(x, a)"))
    proto.graph.node[1].op_type = operator
    del proto.graph.node[1].input[left:]
    if left >= NEEDED[operator]:
        _read(proto, tmp_path)
        return
    text = _refusal(proto, tmp_path)
    assert f"node 's' ('{operator}') lacks one of its {NEEDED[operator]} inputs" in text


@pytest.mark.parametrize("inputs", [[], ["x"], ["x", ""], ["", "a"]])
def test_a_prelu_without_its_inputs(inputs: list[str], tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)")
    proto.graph.node[0].input[:] = inputs
    assert "node 'y' ('PRelu') lacks one of its 2 inputs" in _refusal(proto, tmp_path)


def test_a_prelu_without_its_inputs_in_a_body_or_a_function(tmp_path: Path) -> None:
    for proto in (_with_body(), _with_functions(1)):
        inner = proto.functions[0] if proto.functions else proto.graph.node[0].attribute[0].g
        del inner.node[0].input[1:]
        assert "lacks one of its 2 inputs" in _refusal(proto, tmp_path)


def test_a_node_with_more_inputs_than_its_operator_has(tmp_path: Path) -> None:
    proto = model("r = Mul(x, a) y = PRelu(r, a)")
    proto.graph.node[0].input.append("x")
    assert "node 'r' ('Mul') has 3 inputs, but may have at most 2" in _refusal(proto, tmp_path)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ([], "node '' ('PRelu') has no output"),
        ([""], "its output 'y' is not produced by any node"),
        (["x"], "tensor 'x' is produced twice"),
        (["r"], "tensor 'r' is produced twice"),
        (["y", "y"], "tensor 'y' is produced twice"),
        (["a"], "tensor 'a' is produced twice"),
    ],
)
def test_a_prelu_with_other_outputs(outputs: list[str], words: str, tmp_path: Path) -> None:
    proto = model("r = Relu(x) y = PRelu(r, a)")
    proto.graph.node[1].output[:] = outputs
    assert words in _refusal(proto, tmp_path)


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)")
    proto.graph.initializer.append(proto.graph.initializer[0])
    assert "tensor 'a' is stored twice" in _refusal(proto, tmp_path)


def test_an_input_that_nothing_makes(tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)")
    proto.graph.node[0].input[0] = "nowhere"
    assert "node 'y' ('PRelu') reads 'nowhere', which nothing produces" in _refusal(proto, tmp_path)


def test_nodes_in_any_order_are_read(tmp_path: Path) -> None:
    proto = model(_chain("t0 = PRelu(x, a)", "t{next} = Relu(t{last})") + f" y = Neg(t{CHAIN})")
    nodes = list(proto.graph.node)
    for order in (nodes[::-1], nodes[1::2] + nodes[::2]):
        del proto.graph.node[:]
        proto.graph.node.extend(order)
        assert _read(proto, tmp_path) == 1


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.zeros(0, np.float32), 0),
        (np.array([1, 2, 3]), 1),
        (np.array(["a"], object), 0),
        (np.ones((1,) * 9), 1),
        (np.array([1j]), 0),
        (np.array([True]), 0),
    ],
    ids=["empty", "integers", "text", "nine axes", "complex", "truth"],
)
def test_a_slope_of_an_odd_kind(values: np.ndarray, found: int, tmp_path: Path) -> None:
    assert _read(model("y = PRelu(x, b)", constants={"b": values}), tmp_path) == found


@pytest.mark.parametrize("dims", [(2**40, 2**40), (-1,), (2**63 - 1, 2), (1,) * 65, (4,)])
@pytest.mark.parametrize("name", ["a", "w"], ids=["slope", "weight"])
def test_a_tensor_of_an_impossible_shape(dims: tuple[int, ...], name: str, tmp_path: Path) -> None:
    proto = model("c = Mul(x, w) y = PRelu(c, a)", constants={"w": np.ones((3, 1, 1), np.float32)})
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    tensor.dims[:] = dims
    assert f"tensor '{name}'" in _refusal(proto, tmp_path)


def test_an_input_of_more_axes_than_numpy_has(tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)", inputs=f"float[{','.join('1' * 400)}] x", outputs="float y")
    assert _read(proto, tmp_path) == 1


def test_a_slope_of_more_axes_than_the_transpose_around_it(tmp_path: Path) -> None:
    body = (
        "q = Min(x, zero) t = Transpose<perm = [0, 3, 1, 2]>(q) m = Mul(t, b) "
        "s = Transpose<perm = [0, 2, 3, 1]>(m)"
    )
    proto = model(FORM.format(body), constants={"b": SLOPES.reshape(1, 1, 1, 1, 3)})
    assert _read(proto, tmp_path) == 0


@pytest.mark.parametrize("tensor", ["the slope", "a factor", "the input"])
def test_a_tensor_that_is_made_of_itself(tensor: str, tmp_path: Path) -> None:
    proto = model("r = Relu(x) s = Mul(x, a) y = Add(r, s)" if tensor == "a factor" else
                  "y = PRelu(x, a)")  # fmt: skip
    if tensor == "a factor":
        proto.graph.node[-2].input[0] = "s"
    else:
        place = int(tensor == "the slope")
        proto.graph.node[0].input[place] = "p"
        for source, target in (("q", "p"), ("p", "q")):
            proto.graph.node.append(helper.make_node("Identity", [source], [target]))
    assert "is part of a cycle" in _refusal(proto, tmp_path)


def _with_body() -> onnx.ModelProto:
    return parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float[N,3] x, bool c) => (float[N,3] y) '
        "<float[3] a = {1, 2, 3}> { y = If(c) <then_branch = t () => (float[N,3] z) "
        "{ z = PRelu(x, a) }, else_branch = e () => (float[N,3] w) { w = Neg(x) }> }"
    )


def test_a_circle_through_a_body(tmp_path: Path) -> None:
    proto = _with_body()
    proto.graph.node[0].attribute[0].g.node[0].input[0] = "y"
    assert "is part of a cycle" in _refusal(proto, tmp_path)


def test_a_body_that_makes_a_tensor_of_one_that_has_its_name_outside(tmp_path: Path) -> None:
    """Its own hides the other one: read as that, it never ended."""
    proto = _with_body()
    proto.graph.node.insert(0, helper.make_node("Neg", ["x"], ["z"]))
    proto.graph.node[1].attribute[0].g.node[0].input[0] = "z"
    assert "is part of a cycle" in _refusal(proto, tmp_path)


def _with_functions(depth: int, calls: int = 1) -> onnx.ModelProto:
    """Each function calls the next one so often; the last is a PRelu."""
    functions = []
    for level in range(depth):
        names = ["x", *(f"t{i}" for i in range(calls - 1)), "y"]
        operator = "PRelu" if level == depth - 1 else f"own.f{level + 1}"
        body = " ".join(
            f"{target} = {operator}({source}, s)" for source, target in itertools.pairwise(names)
        )
        functions.append(
            f'<opset_import: ["": 18, "own": 1], domain: "own"> f{level} (x, s) => (y) {{ {body} }}'
        )
    return parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18, "own": 1]> g (float[N,3] x) => (float[N,3] y) '
        "<float[3] a = {1, 2, 3}> { y = own.f0(x, a) } " + " ".join(functions)
    )


def test_functions_in_functions_are_read(tmp_path: Path) -> None:
    assert _read(_with_functions(3, calls=2), tmp_path) == 1


def test_functions_that_multiply_are_refused(tmp_path: Path) -> None:
    assert "its functions, inlined, take more than" in _refusal(
        _with_functions(30, calls=10), tmp_path
    )


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    proto = _with_functions(2)
    proto.functions[1].node[0].op_type = "f0"
    proto.functions[1].node[0].domain = "own"
    assert "calls itself" in _refusal(proto, tmp_path)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (_chain("t0 = Identity(a)", "t{next} = Identity(t{last})") + f" y = PRelu(x, t{CHAIN})", 1),
        (_chain("t0 = Identity(x)", "t{next} = Identity(t{last})") + f" y = PRelu(t{CHAIN}, a)", 1),
        (_chain("r = Relu(x) t0 = Mul(x, half)", "t{next} = Mul(t{last}, half)")
         + f" y = Add(r, t{CHAIN})", 0),
        (_chain("r = Relu(x) t0 = Mul(x, half)", "t{next} = Add(t{last}, r)")
         + f" y = Add(r, t{CHAIN})", 0),
    ],
    ids=["of constants", "of identities", "of factors", "of sums"],
)  # fmt: skip
def test_a_long_chain(body: str, found: int, tmp_path: Path) -> None:
    assert _read(model(body), tmp_path) == found


def test_a_chain_of_other_nodes_may_be_of_any_length(tmp_path: Path) -> None:
    body = _chain("t0 = PRelu(x, a)", "t{next} = Sin(t{last})") + f" y = PRelu(t{CHAIN}, a)"
    assert _read(model(body), tmp_path) == 1


def test_what_is_used_twice_is_looked_at_once(tmp_path: Path) -> None:
    """2^60 looks otherwise."""
    links = _chain("t0 = Identity(a)", "t{next} = DequantizeLinear(t{last}, t{last})", 60)
    _read(model(f"{links} y = PRelu(x, t60)"), tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "b = Expand(a, big) n = Neg(b) y = PRelu(x, n)",
        "r = Relu(x) n = Neg(x) q = Relu(n) m = Mul(q, row) k = Mul(m, column) y = Sub(r, k)",
    ],
    ids=["expanded", "multiplied"],
)
def test_a_constant_that_would_fill_the_memory(body: str, tmp_path: Path) -> None:
    line = np.ones(1 << 20, np.float32)
    constants = {"big": np.array([3, 1 << 20, 1 << 20]), "row": line, "column": line[:, None]}
    assert "it would need too much memory" in _refusal(model(body, constants=constants), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pkg.torch.onnx.name_scopes", "[" * 5000),
        ("pkg.torch.onnx.name_scopes", "-" * 9000 + "1"),
        ("prelu_tools.axes", "9" * 5000),
        ("prelu_tools.axes", "0," * 5000),
        ("prelu_tools.slope_shape", "9" * 5000),
    ],
)
def test_metadata_without_sense(key: str, value: str, tmp_path: Path) -> None:
    proto = model("y = PRelu(x, a)")
    for name, text in ((key, value), ("prelu_tools.slope_name", "s"), ("prelu_tools.layer", "l")):
        proto.graph.node[0].metadata_props.add(key=name, value=text)
    proto.graph.node[0].name = "l_" + "9" * 5000
    assert _read(proto, tmp_path) == 1


@pytest.mark.parametrize(
    ("body", "name"),
    [("t = Cast(x) y = PRelu(t, a)", "to"), ("t = Concat(x, x) y = PRelu(t, a)", "axis")],
)
def test_an_attribute_that_is_needed_and_left_out(body: str, name: str, tmp_path: Path) -> None:
    assert f"lacks its attribute '{name}'" in _refusal(model(body), tmp_path)


def test_a_layer_of_one_input_is_no_defect(tmp_path: Path) -> None:
    proto = model("t = Relu(x) y = PRelu(t, a)")
    proto.graph.node[0].metadata_props.add(key="prelu_tools.layer", value="l")
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    found = cli("export", path, "-o", tmp_path / "made.onnx")
    assert found.code == 0, found.words
