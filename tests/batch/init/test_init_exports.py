"""`init`: what an exported file says of its source and its options, and what it may not say."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from init_folder import NETS, init, pairs_of, stated, touch, with_options, written_checks
from running import cli


def _hash(name: str) -> str:
    return hashlib.sha256(Path(name).read_bytes()).hexdigest()


def test_a_file_goes_with_the_source_that_it_names() -> None:
    Path("nets.py").write_text(f"{NETS}\ndef build(n):\n    return Sized(n, depth=2)\n")
    touch("sized.pt", "runs/a/best.pt", "runs/b/best.pt", "small_net.keras")
    Path("runs/b/best.pt").write_text("b")
    Path("moved.keras").write_text("m")
    stated("small_net.onnx", "nets.py:made")
    stated("out/sized.onnx", "nets.py:Sized(8, depth=2)@sized.pt", "0" * 64)
    stated("out/fast.onnx", "nets.py:Sized(8, depth=2)@sized.pt", "0" * 64)
    stated("out/second.onnx", "nets.py:build(4)@best.pt", _hash("runs/b/best.pt"))
    stated("out/third.onnx", "was.keras", _hash("moved.keras"))
    stated("out/again.onnx", "third.onnx")
    assert sorted(pairs_of(init())) == [
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
    stated("net.onnx", source)
    found = cli("init")
    assert found.code == 3
    assert not Path("prelu-tools.toml").exists()


def test_a_check_has_the_options_of_the_export() -> None:
    touch("sr.keras")
    Path("lib").mkdir()
    Path("lib/sr.py").write_text("import keras\nclass FSRCNN(keras.Model): pass\n")
    with_options(
        "sr.onnx",
        "sr.keras",
        {
            "input": ["x:batch,h,w,1"],
            "custom_objects": ["sr.py:FSRCNN"],
            "input_range": {"x": [0, 4], "": [-1, 0.5]},
        },
    )
    assert init().code == 0
    assert written_checks() == [
        {
            "name": "sr",
            "reference": "sr.keras",
            "candidates": ["sr.onnx"],
            "input": ["x:batch,h,w,1"],
            "input_range": {"x": [0, 4], "": [-1, 0.5]},
            "custom_objects": ["lib/sr.py:FSRCNN"],
        }
    ]
    said = "# Move the --input and --custom-objects of the check to that command."
    assert said in Path("prelu-tools.toml").read_text().splitlines()


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
    touch("sr.keras")
    Path("sr.py").write_text("import keras\n")
    Path("tool.py").write_text("raise SystemExit\n")
    with_options("sr.onnx", "sr.keras", {key: value})
    found = cli("init")
    assert found.code == 0
    assert key not in written_checks()[0]
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
    touch("net.keras")
    with_options("net.onnx", "net.keras", options)
    assert init().code == 0
    assert set(written_checks()[0]) == {"name", "reference", "candidates"}


def test_files_exported_with_other_options_have_checks_of_their_own() -> None:
    touch("net.keras")
    for name, size in (("net.onnx", 8), ("net-fast.onnx", 8), ("net-big.onnx", 16)):
        with_options(name, "net.keras", {"input": [f"x:batch,{size}"]})
    assert sorted(pairs_of(init())) == [
        ("net.keras", ("net-big.onnx",)),
        ("net.keras", ("net.onnx", "net-fast.onnx")),
    ]


@pytest.mark.torch
def test_an_export_states_its_options_and_their_check_runs() -> None:
    Path("sub").mkdir()
    Path("sub/small.py").write_text(NETS)
    source, given = "sub/small.py:SmallNet", ("--input", "x:n,4", "--input-range", "x=0,4")
    assert cli("export", source, "-o", "net.onnx", *given).code == 0
    assert init().code == 0
    check = written_checks()[0]
    assert (check["input"], check["input_range"]) == (["x:n,4"], {"x": [0, 4]})
    found = cli("verify", "--format", "json")
    assert (found.code, found.json["summary"]["pass"]) == (0, 1)
