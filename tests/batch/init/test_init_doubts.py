"""`init`: what speaks against a pair is said before anything is run."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import onnx
import pytest
from init_folder import NETS, again, init, pairs_of, save_nets, stated, touch, written_checks
from running import cli
from tiny_models import save_dense, save_relu


def _codes() -> list[str]:
    Path("prelu-tools.toml").unlink(missing_ok=True)
    return [code for check in init().json["checks"] for code in check["note_codes"]]


def _keras(name: str, layer: str) -> None:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", f'{{"class_name": "{layer}"}}')


def test_a_file_of_another_version_is_named() -> None:
    touch("net.keras")
    stated("net.onnx", "net.keras", hashlib.sha256(b"").hexdigest())
    assert _codes() == []
    stated("net-fast.onnx", "net.keras", "0" * 64)
    assert _codes() == ["candidate_of_other_version"]
    Path("net-fast.onnx").unlink()
    Path("net.keras").rename("other.keras")
    assert _codes() == []


def test_a_stale_record_is_named() -> None:
    save_dense(Path("source.onnx"))
    stated("net.onnx", "source.onnx")
    assert cli("record", "source.onnx", "-o", "net.npz", "-q").code == 0
    assert _codes() == []
    stated("source.onnx", "elsewhere.pt2")
    assert _codes() == ["record_is_stale"]


def _make_stale() -> None:
    model = onnx.load("source.onnx")
    onnx.helper.set_model_props(model, {"trained": "again"})
    onnx.save(model, "source.onnx")


def test_a_stale_record_fails_in_a_list_that_init_wrote() -> None:
    save_dense(Path("source.onnx"))
    assert cli("export", "source.onnx", "-o", "net.onnx", "-q").code == 0
    assert cli("record", "source.onnx", "-o", "net.npz", "-q").code == 0
    (check,) = init().json["checks"]
    assert (check["options"], check["recorded_file"]) == ({"strict_warnings": True}, "source.onnx")
    assert written_checks()[0]["strict_warnings"]
    assert cli("verify", "-q").code == 0
    _make_stale()
    failed = cli("verify", "-q")
    assert (failed.code, failed.words) == (
        1, "FAIL 1 of 1; net: source.onnx has changed since net.npz was recorded: export and "
           "record it again (strict_warnings = true makes warnings fail)",
    )  # fmt: skip


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_check_that_has_warnings_anyway_does_not_get_strict_warnings(is_trained: bool) -> None:
    save_dense(Path("source.onnx"), **({} if is_trained else {"slopes": 0.25}))
    assert cli("record", "source.onnx", "-o", "net.npz", "-q").code == 0
    stated("net.onnx", "source.onnx")
    model = onnx.load("source.onnx")
    if is_trained:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, "net.onnx")
    (check,) = init().json["checks"]
    assert (check["options"], check["note_codes"]) == ({}, ["not_strict"])
    assert cli("verify", "-q").code == 0


def test_a_pair_by_name_is_doubted_where_the_file_names_another_source() -> None:
    touch("net.keras")
    stated("net.onnx", "train.py:Net@best.pt")
    assert _codes() == ["paired_by_name"]
    words = "says that it was exported from train.py:Net@best.pt, which was not found; it is"
    Path("prelu-tools.toml").unlink()
    assert words in cli("init", "--force").words
    save_nets("net.onnx")
    assert _codes() == []


@pytest.mark.parametrize(("layer", "is_listed"), [("PReLU", True), ("ReLU", False)])
def test_a_file_without_prelu_is_a_check_if_its_source_has_one(layer: str, is_listed: bool) -> None:
    save_relu(Path("net.onnx"))
    save_nets("other.onnx")
    touch("other.keras")
    _keras("net.keras", layer)
    assert _codes() == (["prelu_lost"] if is_listed else [])
    found = again().json
    assert [one["path"] for one in found["left_out"]] == ([] if is_listed else ["net.onnx"])


def test_a_class_has_prelu_if_what_it_is_made_of_has() -> None:
    Path("nets.py").write_text(
        NETS + "class Whole(nn.Module):\n    def __init__(self):\n        self.part = SmallNet()\n"
        "class Plain(nn.Module):\n    def __init__(self):\n        self.act = nn.ReLU()\n"
    )
    for name in ("whole.onnx", "plain.onnx"):
        save_relu(Path(name))
    found = init()
    assert pairs_of(found) == [("nets.py:Whole", ("whole.onnx",))]
    assert [one["path"] for one in found.json["left_out"]] == ["plain.onnx"]


def test_a_copy_without_prelu_is_compared_with_the_others() -> None:
    save_nets("net.onnx")
    for name in ("net-sim.onnx", "net-relu.onnx"):
        save_relu(Path(name))
    found = init()
    assert pairs_of(found) == [("net.onnx", ("net-sim.onnx",))]
    assert found.json["warnings"][0].startswith("net-sim.onnx has no PReLU, but net.onnx has: if")
    assert [one["path"] for one in found.json["left_out"]] == ["net-relu.onnx"]
