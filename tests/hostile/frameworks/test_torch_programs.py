"""`.pt2` archives that run code in one of the many ways that torch.export.load has."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attacks import Attack, pickled, rewritten, torch_saved, with_json
from running import cli

from fuzz.corpus import SEEDS
from prelu_tools.backends.torch.files.program_text import code_in, is_arithmetic

torch = pytest.importorskip("torch")
vetting = pytest.importorskip("prelu_tools.backends.torch.files.vetting")
pytestmark = pytest.mark.torch

NET = SEEDS / "net.pt2"
Change = Callable[[str, bytes], bytes | None]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def _refusal(change: Change, marker: Path, *options: str) -> str:
    """What `inspect` says of the program, changed so; nothing was run."""
    path = rewritten(NET, marker.with_name("net.pt2"), change)
    found = cli("inspect", path, *options)
    assert found.code == 3, found.words
    assert not marker.exists()
    assert "rejected" in found.words
    assert "--allow-unsafe-load" in found.words
    return found.words


def _runs(change: Change, marker: Path) -> bool:
    """Whether torch would have run it."""
    path = rewritten(NET, marker.with_name("net.pt2"), change)
    cli("inspect", path, "--allow-unsafe-load")
    return marker.exists()


def test_an_honest_program_is_read(tmp_path: Path) -> None:
    for name in ("net.pt2", "fixed.pt2"):
        found = cli("inspect", SEEDS / name, "--format", "json")
        assert found.code == 0, found.words
        assert len(found.json["layers"]) == 2


def test_sample_inputs_that_are_a_pickle(marker: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return torch_saved((Attack(marker),)) if "/sample_inputs/" in name else content

    words = _refusal(change, marker)
    assert "would run posix.mkdir" in words
    assert _runs(change, marker)


def _weight(**fields: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        next(iter(document["config"].values())).update(fields)

    return change


def test_tensors_that_are_pickles(marker: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name.endswith("weights/weight_0"):
            return torch_saved(Attack(marker))
        return with_json("model_weights_config.json", _weight(use_pickle=True))(name, content)

    assert "would run posix.mkdir" in _refusal(change, marker)
    assert _runs(change, marker)


def _added(name: str, content: bytes, marker: Path) -> Path:
    """The program with one more member."""
    path = marker.with_name("net.pt2")
    path.write_bytes(NET.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/{name}", content)
    return path


def test_constants_that_are_pickles(marker: Path) -> None:
    meta = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}

    def change(name: str, content: bytes) -> bytes:
        added = {"c": {**meta, "tensor_meta": None}}
        return with_json("constants_config.json", lambda d: d["config"].update(added))(
            name, content
        )

    target = rewritten(NET, marker.with_name("changed.pt2"), change)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("net/data/constants/opaque_obj_0", pickled(marker))
    found = cli("inspect", target)
    assert (found.code, marker.exists()) == (3, False)
    assert "would run posix.mkdir" in found.words
    cli("inspect", target, "--allow-unsafe-load")
    assert marker.exists()


def test_weights_as_one_pickle_of_an_older_version(marker: Path) -> None:
    content = torch_saved({"w": Attack(marker)})
    found = cli("inspect", _added("data/weights/model.pt", content, marker))
    assert (found.code, marker.exists()) == (3, False)
    assert "would run posix.mkdir" in found.words


def test_a_program_of_an_older_version(marker: Path) -> None:
    found = cli("inspect", _added("serialized_state_dict.pt", b"", marker))
    assert found.code == 3
    assert "was written by torch before 2.8" in found.words


def test_compiled_code(marker: Path) -> None:
    found = cli("inspect", _added("data/aotinductor/model/model.so", b"\x7fELF", marker))
    assert found.code == 3
    assert "which may be compiled code" in found.words


def _expression(text: str) -> Change:
    def set_all(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "expr_str":
                    value[key] = text
                set_all(inner)
        elif isinstance(value, list):
            for inner in value:
                set_all(inner)

    return with_json("models/model.json", set_all)


def test_sizes_that_are_code(marker: Path) -> None:
    change = _expression(f"__import__('os').mkdir({str(marker)!r})")
    assert "would have torch evaluate" in _refusal(change, marker)
    assert _runs(change, marker)


def test_guards_that_are_code(marker: Path) -> None:
    def add(document: Any) -> None:
        document["guards_code"] = [f"__import__('os').mkdir({str(marker)!r}) is None"]

    change = with_json("models/model.json", add)
    assert "would have torch evaluate" in _refusal(change, marker)


def test_arguments_that_are_an_enumeration(marker: Path) -> None:
    """`pytree` imports the module that it is named."""
    spec = {"type": None, "context": None, "children_spec": [],
            "x": {"__enum__": True, "fqn": "os:mkdir", "value": str(marker)}}  # fmt: skip

    def change(document: Any) -> None:
        document["graph_module"]["module_call_graph"][0]["signature"]["out_spec"] = json.dumps(
            [1, spec]
        )

    changed = with_json("models/model.json", change)
    assert "os:mkdir" in _refusal(changed, marker)


@pytest.mark.parametrize(
    "target",
    [
        "torch.serialization.os.system", "torch.hub.load", "_operator.call",
        "_operator.methodcaller", "torch.ops.load_library", "torch.ops.aten.from_file.default",
        "torch.ops.aten.add.Tensor.__class__", "torch.ops.debugprims.load_tensor.default",
        "builtins.eval", "torch.load", "torch._check.__globals__", "torch.ops.aten.save.str",
    ],
)  # fmt: skip
def test_operators_that_are_none(target: str, marker: Path) -> None:
    def change(document: Any) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    words = _refusal(with_json("models/model.json", change), marker)
    assert f"would have torch evaluate '{target}' as code" in words


@pytest.mark.parametrize(
    "name", ["x\n    __import__('os')", 'a")', "x=print()", "a;b", "\\x41", "f(1)"]
)
def test_names_that_end_up_in_generated_code(name: str, marker: Path) -> None:
    def change(document: Any) -> None:
        document["graph_module"]["graph"]["inputs"][0]["as_tensor"]["name"] = name

    assert "would have torch evaluate" in _refusal(with_json("models/model.json", change), marker)


def test_a_tensor_that_would_fill_the_memory(marker: Path) -> None:
    def change(document: Any) -> None:
        meta = next(iter(document["config"].values()))["tensor_meta"]
        meta["sizes"], meta["strides"] = [{"as_int": 1 << 40}], [{"as_int": 0}]

    words = _refusal(with_json("model_weights_config.json", change), marker)
    assert "has a tensor of shape [1099511627776] with only 432 bytes of data" in words


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(NET) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
        new.writestr("net/extra/zeros", bytes(70 << 20))
    found = cli("inspect", path)
    assert found.code == 3
    assert "like a zip bomb" in found.words


@pytest.mark.parametrize(
    ("packing", "said"),
    [(zipfile.ZIP_DEFLATED, "larger than"), (zipfile.ZIP_STORED, "too many values")],
)
def test_a_document_that_would_fill_the_memory(packing: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(NET) as old, zipfile.ZipFile(path, "w", packing) as new:
        for info in old.infolist():
            is_model = info.filename.endswith("models/model.json")
            new.writestr(info.filename, "[]," * 3_000_000 if is_model else old.read(info))
    with pytest.raises(ValueError, match=said):
        vetting.refuse_unsafe(path)


def test_only_pickles_that_are_not_plain_are_rehearsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed: list[Path] = []
    monkeypatch.setattr(vetting, "run_isolated", lambda _reader, path: rehearsed.append(path) or [])
    vetting.refuse_unsafe(NET)
    assert rehearsed == []
    inputs = torch_saved(((torch.zeros(2, 3, 8, 8).to_sparse(),), {}))
    path = rewritten(
        NET, tmp_path / "net.pt2", lambda name, held: inputs if "/sample_inputs/" in name else held
    )
    vetting.refuse_unsafe(path)
    assert rehearsed == [path]
    assert vetting.pickle_faults(path) == []


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Symbol('s31', positive=True, integer=True)", True),
        ("2*Symbol('s0') + 1", True),
        ("FloorDiv(s0 - 3, 2) + 1", True),
        ("Max(1, Mod(s0, 4))**2", True),
        ("L['x'].size()[0] % 4 == 0", True),
        ("L['x'].size()[0] >= 2 and not L['y'].stride()[1] == 0", True),
        ("__import__('os')", False),
        ("().__class__", False),
        ("[i for i in (1,)]", False),
        ("open('x')", False),
        ("s0.eval()", False),
        ("L['x'].size('a')", False),
        ("(lambda: 0)()", False),
        ("9**9**9", False),
        ("Pow(9, Pow(9, 9))", False),
        ("(9**64)**64", False),
        ("9**s0", False),
        ("1 << 10**9", False),
        ("10" * 40, False),
        ("f'{s0}'", False),
        ("Symbol('a\"b')", False),
        ("s0; s1", False),
        ("(" * 5000, False),
        ("s0 + " * 2000 + "s0", False),
        ("", False),
    ],
)
def test_arithmetic_is_told_from_code(text: str, good: bool) -> None:
    assert is_arithmetic(text) is good


def test_every_text_of_an_honest_program_is_let_through() -> None:
    with zipfile.ZipFile(NET) as archive:
        document = json.loads(archive.read("net/models/model.json"))
    assert list(code_in(document)) == []
