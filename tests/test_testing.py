"""`prelu_tools.testing`: assertions on live models and on paths."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from library_nets import SHAPE, torch_net
from onnx import numpy_helper

from prelu_tools import verify
from prelu_tools.core.errors import UsageError
from prelu_tools.core.prelu.layout import Layout
from prelu_tools.testing import ParityWarning, assert_parity, assert_slopes_equal

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    path = tmp_path_factory.mktemp("testing") / "net.onnx"
    net = torch_net().eval()
    torch.onnx.export(
        net, (torch.zeros(2, 3, 8, 8),), path, dynamo=False, input_names=["input"],
        dynamic_axes={"input": {0: "batch"}},
    )  # fmt: skip
    return path


def _spoilt(path: Path, scale: float) -> onnx.ModelProto:
    """The model with its first slope multiplied."""
    model = onnx.load(path)
    slope = next(node.input[1] for node in model.graph.node if node.op_type == "PRelu")
    (tensor,) = (t for t in model.graph.initializer if t.name == slope)
    values = numpy_helper.to_array(tensor).copy()
    values.reshape(-1)[0] *= scale
    tensor.CopyFrom(numpy_helper.from_array(values, slope))
    return model


def test_a_live_module_and_its_export_are_equal(exported: Path) -> None:
    result = assert_parity(torch_net(), exported, inputs=SHAPE, min_coverage=1.0, min_power=1.0)
    assert result.verdict == "pass"
    assert result.reference_precision == "float64"


def test_a_model_in_memory_is_taken_too(exported: Path) -> None:
    model = onnx.load(exported)
    assert_parity(torch_net(), model, inputs=SHAPE)
    assert_slopes_equal(torch_net(), model, inputs=SHAPE)


def test_several_candidates_are_compared_and_one_that_differs_is_named(exported: Path) -> None:
    assert_parity(exported, exported, onnx.load(exported), quick=True)
    with pytest.raises(
        AssertionError, match=r"^FAIL  candidate 2 \(ModelProto\): .*1 of 4 slopes"
    ) as raised:
        assert_parity(exported, exported, _spoilt(exported, 2.0), quick=True)
    assert f"{exported} (reference), {exported}, candidate 2 (ModelProto)" in str(raised.value)


def test_a_keyword_that_is_no_option_is_refused(exported: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'sampels'"):
        assert_parity(exported, exported, sampels=1)  # type: ignore[call-arg]


def test_the_shapes_that_a_module_lacks_are_those_of_the_file(exported: Path) -> None:
    for file in (exported, onnx.load(exported)):
        assert_slopes_equal(torch_net(), file)
        assert_parity(torch_net(), file, quick=True)
        assert_parity(file, torch_net(), quick=True)
        with pytest.raises(AssertionError, match="1 of 4 slopes differ"):
            assert_slopes_equal(torch_net(), _spoilt(exported, 2.0))


def test_what_is_missing_is_named_as_python_names_it() -> None:
    with pytest.raises(UsageError, match=re.escape("as input={")):
        assert_slopes_equal(torch_net(), torch_net())


def test_two_modules_of_which_neither_knows_its_shapes_do_not_ask_each_other_for_ever() -> None:
    with pytest.raises(UsageError, match="input shapes of reference"):
        verify(torch_net(), torch_net())
    with pytest.raises(UsageError, match="input shapes of reference"):
        assert_parity(torch_net(), torch_net())


def test_verify_takes_the_shapes_of_a_model_in_memory(exported: Path) -> None:
    assert verify(torch_net(), onnx.load(exported), quick=True).verdict == "pass"


def test_options_have_the_names_that_verify_has_for_them(exported: Path) -> None:
    same = {"input": np.ones((2, 3, 8, 8), np.float32)}
    orders: dict[str, Layout] = {"reference": "nchw", "candidate": "nchw"}
    result = assert_parity(
        torch_net(), exported, input=SHAPE, inputs=same, layers=False, layout=orders
    )
    assert result.samples == 2
    assert result.coverage is None
    assert_slopes_equal(torch_net(), exported, input=SHAPE, layout=orders)
    for check in (assert_parity, assert_slopes_equal):
        with pytest.raises(UsageError, match="layout has an axis order for 'candidate' only"):
            check(torch_net(), exported, input=SHAPE, layout={"candidate": "nchw"})


def test_an_option_under_both_of_its_names_is_refused(exported: Path) -> None:
    with pytest.raises(UsageError, match="input and its older name inputs are both given"):
        assert_parity(torch_net(), exported, input=SHAPE, inputs=SHAPE)
    with pytest.raises(UsageError, match="leave out inputs_file"):
        assert_parity(torch_net(), exported, input=SHAPE, inputs="a.npz", inputs_file="b.npz")
    with pytest.raises(UsageError, match="leave out layouts"):
        assert_slopes_equal(exported, exported, layout={}, layouts={"candidate": "nchw"})


def test_a_path_may_be_text(exported: Path) -> None:
    assert_parity(str(exported), str(exported))


def test_a_wrong_slope_is_said_as_numpy_says_it(exported: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_parity(torch_net(), _spoilt(exported, 1.5), inputs=SHAPE)
    text = str(caught.value)
    assert "Not equal: reference (Sequential), candidate (ModelProto)" in text
    assert "elements differ" in text
    assert "Max absolute difference: " in text
    assert "1 of 4 slopes differ, the largest difference at index 0" in text


def test_the_first_line_is_the_reason_which_is_all_that_a_summary_shows(exported: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_parity(torch_net(), _spoilt(exported, 1.5), inputs=SHAPE)
    first = str(caught.value).partition("\n")[0]
    assert first.startswith("FAIL  candidate (ModelProto): ")
    assert "1 of 4 slopes differ" in first
    assert re.search(r"\(and \d+ more reasons?\)$", first)
    sides = r"Slopes are not equal: reference \(Sequential\), candidate \(ModelProto\)\n"
    with pytest.raises(AssertionError, match=rf"^1: 1 of 4 slopes differ.*\n{sides}"):
        assert_slopes_equal(torch_net(), _spoilt(exported, 1.5), inputs=SHAPE)


def test_a_pass_that_proves_less_warns_at_the_line_of_the_test(exported: Path) -> None:
    with warnings.catch_warnings(record=True) as quiet:
        assert_parity(torch_net(), exported, inputs=SHAPE)
    assert not [one for one in quiet if one.category is ParityWarning]
    net = torch_net()
    net[1].weight.data.fill_(0.25)
    with pytest.warns(ParityWarning, match="all 4 slopes of .* have their initial value") as seen:
        result = assert_parity(net, net, inputs=SHAPE)
    assert [str(one.message) for one in seen] == list(result.warnings)
    assert {one.filename for one in seen} == {__file__}


def test_another_net_fails_and_another_seed_of_inputs_does_not(exported: Path) -> None:
    assert_parity(torch_net(), exported, inputs=SHAPE, seed=7, samples=3)
    with pytest.raises(AssertionError, match="Not equal"):
        assert_parity(torch_net(1), exported, inputs=SHAPE)


def test_slopes_that_differ_are_named(exported: Path) -> None:
    with pytest.raises(AssertionError, match=r"1: 1 of 4 slopes differ"):
        assert_slopes_equal(torch_net(), _spoilt(exported, 1.0001), inputs=SHAPE)


def test_a_layer_that_is_missing_is_named(exported: Path) -> None:
    from torch import nn

    net = torch_net()
    net.append(nn.PReLU())
    with pytest.raises(AssertionError, match=r"missing in"):
        assert_slopes_equal(net, exported, inputs=SHAPE)


def test_nothing_to_compare_never_passes() -> None:
    from torch import nn

    with pytest.raises(AssertionError, match="has a PReLU to compare"):
        assert_slopes_equal(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), inputs=SHAPE)
    conv = nn.Conv2d(3, 3, 1)
    with pytest.raises(AssertionError, match="Not proven equal"):
        assert_parity(conv, conv, inputs=SHAPE)


def test_coverage_and_tolerance_are_gates(exported: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "zeros.npz"
    np.savez(inputs, input=np.zeros((1, 3, 8, 8), np.float32))
    with pytest.raises(AssertionError, match="min_coverage=1 requires more"):
        assert_parity(torch_net(), exported, inputs=SHAPE, inputs_file=inputs, min_coverage=1.0)
    with pytest.raises(AssertionError, match="values differ"):
        assert_parity(torch_net(), exported, inputs=SHAPE, tolerance=(0.0, 1e-12))


def test_the_module_is_left_in_the_mode_that_it_had(exported: Path) -> None:
    net = torch_net().train()
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert_parity(net, exported, inputs=SHAPE)
    assert [module.training for module in net.modules()] == [True, True, True, False]
    assert all(bool((net.state_dict()[name] == value).all()) for name, value in before.items())
