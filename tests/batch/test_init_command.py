"""`init`: which models it takes for pairs, which it leaves out; and it writes over nothing."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from running import Outcome, cli
from tiny_models import save_dense, save_relu

NETS = """
import torch
from torch import nn


class SmallNet(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(4, width)
        self.act = nn.PReLU(width)

    def forward(self, x, scale=1.0):
        return self.act(self.fc(x)) * scale


class Inherited(SmallNet):
    pass


class Told(SmallNet):
    def example_inputs(self):
        return (torch.zeros(2, 4),)


class Sized(nn.Module):
    def __init__(self, size, *, depth):
        super().__init__()


def made() -> "nn.Module":
    return SmallNet()


class Helper:
    pass
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _init(*options: str) -> Outcome:
    return cli("init", "--format", "json", *options)


def _again() -> Outcome:
    Path("prelu-tools.toml").unlink()
    return _init("--force")


def _pairs(found: Outcome) -> list[tuple[str, tuple[str, ...]]]:
    return [(one["reference"], tuple(one["candidates"])) for one in found.json["checks"]]


def _written() -> list[dict[str, Any]]:
    checks: list[dict[str, Any]] = tomllib.loads(Path("prelu-tools.toml").read_text())["checks"]
    return checks


def _touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def _onnx(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save_dense(Path(name))


def test_sources_go_with_the_onnx_file_of_their_stem() -> None:
    _onnx("a.onnx", "out/b.onnx", "c.onnx", "d.onnx", "e.onnx")
    _touch("a.keras", "a.h5", "src/b.pt2", "c/saved_model.pb", "d.h5", "e.weights.h5")
    found = _init()
    assert sorted(_pairs(found)) == [
        ("a.keras", ("a.onnx",)),
        ("c", ("c.onnx",)),
        ("d.h5", ("d.onnx",)),
        ("src/b.pt2", ("out/b.onnx",)),
    ]
    assert [one["path"] for one in found.json["left_out"]] == ["e.onnx"]
    assert [(one["reference"], tuple(one["candidates"])) for one in _written()] == _pairs(found)


def test_the_only_file_belongs_to_the_only_class_and_weights_whatever_their_names() -> None:
    Path("model.py").write_text("class Upscaler(nn.Module):\n    def forward(self, x): pass\n")
    _onnx("x2.onnx")
    _touch("upscaler_x2.pth")
    assert _pairs(_init()) == [("model.py:Upscaler@upscaler_x2.pth", ("x2.onnx",))]
    _touch("epoch-9.pt")
    assert _pairs(_again()) == [("model.py:Upscaler", ("x2.onnx",))]
    Path("model.py").unlink()
    _touch("best.keras", "LICENSE")
    assert _pairs(_again()) == [("best.keras", ("x2.onnx",))]
    _onnx("other.onnx")
    Path("prelu-tools.toml").unlink()
    found = cli("init")
    assert found.code == 3
    assert "x2.onnx: no source has this name" in found.words


def test_a_source_in_the_same_folder_is_nearer_and_two_elsewhere_are_none() -> None:
    _onnx("x/net.onnx", "y/net.onnx")
    _touch("x/net.keras", "z/net.keras", "w/other.keras")
    assert _pairs(_init()) == [("x/net.keras", ("x/net.onnx",))]


def test_python_is_parsed_and_named_by_class_or_file() -> None:
    Path("nets.py").write_text(NETS)
    Path("alone.py").write_text("import keras\ndef net() -> keras.Model:\n    raise SystemExit\n")
    Path("broken.py").write_text("class Net(nn.Module\n")
    Path("test_nets.py").write_text("class Other(Module): pass\n")
    _onnx(
        "small_net.onnx",
        "inherited.onnx",
        "told.onnx",
        "sized.onnx",
        "made.onnx",
        "alone.onnx",
        "other.onnx",
    )
    _touch("told.safetensors")
    found = _init()
    assert sorted(_pairs(found)) == [
        ("alone.py:net", ("alone.onnx",)),
        ("nets.py:Inherited", ("inherited.onnx",)),
        ("nets.py:Sized(size=SIZE, depth=DEPTH)", ("sized.onnx",)),
        ("nets.py:SmallNet", ("small_net.onnx",)),
        ("nets.py:Told@told.safetensors", ("told.onnx",)),
        ("nets.py:made", ("made.onnx",)),
    ]
    assert {one["reference"]: one.get("input") for one in _written()} == {
        "alone.py:net": None,
        "nets.py:Inherited": ["x:batch,4"],
        "nets.py:SmallNet": ["x:batch,4"],
        "nets.py:Told@told.safetensors": None,
        "nets.py:made": None,
    }
    left = {one["path"]: one["reason"] for one in found.json["left_out"]}
    assert left == {"other.onnx": "no source has this name"}
    text = Path("prelu-tools.toml").read_text()
    assert "# Fill in size and depth, and remove the first # of each line:\n# [[checks]]" in text
    assert '# reference = "nets.py:Sized(size=SIZE, depth=DEPTH)"' in text


def test_where_every_class_needs_arguments_the_checks_to_complete_are_written() -> None:
    Path("nets.py").write_text(NETS)
    _onnx("sized.onnx")
    _touch("epoch-3.pt")
    found = cli("init")
    assert found.code == 0
    assert "give size and depth and uncomment the check of sized.onnx" in found.words
    assert "0 checks, 1 to complete; prelu-tools verify runs them once they are" in found.words
    text = Path("prelu-tools.toml").read_text()
    label = "nets.py:Sized(size=SIZE, depth=DEPTH)@epoch-3.pt"
    assert f'# reference = "{label}"' in text
    assert "complete the checks in its comments" in cli("verify").words
    completed = text.replace("size=SIZE, depth=DEPTH", "3, depth=1").splitlines()
    at = completed.index("# [[checks]]")
    completed[at : at + 4] = [line.removeprefix("# ") for line in completed[at : at + 4]]
    Path("prelu-tools.toml").write_text("\n".join(completed))
    assert _written()[0]["reference"] == "nets.py:Sized(3, depth=1)@epoch-3.pt"


def _stated(name: str, source: str, sha256: str = "") -> None:
    """An ONNX file that says what it was exported from."""
    _onnx(name)
    model = onnx.load(name)
    model.metadata_props.add(key="prelu_tools.source", value=source)
    if sha256:
        model.metadata_props.add(key="prelu_tools.source_sha256", value=sha256)
    onnx.save(model, name)


def _with_options(name: str, source: str, options: object) -> None:
    """The same, with the options that it was exported with."""
    _stated(name, source)
    model = onnx.load(name)
    model.metadata_props.add(key="prelu_tools.options", value=json.dumps(options))
    onnx.save(model, name)


def _hash(name: str) -> str:
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()


def test_a_file_goes_with_the_source_that_it_names() -> None:
    Path("nets.py").write_text(f"{NETS}\ndef build(n):\n    return Sized(n, depth=2)\n")
    _touch("sized.pt", "runs/a/best.pt", "runs/b/best.pt", "small_net.keras")
    Path("runs/b/best.pt").write_text("b")
    Path("moved.keras").write_text("m")
    _stated("small_net.onnx", "nets.py:made")
    _stated("out/sized.onnx", "nets.py:Sized(8, depth=2)@sized.pt", "0" * 64)
    _stated("out/fast.onnx", "nets.py:Sized(8, depth=2)@sized.pt", "0" * 64)
    _stated("out/second.onnx", "nets.py:build(4)@best.pt", _hash("runs/b/best.pt"))
    _stated("out/third.onnx", "was.keras", _hash("moved.keras"))
    _stated("out/again.onnx", "third.onnx")
    assert sorted(_pairs(_init())) == [
        ("moved.keras", ("out/third.onnx",)),
        ("nets.py:Sized(8, depth=2)@sized.pt", ("out/fast.onnx", "out/sized.onnx")),
        ("nets.py:build(4)@runs/b/best.pt", ("out/second.onnx",)),
        ("nets.py:made", ("small_net.onnx",)),
        ("out/third.onnx", ("out/again.onnx",)),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "nets.py:os.system('true')",
        "nets.py:system('true')",
        "nets.py:SmallNet.__init__",
        "shutil:rmtree('x')",
        "tool.py:run('x')",
        "https://example.invalid/nets.py:made",
        "gone.py:made",
        "nets.py:made@gone.pt",
        "x" * 20_000,
        "nets.py:made\n",
        ":",
    ],
)
def test_a_file_leads_to_nothing_but_models_of_this_folder(source: str) -> None:
    Path("nets.py").write_text(f"import os\nfrom os import system\n{NETS}")
    Path("tool.py").write_text("def run(what):\n    raise SystemExit\n")
    _stated("net.onnx", source)
    found = cli("init")
    assert found.code == 3
    assert not Path("prelu-tools.toml").exists()


def test_another_type_is_told_by_the_operators_too() -> None:
    _touch("net.keras")
    _stated("net.onnx", "net.keras")
    _stated("other.onnx", "net.keras")
    model = onnx.load("other.onnx")
    scale = onnx.numpy_helper.from_array(np.float32(1), "scale")
    model.graph.initializer.append(scale)
    codes = onnx.helper.make_node("QuantizeLinear", [model.graph.input[0].name, "scale"], ["codes"])
    model.graph.node.append(codes)
    onnx.save(model, "other.onnx")
    found = _init()
    assert _pairs(found) == [("net.keras", ("net.onnx",))]
    assert found.json["checks"][0]["variants"] == ["other.onnx"]


@pytest.mark.torch
def test_what_it_writes_for_python_runs() -> None:
    Path("small.py").write_text(NETS)
    assert (
        cli("export", "small.py:SmallNet", "-o", "smallnet.onnx", "--input", "x:batch,4").code == 0
    )
    assert _init().code == 0
    found = cli("verify", "--format", "json")
    assert (found.code, found.json["summary"]["pass"]) == (0, 1)


def test_variants_go_along_or_are_named_in_a_comment() -> None:
    _onnx("net.onnx", "net-fast.onnx", "net_int8.onnx", "net.fp16.onnx", "network.onnx")
    _touch("net.keras", "network.keras")
    found = _init()
    assert _pairs(found) == [
        ("net.keras", ("net.onnx", "net-fast.onnx")),
        ("network.keras", ("network.onnx",)),
    ]
    assert found.json["checks"][0]["variants"] == ["net.fp16.onnx", "net_int8.onnx"]
    assert (
        'their own tolerance: "net.fp16.onnx", "net_int8.onnx"'
        in Path("prelu-tools.toml").read_text()
    )


def test_many_pairs_that_are_alike_are_one_glob() -> None:
    names = ("a", "b", "c", "d")
    _onnx(*(f"out/{name}.onnx" for name in names))
    _touch(*(f"src/{name}.keras" for name in names))
    assert _pairs(_init()) == [("src/*.keras", ("out/{stem}.onnx",))]
    _touch("src/e.keras")
    assert len(_pairs(_again())) == 4  # the glob would find one more


def test_a_glob_that_it_writes_runs() -> None:
    names = ("a", "b", "c", "d")
    _onnx(*(f"{name}.onnx" for name in names), *(f"{name}-opt.onnx" for name in names))
    assert _init().code == 0
    assert cli("verify", "--format", "json").json["summary"]["pass"] == 4


def test_what_has_no_prelu_or_cannot_be_read_is_left_out_and_hidden_folders_are_not_seen() -> None:
    _onnx("net.onnx", "net-fast.onnx", ".cache/x.onnx", "env/y.onnx", "node_modules/z.onnx")
    _touch("env/pyvenv.cfg", "broken.onnx")
    save_relu(Path("relu.onnx"))
    left = {one["path"]: one["reason"] for one in _init().json["left_out"]}
    assert set(left) == {"broken.onnx", "relu.onnx"}
    assert left["relu.onnx"] == "it has no PReLU"
    assert left["broken.onnx"].startswith("it cannot be read: ")


@pytest.mark.parametrize(
    ("models", "words"),
    [((), "no ONNX model was found in this folder"), (("net.onnx",), 'reference = "SOURCE"')],
)
def test_nothing_to_check_is_no_verdict_and_nothing_is_written(
    models: tuple[str, ...], words: str
) -> None:
    _onnx(*models)
    found = cli("init")
    assert (found.code, found.out) == (3, "")
    assert words in found.words
    assert not Path("prelu-tools.toml").exists()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("prelu-tools.toml", "kept", "and cannot be read as a list"),
        (
            "prelu-tools.schema.json",
            "kept",
            "prelu-tools.schema.json already exists with different content",
        ),
        ("pyproject.toml", "[[tool.prelu-tools.checks]]", "pyproject.toml already lists checks"),
    ],
)
def test_nothing_is_written_over_without_force(file: str, content: str, said: str) -> None:
    _onnx("net.onnx", "net-fast.onnx")
    Path(file).write_text(content)
    before = sorted(path.name for path in Path().iterdir())
    found = cli("init")
    assert (found.code, found.out) == (2, "")
    assert said in found.words
    assert Path(file).read_text() == content
    assert sorted(path.name for path in Path().iterdir()) == before
    replaces = file == "prelu-tools.schema.json"
    assert cli("init", "--force", "-q").code == (0 if replaces else 2)
    assert (Path(file).read_text() == content) != replaces


def test_what_a_list_leaves_out_is_said_where_it_is_not_replaced() -> None:
    _onnx("net.onnx", "net-fast.onnx")
    assert _init().code == 0
    assert "already exists, and lists every model that was found: to write" in cli("init").words
    _onnx("net-opt.onnx", "other.onnx", "other-slim.onnx")
    said = (
        "prelu-tools.toml already exists, and does not list net-opt.onnx and other-slim.onnx: use"
    )
    assert said in cli("init").words
    tables = (
        Path("prelu-tools.toml").read_text().replace("[[checks]]", "[[tool.prelu-tools.checks]]")
    )
    Path("prelu-tools.toml").unlink()
    Path("pyproject.toml").write_text(tables)
    said = "pyproject.toml already lists checks, and does not list net-opt.onnx and other-slim.onnx"
    assert said in cli("init").words


def test_names_are_quoted_as_toml_has_it() -> None:
    name = 'a"\\ü'
    _onnx(f"{name}.onnx", f"{name}-fast.onnx")
    assert _init().code == 0
    assert _written()[0]["reference"] == f"{name}.onnx"


def test_the_table_fits_and_says_what_to_type() -> None:
    _onnx("net.onnx", "net-fast.onnx", *(f"left{number}.onnx" for number in range(30)))
    found = cli("init")
    assert max(map(len, found.out.splitlines())) <= 80
    assert "left out 10 more: --format json names them" in found.words
    assert "wrote prelu-tools.toml and prelu-tools.schema.json: 1 check" in found.words
    Path("prelu-tools.toml").unlink()
    assert (
        "| `net.onnx` | `net-fast.onnx` | 1 |" in cli("init", "--force", "--format", "markdown").out
    )
    Path("prelu-tools.toml").unlink()
    assert json.loads(cli("init", "--force", "--format", "json").out)["kind"] == "init"


def test_a_record_is_a_reference(tmp_path: Path) -> None:
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "other.onnx")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert cli("record", "net.onnx", "-o", "net.npz", "-q").code == 0
    assert _pairs(_init()) == [("net.npz", ("net.onnx",))]
    assert "prelu-tools record" not in Path("prelu-tools.toml").read_text()
    assert cli("verify", "-q").code == 0


def test_records_are_offered_where_a_framework_is_needed(tmp_path: Path) -> None:
    save_dense(tmp_path / "net.onnx")
    (tmp_path / "net.keras").write_bytes(b"")
    _init()
    assert "# To check without the framework: prelu-tools record" in (
        Path("prelu-tools.toml").read_text()
    )


def test_a_check_has_the_options_of_the_export() -> None:
    _touch("sr.keras")
    Path("lib").mkdir()
    Path("lib/sr.py").write_text("import keras\nclass FSRCNN(keras.Model): pass\n")
    _with_options(
        "sr.onnx",
        "sr.keras",
        {
            "input": ["x:batch,h,w,1"],
            "custom_objects": ["sr.py:FSRCNN"],
            "input_range": {"x": [0, 4], "": [-1, 0.5]},
        },
    )
    assert _init().code == 0
    assert _written() == [
        {
            "name": "sr",
            "reference": "sr.keras",
            "candidates": ["sr.onnx"],
            "input": ["x:batch,h,w,1"],
            "input_range": {"x": [0, 4], "": [-1, 0.5]},
            "custom_objects": ["lib/sr.py:FSRCNN"],
        }
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("allow_unsafe_load", True),
        ("custom_objects", ["shutil:rmtree"]),
        ("custom_objects", ["tool.py"]),
        ("custom_objects", ["sr.py:gone"]),
        ("custom_objects", ["sr.py", "gone.py"]),
    ],
)
def test_what_could_run_code_is_left_to_the_user(key: str, value: object) -> None:
    _touch("sr.keras")
    Path("sr.py").write_text("import keras\n")
    Path("tool.py").write_text("raise SystemExit\n")
    _with_options("sr.onnx", "sr.keras", {key: value})
    found = cli("init")
    assert found.code == 0
    assert key not in _written()[0]
    assert f"{key} can run code: uncomment it in prelu-tools.toml" in found.words
    said = json.dumps(value)
    text = Path("prelu-tools.toml").read_text().replace(f"# {key} = {said}\n", f"{key} = {said}\n")
    assert tomllib.loads(text)["checks"][0][key] == value


@pytest.mark.parametrize(
    "options",
    [
        {"input": "x:1"},
        {"input": ["x"]},
        {"input_range": {"x": [3, 2]}},
        {"providers": ["cuda"], "min_power": 0, "candidates": ["other.onnx"], "quick": True},
        ["input"],
        "input",
        {"input_range": {"x": [0, 10**400]}},
    ],
)
def test_options_that_a_check_cannot_have_are_not_written(options: object) -> None:
    _touch("net.keras")
    _with_options("net.onnx", "net.keras", options)
    assert _init().code == 0
    assert set(_written()[0]) == {"name", "reference", "candidates"}


def test_files_exported_with_other_options_have_checks_of_their_own() -> None:
    _touch("net.keras")
    for name, size in (("net.onnx", 8), ("net-fast.onnx", 8), ("net-big.onnx", 16)):
        _with_options(name, "net.keras", {"input": [f"x:batch,{size}"]})
    assert sorted(_pairs(_init())) == [
        ("net.keras", ("net-big.onnx",)),
        ("net.keras", ("net.onnx", "net-fast.onnx")),
    ]


def test_force_keeps_what_is_there_and_adds_the_rest() -> None:
    _onnx("net.onnx")
    _touch("net.keras")
    assert _init().code == 0
    text = (
        Path("prelu-tools.toml")
        .read_text()
        .replace(
            'candidates = ["net.onnx"]\n',
            'candidates = ["net.onnx"]\nmin_coverage = 1.0  # mine\ninput_range = { x = [0, 1] }\n',
        )
    )
    text += '[[checks]]\nreference = "gone.keras"\ncandidates = ["gone.onnx"]\n'
    Path("prelu-tools.toml").write_text(text)
    assert "already lists every model" in cli("init", "--force").words
    assert Path("prelu-tools.toml").read_text() == text
    _onnx("net-fast.onnx", "other.onnx")
    _touch("other.keras")
    assert _pairs(_init("--force")) == [
        ("net.keras", ("net-fast.onnx",)),
        ("other.keras", ("other.onnx",)),
    ]
    assert Path("prelu-tools.toml").read_text().startswith(text)
    assert _written()[2:] == [
        {
            "name": "net-fast",
            "reference": "net.keras",
            "candidates": ["net-fast.onnx"],
            "min_coverage": 1.0,
            "input_range": {"x": [0, 1]},
        },
        {"name": "other", "reference": "other.keras", "candidates": ["other.onnx"]},
    ]


def test_force_adds_to_pyproject_where_that_has_the_list() -> None:
    _onnx("net.onnx", "net-fast.onnx", "other.onnx", "other-fast.onnx")
    entry = '[[tool.prelu-tools.checks]]\nreference = "net.onnx"\ncandidates = ["net-fast.onnx"]\n'
    Path("pyproject.toml").write_text(entry)
    assert _pairs(_init("--force")) == [("other.onnx", ("other-fast.onnx",))]
    assert not Path("prelu-tools.toml").exists()
    assert cli("verify", "--format", "json").json["summary"]["pass"] == 2
    Path("pyproject.toml").write_text(
        "[tool.prelu-tools]\nchecks = "
        '[{ reference = "net.onnx", candidates = ["net-fast.onnx"] }]\n'
    )
    assert "its checks are an array" in cli("init", "--force").words


@pytest.mark.torch
def test_an_export_states_its_options_and_their_check_runs() -> None:
    Path("sub").mkdir()
    Path("sub/small.py").write_text(NETS)
    source, given = "sub/small.py:SmallNet", ("--input", "x:n,4", "--input-range", "x=0,4")
    assert cli("export", source, "-o", "net.onnx", *given).code == 0
    assert _init().code == 0
    check = _written()[0]
    assert (check["input"], check["input_range"]) == (["x:n,4"], {"x": [0, 4]})
    found = cli("verify", "--format", "json")
    assert (found.code, found.json["summary"]["pass"]) == (0, 1)
