"""`init`: which models it takes for pairs, by their names and places, and which it leaves out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from init_folder import NETS, again, init, pairs_of, save_nets, stated, touch, written_checks
from running import cli
from tiny_models import save_dense, save_relu


def test_sources_go_with_the_onnx_file_of_their_stem() -> None:
    save_nets("a.onnx", "out/b.onnx", "c.onnx", "d.onnx", "e.onnx")
    touch("a.keras", "a.h5", "src/b.pt2", "c/saved_model.pb", "d.h5", "e.weights.h5")
    found = init()
    pairs = pairs_of(found)
    assert sorted(pairs) == [
        ("a.keras", ("a.onnx",)),
        ("c", ("c.onnx",)),
        ("d.h5", ("d.onnx",)),
        ("src/b.pt2", ("out/b.onnx",)),
    ]
    assert [one["path"] for one in found.json["left_out"]] == ["e.onnx"]
    assert [(one["reference"], tuple(one["candidates"])) for one in written_checks()] == pairs_of(
        found
    )


def test_the_only_file_belongs_to_the_only_class_and_weights_whatever_their_names() -> None:
    Path("model.py").write_text("class Upscaler(nn.Module):\n    def forward(self, x): pass\n")
    save_nets("x2.onnx")
    touch("upscaler_x2.pth")
    assert pairs_of(init()) == [("model.py:Upscaler@upscaler_x2.pth", ("x2.onnx",))]
    touch("epoch-9.pt")
    assert pairs_of(again()) == [("model.py:Upscaler", ("x2.onnx",))]
    Path("model.py").unlink()
    touch("best.keras", "LICENSE")
    assert pairs_of(again()) == [("best.keras", ("x2.onnx",))]
    save_nets("other.onnx")
    Path("prelu-tools.toml").unlink()
    found = cli("init")
    assert found.code == 3
    assert "x2.onnx: no source has this name" in found.words


def test_a_source_in_the_same_folder_is_nearer_and_two_elsewhere_are_none() -> None:
    save_nets("x/net.onnx", "y/net.onnx")
    touch("x/net.keras", "z/net.keras", "w/other.keras")
    assert pairs_of(init()) == [("x/net.keras", ("x/net.onnx",))]


def test_python_is_parsed_and_named_by_class_or_file() -> None:
    Path("nets.py").write_text(NETS)
    Path("alone.py").write_text("import keras\ndef net() -> keras.Model:\n    raise SystemExit\n")
    Path("broken.py").write_text("class Net(nn.Module\n")
    Path("test_nets.py").write_text("class Other(Module): pass\n")
    save_nets(
        "small_net.onnx",
        "inherited.onnx",
        "told.onnx",
        "sized.onnx",
        "made.onnx",
        "alone.onnx",
        "other.onnx",
    )
    touch("told.safetensors")
    found = init()
    assert sorted(pairs_of(found)) == [
        ("alone.py:net", ("alone.onnx",)),
        ("nets.py:Inherited", ("inherited.onnx",)),
        ("nets.py:Sized(size=SIZE, depth=DEPTH)", ("sized.onnx",)),
        ("nets.py:SmallNet", ("small_net.onnx",)),
        ("nets.py:Told@told.safetensors", ("told.onnx",)),
        ("nets.py:made", ("made.onnx",)),
    ]
    assert {one["reference"]: one.get("input") for one in written_checks()} == {
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
    save_nets("sized.onnx")
    touch("epoch-3.pt")
    found = cli("init")
    assert found.code == 0
    assert "give size and depth and uncomment the check of sized.onnx" in found.words
    assert "0 checks, 1 to complete, not run yet next: prelu-tools verify (once they" in found.words
    text = Path("prelu-tools.toml").read_text()
    label = "nets.py:Sized(size=SIZE, depth=DEPTH)@epoch-3.pt"
    assert f'# reference = "{label}"' in text
    assert "complete the checks in its comments" in cli("verify").words
    completed = text.replace("size=SIZE, depth=DEPTH", "3, depth=1").splitlines()
    at = completed.index("# [[checks]]")
    completed[at : at + 4] = [line.removeprefix("# ") for line in completed[at : at + 4]]
    Path("prelu-tools.toml").write_text("\n".join(completed))
    assert written_checks()[0]["reference"] == "nets.py:Sized(3, depth=1)@epoch-3.pt"


@pytest.mark.torch
def test_what_it_writes_for_python_runs() -> None:
    Path("small.py").write_text(NETS)
    assert (
        cli("export", "small.py:SmallNet", "-o", "smallnet.onnx", "--input", "x:batch,4").code == 0
    )
    assert init().code == 0
    found = cli("verify", "--format", "json")
    assert (found.code, found.json["summary"]["pass"]) == (0, 1)


def test_variants_go_along_or_are_named_in_a_comment() -> None:
    save_nets("net.onnx", "net-fast.onnx", "net_int8.onnx", "net.fp16.onnx", "network.onnx")
    touch("net.keras", "network.keras")
    found = init()
    assert pairs_of(found) == [
        ("net.keras", ("net.onnx", "net-fast.onnx")),
        ("network.keras", ("network.onnx",)),
    ]
    assert found.json["checks"][0]["variants"] == ["net.fp16.onnx", "net_int8.onnx"]
    assert (
        'their own tolerance: "net.fp16.onnx", "net_int8.onnx"'
        in Path("prelu-tools.toml").read_text()
    )


def test_another_type_is_told_by_the_operators_too() -> None:
    touch("net.keras")
    stated("net.onnx", "net.keras")
    stated("other.onnx", "net.keras")
    model = onnx.load("other.onnx")
    scale = onnx.numpy_helper.from_array(np.float32(1), "scale")
    model.graph.initializer.append(scale)
    codes = onnx.helper.make_node("QuantizeLinear", [model.graph.input[0].name, "scale"], ["codes"])
    model.graph.node.append(codes)
    onnx.save(model, "other.onnx")
    found = init()
    assert pairs_of(found) == [("net.keras", ("net.onnx",))]
    assert found.json["checks"][0]["variants"] == ["other.onnx"]


def test_many_pairs_that_are_alike_are_one_glob() -> None:
    names = ("a", "b", "c", "d")
    save_nets(*(f"out/{name}.onnx" for name in names))
    touch(*(f"src/{name}.keras" for name in names))
    assert pairs_of(init()) == [("src/*.keras", ("out/{stem}.onnx",))]
    touch("src/e.keras")
    assert len(pairs_of(again())) == 4  # the glob would find one more


def test_a_glob_that_it_writes_runs() -> None:
    names = ("a", "b", "c", "d")
    save_nets(*(f"{name}.onnx" for name in names), *(f"{name}-opt.onnx" for name in names))
    assert init().code == 0
    assert cli("verify", "--format", "json").json["summary"]["pass"] == 4


def test_what_has_no_prelu_or_cannot_be_read_is_left_out_and_hidden_folders_are_not_seen() -> None:
    save_nets("net.onnx", "net-fast.onnx", ".cache/x.onnx", "env/y.onnx", "node_modules/z.onnx")
    touch("env/pyvenv.cfg", "broken.onnx")
    save_relu(Path("relu.onnx"))
    left = {one["path"]: one["reason"] for one in init().json["left_out"]}
    assert set(left) == {"broken.onnx", "relu.onnx"}
    assert left["relu.onnx"] == "it has no PReLU"
    assert left["broken.onnx"].startswith("it cannot be read: ")


def test_a_record_is_a_reference(tmp_path: Path) -> None:
    save_dense(tmp_path / "net.onnx")
    save_dense(tmp_path / "other.onnx")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    assert cli("record", "net.onnx", "-o", "net.npz", "-q").code == 0
    assert pairs_of(init()) == [("net.npz", ("net.onnx",))]
    assert "prelu-tools record" not in Path("prelu-tools.toml").read_text()
    assert cli("verify", "-q").code == 0


def test_records_are_offered_where_a_framework_is_needed(tmp_path: Path) -> None:
    save_dense(tmp_path / "net.onnx")
    (tmp_path / "net.keras").write_bytes(b"")
    init()
    text = Path("prelu-tools.toml").read_text()
    assert "# To check without the framework: prelu-tools record" in text
    assert "# Give record the" not in text


def test_a_record_is_said_to_take_the_place_of_its_model() -> None:
    save_dense(Path("net.onnx"))
    assert cli("record", "net.onnx", "-o", "net.npz", "-q").code == 0
    save_nets("other.onnx", "other-fast.onnx")
    found = init()
    assert [one["record_of"] for one in found.json["checks"]] == ["net.onnx", None]
    Path("prelu-tools.toml").unlink()
    said = cli("init", "--force").words
    assert "record net.npz: used in place of net.onnx" in said
    assert "other.npz" not in said
