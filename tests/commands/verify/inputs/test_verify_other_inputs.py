"""Models that do not state their inputs: those of the other model of the comparison are used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest
from running import cli

import prelu_tools
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.results.reasons import code_of

pytestmark = pytest.mark.torch

_NETS = """
import torch
from torch import nn

def seeded(cls):
    torch.manual_seed(1)
    return cls().eval()

class Picture(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3), nn.PReLU(4)
    def forward(self, x):
        return self.act(self.conv(x))

class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.act, self.head = nn.Embedding(11, 6), nn.PReLU(), nn.Linear(6, 2)
    def forward(self, ids, mask, factor):
        found = self.act(self.table(ids)) * mask[..., None]
        return self.head(found.sum(1)) * factor

class Wrong(Text):
    def forward(self, ids, mask, factor):
        return super().forward(ids, mask, factor) + 0.01

picture, text, wrong = (lambda: seeded(Picture)), (lambda: seeded(Text)), (lambda: seeded(Wrong))
lazy = lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.PReLU(4))
"""
_SHAPES: dict[str, dict[str, tuple[int | str, ...]]] = {
    "picture": {"x": ("batch", 3, "height", "width")},
    "text": {"ids": ("batch", "length"), "mask": ("batch", "length"), "factor": ("batch", 1)},
}
_REPLAYED: dict[str, Any] = {"power": False}
_FAST: dict[str, Any] = {**_REPLAYED, "search_seconds": 0.2}


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("nets")
    path = folder / "nets.py"
    path.write_text(_NETS)
    for name, shapes in _SHAPES.items():
        model = _build(path, name)
        if name == "text":
            examples = (torch.ones(2, 5).long(), torch.ones(2, 5), torch.ones(2, 1))
            model.example_inputs = lambda given=examples: given
        prelu_tools.export(model, folder / f"{name}.onnx", input=shapes, verify=False)
    return path


def _build(path: Path, name: str) -> Any:
    held: dict[str, Any] = {}
    exec(path.read_text(), held)
    return held[name]()


def _is_used(note: str) -> bool:
    return "input sizes are not known" in note


@pytest.mark.parametrize("name", ["picture", "text"])
def test_a_module_takes_them_from_the_file(nets: Path, name: str) -> None:
    file = nets.with_name(f"{name}.onnx")
    for reference in (f"{nets}:{name}", _build(nets, name)):
        result = prelu_tools.verify(reference, file, **_FAST)
        assert result.verdict == "pass"
        assert any(_is_used(note) and "batch" in note for note in result.notes)


def test_free_sizes_and_types_are_the_files(nets: Path) -> None:
    found = cli("verify", f"{nets}:text", nets.with_name("text.onnx"), "--no-power",
                "--search-seconds", "0.2", "--format", "json")  # fmt: skip
    assert found.code == 0
    assert {sizes["length"] for sizes in found.json["sizes"]["tried"]} >= {48, 53}
    assert any("ids: 0 to 10" in note for note in found.json["notes"])


def test_a_candidate_takes_them_from_the_reference(nets: Path) -> None:
    file = nets.with_name("picture.onnx")
    for candidate in (f"{nets}:picture", _build(nets, "picture")):
        assert prelu_tools.verify(file, candidate, **_FAST).verdict == "pass"
    assert prelu_tools.verify(onnx.load(file), f"{nets}:picture", **_FAST).verdict == "pass"


def test_what_differs_fails(nets: Path) -> None:
    result = prelu_tools.verify(f"{nets}:wrong", nets.with_name("text.onnx"), **_FAST)
    assert result.verdict == "fail"


def test_a_file_that_is_no_model_is_what_is_wrong(nets: Path, tmp_path: Path) -> None:
    cut, pointer = tmp_path / "cut.onnx", tmp_path / "lfs.onnx"
    cut.write_bytes(nets.with_name("picture.onnx").read_bytes()[:90])
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n")
    with pytest.raises(PReLUToolsError, match=r"cut\.onnx is not an ONNX model"):
        prelu_tools.verify(f"{nets}:picture", cut, **_FAST)
    (said,) = prelu_tools.verify(f"{nets}:picture", pointer, **_FAST).reasons
    assert said.endswith("is a Git LFS pointer, not the file: run git lfs pull")
    good = nets.with_name("picture.onnx")
    assert prelu_tools.verify(f"{nets}:picture", cut, good, **_FAST).verdict == "inconclusive"


def test_weights_next_to_their_code_are_no_candidate(nets: Path, tmp_path: Path) -> None:
    (tmp_path / "net.pt").write_bytes(b"")
    with pytest.raises(UsageError, match=r"did you mean '.*nets.py:picture@.*net.pt'\?"):
        prelu_tools.verify(f"{nets}:picture", tmp_path / "net.pt", nets.with_name("picture.onnx"))


def test_what_is_stated_comes_first(nets: Path) -> None:
    file, sizes = nets.with_name("picture.onnx"), {"x": ("batch", 3, 9, 8)}
    result = prelu_tools.verify(f"{nets}:picture", file, input=sizes, **_FAST)
    assert result.verdict == "pass"
    assert not any(map(_is_used, result.notes))


def test_sizes_that_the_module_rejects_are_named_with_their_origin(nets: Path) -> None:
    pair = f"{nets}:picture", nets.with_name("picture.onnx")
    with pytest.raises(PReLUToolsError) as said:
        prelu_tools.verify(*pair, input={"x": ("batch", 3)}, **_FAST)
    assert f"{pair[0]} fails on inputs (x of shape 2x3) with RuntimeError: " in str(said.value)
    assert str(said.value).endswith(
        '. The sizes are those of input={"x": ("batch", 3)}: check their number and order'
    )
    with pytest.raises(PReLUToolsError) as said:
        prelu_tools.export(pair[0], nets.with_name("no.onnx"), input={"x": (1, 5, 9, 9)})
    assert "fails on inputs (x of shape 1x5x9x9)" in str(said.value)
    assert str(said.value).endswith("check their number and order")
    orders: dict[str, Any] = {"layout": {"reference": "nchw", "candidate": "nhwc"}}
    with pytest.raises(
        PReLUToolsError, match=r"; in the axis order of layout\): correct layout, or "
    ):
        prelu_tools.verify(*pair, **orders, **_FAST)


def test_what_fixes_a_size_is_named(nets: Path, tmp_path: Path) -> None:
    free, files = nets.with_name("picture.onnx"), [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for file, size in zip(files, (16, 20), strict=True):
        proto = onnx.load(free)
        for axis in (2, 3):
            proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
        onnx.save(proto, file)

    def said(*candidates: Path, **options: Any) -> dict[str | None, str]:
        found = prelu_tools.verify(f"{nets}:picture", *candidates, **options, **_FAST)
        return {code_of(note): note for note in found.warnings}

    fixed = said(files[0], free)
    assert fixed["sizes_not_checked"].endswith(f"was checked: {files[0]} fixes them")
    assert "sizes_disagree" not in fixed
    asked = said(free, input={"x": ("batch", 3, 16, 16)})
    assert asked["sizes_not_checked"].endswith(' input={"x": ("batch", 3, 16, 16)} fixes them')
    assert f", but {files[1]} has x:batch,3,20,20: input chooses" in said(*files)["sizes_disagree"]


def test_the_names_are_the_modules_own(nets: Path, tmp_path: Path) -> None:
    proto = onnx.load(nets.with_name("picture.onnx"))
    for names in (proto.graph.input, *(node.input for node in proto.graph.node)):
        for place, value in enumerate(names):
            if isinstance(value, str) and value == "x":
                names[place] = "wave"
            elif not isinstance(value, str):
                value.name = "wave"
    onnx.save(proto, tmp_path / "wave.onnx")
    source = f"{nets}:picture"

    def named(**options: Any) -> Any:
        found = prelu_tools.verify(source, tmp_path / "wave.onnx", **options, **_FAST)
        (candidate,) = found.candidates
        codes = [code_of(reason) for reason in found.reasons]
        return found.verdict, codes, [(one.code, one.expected) for one in candidate.interface]

    renamed = [("input_renamed", "x")]
    assert named() == ("pass", [], renamed)
    codes = ["input_renamed", "sizes_not_stated"]
    assert named(strict_interface=True) == ("fail", codes, renamed)
    stated = {"x": ("batch", 3, "height", "width")}
    assert named(strict_interface=True, input=stated) == ("fail", codes[:1], renamed)


def test_sizes_that_are_the_candidates_own_are_not_compared(nets: Path) -> None:
    pair = f"{nets}:picture", nets.with_name("picture.onnx")
    found = prelu_tools.verify(*pair, strict_interface=True, **_FAST)
    assert found.verdict == "inconclusive"
    assert 'state them with input={"x": ("batch", 3, "height", "width")}' in found.reasons[-1]
    stated = {"x": ("batch", 3, "height", "width")}
    assert prelu_tools.verify(*pair, strict_interface=True, input=stated, **_FAST).verdict == "pass"


def test_a_candidate_with_the_sizes_of_the_reference_is_compared(nets: Path) -> None:
    pair = nets.with_name("picture.onnx"), f"{nets}:picture"
    found = prelu_tools.verify(*pair, strict_interface=True, **_FAST)
    assert (found.verdict, found.reasons) == ("pass", ())


def test_lazy_modules_are_built_for_them(nets: Path) -> None:
    result = prelu_tools.verify(f"{nets}:lazy", nets.with_name("picture.onnx"), **_FAST)
    assert result.verdict == "fail"  # its weights are drawn anew
    assert any(map(_is_used, result.notes))


def test_where_neither_knows_the_option_is_shown(nets: Path) -> None:
    with pytest.raises(UsageError, match=r'as input=\{"x": \("batch"'):
        prelu_tools.verify(f"{nets}:picture", f"{nets}:picture", **_FAST)


def test_a_file_of_another_number_of_inputs_is_named(nets: Path) -> None:
    with pytest.raises(UsageError, match="3 inputs were given"):
        prelu_tools.verify(f"{nets}:picture", nets.with_name("text.onnx"), **_FAST)


_EXAMPLE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, factor=0.0, channels=4):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.act = nn.Conv2d(3, 4, 3), nn.PReLU(4, init=0.1)
        self.factor, self.channels = factor, channels
    def forward(self, x):
        y = self.act(self.conv(x))
        if self.channels != 4:
            y = y.reshape(-1, self.channels, 14)
        return y + self.factor * (x.shape[2] - 16)
    def example_inputs(self):
        return (torch.zeros(2, 3, 16, 16),)

right, wrong, fixed = Net, lambda: Net(0.01), lambda: Net(0.0, 8)
"""


def test_the_sizes_of_an_example_are_not_the_only_ones(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(_EXAMPLE)
    shapes = {"x": ("batch", 3, "h", "w")}
    for name in ("right", "wrong"):
        made = tmp_path / f"{name}.onnx"
        prelu_tools.export(f"{path}:{name}", made, input=shapes, verify=False)
    found = prelu_tools.verify(_build(path, "right"), tmp_path / "right.onnx", **_FAST)
    assert found.verdict == "pass"
    assert found.sizes.tried[0] == {"h": 16, "w": 16}
    assert len(found.sizes.tried) > 3
    assert [code_of(note) for note in found.notes].count("sizes_freed") == 1
    found = prelu_tools.verify(_build(path, "right"), tmp_path / "wrong.onnx", **_FAST)
    assert found.verdict == "fail"
    (tmp_path / "apart").mkdir()
    for record, verdict in (("right.npz", "fail"), ("apart/right.npz", "pass")):
        made = tmp_path / record  # only beside the file is it recorded at its sizes
        assert cli("record", f"{path}:right", "-o", made, "--samples", 2).code == 0
        found = prelu_tools.verify(made, tmp_path / "wrong.onnx", **_REPLAYED)
        assert found.verdict == verdict
        is_said = "sizes_not_checked" in map(code_of, found.notes)
        assert is_said == (verdict == "pass")


def test_a_module_that_takes_the_sizes_of_its_example_alone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "example.py"
    path.write_text(_EXAMPLE)
    prelu_tools.export(_build(path, "fixed"), tmp_path / "fixed.onnx", verify=False)
    proto = onnx.load(tmp_path / "fixed.onnx")
    for axis, name in ((2, "h"), (3, "w")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(proto, tmp_path / "free.onnx")
    found = prelu_tools.verify(_build(path, "fixed"), tmp_path / "free.onnx", **_FAST)
    assert (found.verdict, found.sizes.tried) == ("pass", ())
    (note,) = [note for note in found.notes if code_of(note) == "sizes_not_checked"]
    assert '; input={"x": ("batch", 3, "h", "w")} checks others if it can run at them' in note
