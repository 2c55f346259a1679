"""Whatever a module takes and returns, the graph has its tensors under the source's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch_nets import export, try_export, write_nets

pytestmark = pytest.mark.torch

_NETS = """

class Pair(NamedTuple):
    image: torch.Tensor
    mask: torch.Tensor


def zeros(*sizes):
    return torch.zeros(1, 3, *sizes)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = prelu(0.5, -0.5, 2.0)


class Nested(Net):
    def forward(self, pair, batch, *more, scale=None, flip=False, **rest):
        x = self.act(pair[0]) * pair[1][0] + self.act(batch.image) * batch.mask
        assert scale is None and flip
        return x + more[0] + self.act(rest["extra"]["deep"])

    def example_inputs(self):
        return {
            "pair": (zeros(4), [zeros(4)]), "batch": Pair(zeros(4), zeros(4)), "flip": True,
            "extra": {"deep": zeros(4)},
        }


class Positional(Nested):
    def forward(self, pair, batch, *more):
        return super().forward(pair, batch, *more, flip=True, extra={"deep": pair[0]})

    def example_inputs(self):
        return (zeros(4), [zeros(4)]), Pair(zeros(4), zeros(4)), zeros(4)


class ByName(Net):
    def forward(self, x, skipped=None, *, mask):
        assert skipped is None
        return self.act(x) * mask

    def example_inputs(self):
        return {"mask": zeros(1), "x": zeros(4)}


class Ids(Net):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 3)

    def forward(self, ids, grid):
        return self.act(self.table(ids).transpose(1, 2)) + grid.sum()

    def example_inputs(self):
        return torch.zeros(1, 4, dtype=torch.int32), torch.zeros(7, 2)


class Mapped(Net):
    def forward(self, batch):
        x = self.act(batch["image"])
        return {"a": (x, [x + 1, None]), "z": {"pair": Pair(x * 2, batch["mask"])},
                "batch.mask": batch["mask"], "again": x}

    def example_inputs(self):
        return {"image": zeros(4), "mask": zeros(4)}


class Surplus(Net):
    def forward(self, x, y=None):
        return self.act(x)

    def example_inputs(self):
        return zeros(4), zeros(4), zeros(4)


class Ranks(Net):
    def forward(self, rank2, rank3, rank4, rank5, rank1):
        one = F.prelu(rank1, torch.full((1,), 0.25))
        return [self.act(x) for x in (rank2, rank3, rank4, rank5)] + [one]

    def example_inputs(self):
        return zeros(), zeros(4), zeros(4, 5), zeros(4, 5, 6), torch.zeros(1)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nets(tmp_path_factory.mktemp("nets") / "torch_arguments.py", _NETS)


def test_nested_arguments_are_inputs_by_their_keys(nets: Path) -> None:
    found = export(f"{nets}:Positional")
    names = ["pair.0", "pair.1.0", "batch.image", "batch.mask", "more_0"]
    assert list(found.inputs) == names
    assert found.inputs["batch.mask"] == ["batch", 3, 4]
    assert list(found.slopes) == ["act", "act_1"]  # the same input twice is one call


def test_tensors_at_positions_have_no_names() -> None:
    import torch

    from prelu_tools.backends.torch.arguments import arguments_of
    from prelu_tools.core.options import SourceOptions

    one = torch.zeros(2, 3)
    given = ({"mask": one, "levels": [one]}, one)
    found = arguments_of(lambda batch, *more: None, lambda: given, SourceOptions(), "net")
    assert [spec.name for spec in found.specs] == ["batch.mask", "batch.levels.0", "more_0"]
    assert found.unnamed == {"batch.levels.0", "more_0"}


def test_arguments_may_be_named_and_left_out(nets: Path) -> None:
    assert list(export(f"{nets}:ByName").inputs) == ["x", "mask"]
    shaped = export(f"{nets}:ByName", "--input", "x:batch,3,length")
    assert shaped.inputs == {"x": ["batch", 3, "length"], "mask": ["batch", 3, 1]}


def test_numbers_among_the_arguments_are_fixed_and_that_is_said(nets: Path) -> None:
    code = nets.read_text().replace("x + more[0] +", "x +")
    plain = write_nets(nets.parent / "torch_fixed.py", code.partition("class Pair")[2])
    plain.write_text(code)
    found = export(f"{plain}:Nested")
    assert list(found.inputs) == ["pair.0", "pair.1.0", "batch.image", "batch.mask", "extra.deep"]
    assert "fixed in the graph: flip=True" in found.text


def test_integers_and_inputs_without_a_batch(nets: Path) -> None:
    found = export(f"{nets}:Ids")
    assert found.inputs == {"ids": ["batch", 4], "grid": [7, 2]}
    assert found.graph.input[0].type.tensor_type.elem_type == 6  # int32


def test_outputs_keep_their_keys_whatever_they_are(nets: Path) -> None:
    """One is an input, one is called like an input, and one is there twice."""
    found = export(f"{nets}:Mapped")
    assert list(found.inputs) == ["batch.image", "batch.mask"]
    assert found.outputs == [
        "a.output_0", "a.output_1.output_0", "z.pair.image", "z.pair.mask", "batch.mask_1", "again",
    ]  # fmt: skip


def test_surplus_inputs_are_not_cut_off(nets: Path) -> None:
    found = try_export(f"{nets}:Surplus")
    assert found.code == 2
    assert "takes (x, y=None), but 3 inputs were given" in found.words
    found = try_export(f"{nets}:ByName", "--input", "y:batch,3,4")
    assert found.code == 2
    assert "--input y:" in found.words
    assert "has no such input; its example_inputs() have x, mask" in found.words


def test_inputs_of_every_rank(nets: Path) -> None:
    shapes = {name: values.shape for name, values in export(f"{nets}:Ranks").slopes.items()}
    assert list(shapes.values()) == [(3,), (3, 1), (3, 1, 1), (3, 1, 1, 1)]


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [
        ("nn.Conv2d(1, 4, 3), nn.PReLU()", "batch,1,112,112"),
        ("nn.BatchNorm1d(5), nn.Conv1d(5, 4, 3), nn.PReLU()", "batch,5,1000"),
        ("nn.Flatten(), nn.Linear(7, 4), nn.PReLU()", "batch,7"),
        ("nn.PReLU(),", "batch,3,112,112"),
    ],
)
def test_the_sizes_to_type_have_the_channels_of_the_first_layer(layers: str, sizes: str) -> None:
    from torch import nn

    from prelu_tools.backends.torch.arguments import arguments_of
    from prelu_tools.core.errors import UsageError
    from prelu_tools.core.options import SourceOptions

    net = nn.Sequential(*eval(f"[{layers}]", {"nn": nn}))
    with pytest.raises(UsageError, match=rf"for example --input input:{sizes} \(a name"):
        arguments_of(net.forward, None, SourceOptions(), "nets.py:net")


@pytest.mark.parametrize(
    ("forward", "names", "unnamed"),
    [
        (lambda x, y=None: None, ["x"], set()),
        (lambda x, y=None: None, ["y", "x"], set()),
        (lambda x: None, ["input"], None),
        (lambda x, gain: None, ["x", "y"], None),
        (lambda *xs: None, ["a", "b"], {"a", "b"}),
        (lambda x, *more: None, ["x", "a"], {"a"}),
        (lambda x, **rest: None, ["x", "a"], set()),
    ],
)
def test_a_shape_belongs_to_an_argument_of_its_name(
    forward: Any, names: list[str], unnamed: set[str] | None
) -> None:
    from prelu_tools.backends.torch.arguments import arguments_of
    from prelu_tools.core.errors import UsageError
    from prelu_tools.core.options import InputOption, SourceOptions

    options = SourceOptions(inputs=tuple(InputOption(name, (1, 3)) for name in names))
    if unnamed is not None:
        found = arguments_of(forward, None, options, "net")
        assert {one.name for one in found.specs} == {*names}
        assert found.unnamed == unnamed
        return
    words = f"^--input {names[-1]}: net has no such input; it takes x"
    with pytest.raises(UsageError, match=words):
        arguments_of(forward, None, options, "net")
