"""A record in place of a model: what is found with it is what is found with the model."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from running import Outcome, cli
from tampering import changed, set_slopes, swap
from text_nets import COLUMN, IMAGE, npz, save, verify
from tiny_models import save_dense

import prelu_tools
from prelu_tools import PReLUToolsError, UsageError
from prelu_tools.commands.record.command import _large
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.testing import assert_parity

KERNEL = np.random.default_rng(1).normal(size=(3, 3, 3, 3)).astype(np.float32)
CONV = "c = Conv<pads = [1, 1, 1, 1]>(x, kernel) "
_OF_REFERENCE = ("reference", "notes", "note_codes", "versions")


def _record(source: Path, target: Path, *options: object) -> Path:
    found = cli("record", source, "-o", target, "--force", "-q", *options)
    assert found.code == 0, found.err
    return target


def _both(source: Path, *candidates: Path, options: tuple[object, ...] = ()) -> Outcome:
    """What `verify` finds, with the model and with its record."""
    live = verify(source, *candidates, *options)
    replayed = verify(_record(source, source.with_suffix(".npz")), *candidates, *options)
    assert replayed.code == live.code
    ours, theirs = ({k: v for k, v in x.json.items() if k not in _OF_REFERENCE}
                    for x in (replayed, live))  # fmt: skip
    assert json.dumps(ours) == json.dumps(theirs)
    assert replayed.json["notes"][1:] == live.json["notes"]
    assert replayed.json["note_codes"][0] == "recorded_reference"
    return replayed


def _net(folder: Path, name: str, body: str, **constants: Any) -> Path:
    known = {"kernel": KERNEL, "a": COLUMN, **constants}
    used = {key: values for key, values in known.items() if f"{key})" in body or f"{key}," in body}
    return save(folder / f"{name}.onnx", body, **used)


def test_a_record_says_of_right_and_wrong_candidates_what_the_model_says(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    wrong = changed(net, tmp_path / "swapped.onnx", set_slopes("act", swap(0, 2)))
    biased = save_dense(tmp_path / "biased.onnx", bias=1e-3)
    found = _both(net, net, wrong, biased)
    assert [one["verdict"] for one in found.json["candidates"]] == ["pass", "fail", "fail"]
    assert found.json["candidates"][0]["power"]["detected"] > 0


@pytest.mark.parametrize(
    "form",
    [
        "m = Abs(c) u = Mul(c, plus) v = Mul(m, minus) y = Add(u, v)",
        "s = Relu(c) n = Neg(c) r = Relu(n) w = Mul(r, neg) y = Add(s, w)",
    ],
)
def test_layers_in_another_form_are_found_as_they_are_with_the_model(
    form: str, tmp_path: Path
) -> None:
    constants = {"plus": (1 + COLUMN) / 2, "minus": (1 - COLUMN) / 2, "neg": -COLUMN}
    net = _net(tmp_path, "net", f"{CONV} y = PRelu(c, a)")
    _both(net, _net(tmp_path, "other", CONV + form, **constants))


def test_a_layer_that_only_its_values_show_is_found_in_the_recorded_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prelu_tools.backends.onnxruntime.source import OnnxSource

    real = OnnxSource.located.func
    hidden = property(lambda source: () if source.path.name == "r.onnx" else real(source))
    monkeypatch.setattr(OnnxSource, "located", hidden)
    constants = {"plus": (1 + COLUMN) / 2, "minus": (1 - COLUMN) / 2}
    net = _net(tmp_path, "net", f"{CONV} y = PRelu(c, a)")
    halves = f"{CONV} m = Abs(c) u = Mul(c, plus) v = Mul(m, minus) y = Add(u, v)"
    found = _both(net, _net(tmp_path, "r", halves, **constants))
    (layer,) = found.json["candidates"][0]["layers"]
    assert (layer["verdict"], layer["found"]) == ("pass", "values")


def test_a_float16_candidate_has_limits_of_its_own(tmp_path: Path) -> None:
    net = _net(tmp_path, "net", f"{CONV} y = PRelu(c, a)")
    half = tmp_path / "half.onnx"
    assert cli("export", net, "-o", half, "--dtype", "float16", "-q").code == 0
    record = _record(net, tmp_path / "net.npz")
    found, wrong = verify(record, half), tmp_path / "wrong.onnx"
    assert found.code == 0
    assert any("float16" in note for note in found.json["notes"])
    changed(half, wrong, set_slopes("a", np.negative))
    assert verify(record, wrong).code == 1


def test_what_the_model_decides_is_known_to_the_record(tmp_path: Path) -> None:
    rows, out = "float[batch,4] x", "float[batch,4] y"
    body = """[act] p = PRelu(x, a) t = Tanh(p) m = ReduceMax <keepdims=0>(t) c = Greater(m, top)
        [choice] y = If (c) <
        then_branch = t () => (float[batch,4] ty) { ty = Mul(p, p) },
        else_branch = e () => (float[batch,4] ey) { ey = Identity(p) }>"""
    slopes = np.array([0.5, -0.25, 0.125, 2.0], np.float32)
    net = save(tmp_path / "net.onnx", body, rows, out, a=slopes, top=np.array(1.5, np.float32))
    found = _both(net, net, options=("--no-power",))
    assert found.json["reason_codes"] == ["branch_not_taken"] * 2


def test_no_check_with_the_record_of_a_random_model_passes(tmp_path: Path) -> None:
    rows, out = "float[batch,3] x", "float[batch,3] y"
    body = "[act] p = PRelu(x, a) r = RandomNormalLike(p) y = Add(p, r)"
    net = save(tmp_path / "net.onnx", body, rows, out, a=COLUMN.reshape(3))
    shown = cli("record", net, "-o", tmp_path / "shown.npz")
    assert "no check with it can pass: the reference: node" in shown.words
    found = verify(tmp_path / "shown.npz", net)
    assert found.code == 3
    assert "random_node" in found.json["reason_codes"]


def test_a_candidate_of_a_fixed_batch_is_given_the_rows_one_by_one(tmp_path: Path) -> None:
    body, fixed = f"{CONV} [a] y = PRelu(c, a)", IMAGE.replace("batch", "1")
    record = _record(_net(tmp_path, "net", body), tmp_path / "net.npz")
    one = save(tmp_path / "one.onnx", body, f"{fixed} x", f"{fixed} y", kernel=KERNEL, a=COLUMN)
    found = verify(record, one)
    assert (found.code, found.json["samples"]) == (0, verify(one, one).json["samples"])
    (layer,) = found.json["candidates"][0]["layers"]
    assert layer["max_abs_diff"] is not None
    wrong = changed(one, tmp_path / "wrong.onnx", set_slopes("a", np.negative))
    assert verify(record, wrong).code == 1
    three = fixed.replace("1,3", "3,3")
    save(tmp_path / "three.onnx", body, f"{three} x", f"{three} y", kernel=KERNEL, a=COLUMN)
    assert verify(record, tmp_path / "three.onnx").code == 0


def test_rows_that_depend_on_each_other_are_not_taken_apart(tmp_path: Path) -> None:
    body = "m = ReduceMean<keepdims = 1>(x, axis) s = Sub(x, m) y = PRelu(s, a)"
    axis, fixed = np.array([0]), IMAGE.replace("batch", "1")
    net = save(tmp_path / "net.onnx", body, a=COLUMN, axis=axis)
    one = save(tmp_path / "one.onnx", body, f"{fixed} x", f"{fixed} y", a=COLUMN, axis=axis)
    record = _record(net, tmp_path / "net.npz")
    found = verify(record, one)
    assert found.json["samples"] == 1  # the row that was recorded alone
    assert verify(record, net).code == 0


def test_sizes_that_were_not_recorded_are_named(tmp_path: Path) -> None:
    free, fixed = "float[batch,3,h,w]", "float[batch,3,31,17]"
    body = f"{CONV} y = PRelu(c, a)"
    net = save(tmp_path / "net.onnx", body, f"{free} x", f"{free} y", kernel=KERNEL, a=COLUMN)
    other = save(tmp_path / "one.onnx", body, f"{fixed} x", f"{fixed} y", kernel=KERNEL, a=COLUMN)
    record = _record(net, tmp_path / "net.npz")
    assert verify(record, net).code == 0
    found = cli("verify", record, other)
    assert found.code == 3
    assert f"record {net} with --input x:batch,3,31,17" in found.words
    again = _record(net, tmp_path / "again.npz", "--input", "x:batch,3,31,17")
    assert verify(again, other).code == 0


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    first, second = (_record(net, tmp_path / name) for name in ("a.npz", "b.npz"))
    assert first.read_bytes() == second.read_bytes()
    other = _record(net, tmp_path / "c.npz", "--seed", 1)
    assert other.read_bytes() != first.read_bytes()
    assert verify(other, net).json["seed"] == 1


def test_any_program_reads_it(tmp_path: Path) -> None:
    record = _record(save_dense(tmp_path / "net.onnx"), tmp_path / "net.npz")
    with np.load(record, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert (header["format"], header["format_version"]) == ("prelu-tools record", 1)
        (layer,) = header["layers"]
        np.testing.assert_array_equal(file[layer["layer"]["slopes"]], [[0.25, -0.5, 1.5]])
        run = header["runs"][0]
        assert file[run["inputs"]["x"]].shape == (16, 4)
        output = run["outputs"]["y"]
        assert file[output["given"]].shape == file[output["spread"]["scale"]].shape == (16, 3)
        assert len(file.files) == len(set(file.files))


@pytest.mark.parametrize(
    "option",
    [
        ("--seed", 3),
        ("--samples", 4),
        ("--search-seconds", 1),
        ("--input-range", "0,1"),
        ("--input", "x:batch,5"),
        ("--inputs", "inputs.npz"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    option: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    npz(tmp_path / "inputs.npz", x=np.ones((2, 4), np.float32))
    net = save_dense(tmp_path / "net.onnx")
    record = _record(net, tmp_path / "net.npz")
    found = cli("verify", record, net, *option)
    assert found.code == 2
    assert f"{option[0]} would be ignored: {record} is a record" in found.words


def test_what_the_record_was_made_with_may_be_said_again(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    asked = ("--seed", 3, "--samples", 4, "--input-range", "x=0,1")
    record = _record(net, tmp_path / "net.npz", *asked)
    found = verify(record, net, *asked)
    assert (found.code, found.json["samples"], found.json["seed"]) == (0, 4, 3)


def test_inputs_of_a_file_are_recorded(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    inputs = npz(tmp_path / "inputs.npz", x=-np.ones((2, 4), np.float32))
    record = _record(net, tmp_path / "net.npz", "--inputs", inputs)
    assert verify(record, net).json["samples"] == 2


def test_a_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"{CONV} [a] d = PRelu(c, a) y = ReduceMean<keepdims = 1>(d, axes)"
    out = "float[batch,3,1,1] y"
    constants = {"kernel": KERNEL, "a": COLUMN, "axes": np.array([2, 3])}
    net = save(tmp_path / "net.onnx", body, f"{IMAGE} x", out, **constants)
    small = tmp_path / "small.npz"
    shown = cli("record", net, "-o", small, "--max-size", 0.01)
    assert "layer values are kept for" in shown.words
    assert verify(small, net).code == 0
    wrong = changed(net, tmp_path / "wrong.onnx", set_slopes("a", np.negative))
    assert verify(small, wrong).code == 1
    monkeypatch.setattr("prelu_tools.commands.record.keeping.INNER", 0.005)
    usual = cli("record", net, "-o", tmp_path / "usual.npz")
    assert "layer values are kept for" in usual.words
    assert "runs: they take at most 0.005 MB without --max-size" in usual.words
    assert verify(tmp_path / "usual.npz", wrong).code == 1
    whole = cli("record", net, "-o", tmp_path / "whole.npz", "--max-size", 1)
    assert "layer values" not in whole.words
    refused = cli("record", net, "-o", tmp_path / "none.npz", "--max-size", 0.001)
    assert refused.code == 3
    assert "--max-size 0.001" in refused.words
    assert not (tmp_path / "none.npz").exists()


def test_limits_that_were_left_out_are_named(tmp_path: Path) -> None:
    net = _net(tmp_path, "net", f"{CONV} [a] y = PRelu(c, a)")
    half, small = tmp_path / "half.onnx", tmp_path / "small.npz"
    assert cli("export", net, "-o", half, "--dtype", "float16", "-q").code == 0
    assert cli("record", net, "-o", small, "--max-size", 0.015, "-q").code == 0
    found = cli("verify", small, half)
    assert found.code == 3
    assert "has no limits for float16: --max-size 0.015 left no room" in found.words
    assert verify(small, net).code == 0


def test_a_record_is_no_model(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    record = _record(net, tmp_path / "net.npz")
    swapped = cli("verify", net, record)
    assert (swapped.code, "give it first, as the REFERENCE" in swapped.words) == (2, True)
    again = cli("record", record, "-o", tmp_path / "b.npz")
    assert (again.code, "is a record already" in again.words) == (2, True)
    for command in ("export", "optimize"):
        found = cli(command, record, "-o", tmp_path / f"{command}.onnx")
        assert found.code in (2, 3), found.words
        assert "record" in found.words
        assert "This is a bug" not in found.words


def test_the_output_is_refused_before_anything_runs(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    record = _record(net, tmp_path / "net.npz")
    assert "use --force" in cli("record", net, "-o", record).words
    assert "ends in .npz" in cli("record", net, "-o", tmp_path / "net.onnx").words
    assert cli("record", net, "-o", tmp_path / "none" / "x.npz").code == 2


def test_inspect_shows_its_slopes(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    record = _record(net, tmp_path / "net.npz")
    live, kept = (cli("inspect", one, "--format", "json").json for one in (net, record))
    assert kept["layers"] == live["layers"]
    assert kept["model"]["format"] == "onnx"
    assert any("is a record of" in note for note in kept["notes"])
    assert cli("inspect", net, record).code == 0


def test_programs_and_tests_take_it(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    made = prelu_tools.record(net, tmp_path / "net.npz", samples=3)
    assert (made.samples, made.n_layers, made.n_observed) == (3, 1, made.n_runs)
    assert "net.npz" in "".join(str(made).split())
    assert prelu_tools.verify(made.path, net)
    assert_parity(made.path, net)
    wrong = save_dense(tmp_path / "wrong.onnx", slopes=(0.25, -0.5, 1.25))
    with pytest.raises(AssertionError, match="Not equal"):
        assert_parity(made.path, wrong)
    with pytest.raises(UsageError, match="samples would be ignored"):
        prelu_tools.verify(made.path, net, samples=5)
    with pytest.raises(PReLUToolsError, match="already exists"):
        prelu_tools.record(net, made.path)


def test_what_was_written_is_shown_in_every_format(tmp_path: Path) -> None:
    net, record = save_dense(tmp_path / "net.onnx"), tmp_path / "net.npz"
    told = cli(
        "record", net, "-o", record, "--format", "json", "--report", f"markdown={tmp_path}/m"
    )
    assert told.json["kind"] == "record"
    assert told.json["n_bytes"] == record.stat().st_size
    shown = cli("record", net, "-o", record, "--force").words
    for text in (shown, (tmp_path / "m").read_text(encoding="utf-8")):
        assert "3 of 3 slopes reached by a negative value" in text
        assert "format 1" in text


def test_lists_take_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = save_dense(tmp_path / "net.onnx")
    _record(net, tmp_path / "net.npz")
    table = '[[checks]]\nreference = "net.npz"\ncandidates = ["net.onnx"]\n'
    (tmp_path / "prelu-tools.toml").write_text(table, encoding="utf-8")
    assert cli("verify").code == 0
    assert cli("verify", "{stem}.npz", "{stem}.onnx").code == 0
    (tmp_path / "prelu-tools.toml").write_text(f"{table}samples = 3\n", encoding="utf-8")
    found = cli("verify")
    assert found.code == 3
    assert "samples would be ignored" in found.words


def test_a_bundle_of_a_failure_names_the_record(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    record = _record(net, tmp_path / "net.npz")
    wrong = save_dense(tmp_path / "wrong.onnx", slopes=(0.25, -0.5, 1.25))
    assert cli("verify", record, wrong, "--bundle", tmp_path / "bundle").code == 1
    command = (tmp_path / "bundle" / "command.txt").read_text().split()
    assert command[:4] == ["prelu-tools", "verify", str(record), str(wrong)]
    assert cli(*command[1:]).code == 1


@pytest.mark.torch
def test_sizes_come_from_the_file_that_was_exported_from_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sized.py").write_text(
        "from torch import nn\n"
        "def net(n):\n    return nn.Sequential(nn.Conv1d(2, n, 3), nn.PReLU(n))\n"
    )
    alone = cli("record", "sized.py:net(3)", "-o", "net.npz")
    assert alone.code == 2
    assert "a name such as batch makes that size dynamic" in alone.words
    options = ("--input", "input:batch,2,40", "--no-verify")
    assert cli("export", "sized.py:net(3)", "-o", "net.onnx", *options).code == 0
    assert cli("record", "sized.py:net(4)", "-o", "net.npz").code == 2
    monkeypatch.setattr("prelu_tools.commands.record.command._LARGE", 2_000)
    found = cli("record", "sized.py:net(3)", "-o", "net.npz", "--samples", 2, "--format", "json")
    assert found.code == 0, found.err
    assert "those of net.onnx are used (input:batch,2,40)" in found.json["notes"][0]
    assert found.json["note_codes"][-1] == "record_is_large"
    large = "is large for a file in Git: record smaller sizes (--input), or use Git LFS"
    assert found.json["notes"][-1].endswith(large)
    assert cli("verify", "net.npz", "net.onnx", "--no-power", "-q").code == 0
    proto = onnx.load("net.onnx")
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 50
    onnx.save(proto, "other.onnx")
    found = cli("record", "sized.py:net(3)", "-o", "net.npz", "--samples", 2, "--force")
    assert found.code == 0
    assert (
        "warning the model's input sizes are not known: those of net.onnx are used" in found.words
    )
    assert "but other.onnx has input:batch,2,50: --input chooses" in found.words
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "t"
    onnx.save(proto, "other.onnx")  # which has no size of its own
    again = ("record", "sized.py:net(3)", "-o", "net.npz", "--samples", 2, "--force")
    assert "--input chooses" not in cli(*again).words
    Path("other.onnx").rename("first.onnx")  # may be recorded at other sizes than net.onnx fixes
    found = cli(*again)
    assert "but net.onnx has input:batch,2,40: --input chooses" in found.words


def test_a_record_of_another_version_of_its_source_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    source = _net(tmp_path, "net", "y = PRelu(x, a)")
    assert cli("export", source, "-o", "exported.onnx").code == 0
    record = _record(Path("net.onnx"), Path("there/net.npz"))

    said: list[str] = []

    def codes() -> list[str | None]:
        found = verify(record, "exported.onnx", "--no-power")
        assert found.json["verdict"] == "pass"
        said[:] = found.json["notes"]
        return list(found.json["note_codes"])

    fresh = codes()
    assert not {"record_is_stale", "candidate_of_other_version"} & set(fresh)
    old = source.read_bytes()
    _net(tmp_path, "net", "u = Identity(x) y = PRelu(u, a)")
    assert codes() == [*fresh, "record_is_stale"]
    both = f"net.onnx has changed since {record} was recorded: export and record it again"
    assert said[-1] == both
    strict = verify(record, "exported.onnx", "--no-power", "--strict-warnings")
    assert (strict.code, strict.json["reason_codes"]) == (1, ["has_warnings"])
    assert strict.json["reasons"] == [f"{both} (--strict-warnings makes warnings fail)"]
    record = _record(Path("net.onnx"), Path("there/net.npz"))
    assert codes() == [*fresh, "candidate_of_other_version"]
    assert said[-1].endswith("was recorded from: export it again")
    source.rename("there/net.onnx")  # beside the record
    assert codes() == [*fresh, "candidate_of_other_version"]
    Path("there/net.onnx").write_bytes(old)
    assert codes() == [*fresh, "record_is_stale", "candidate_of_other_version"]
    assert all(note.endswith(": record it again") for note in said[-2:])
    Path("there/net.onnx").unlink()
    assert codes() == [*fresh, "record_not_checked", "candidate_of_other_version"]
    assert said[-2] == f"net.onnx is not here, so whether {record} is up to date was not checked"
    assert said[-1].endswith("was recorded from: export or record it again")


def test_a_large_file_is_named_with_what_makes_it_smaller() -> None:
    assert list(_large(5_000_000, 16)) == []
    (note,) = _large(17_507_777, 16)
    assert note.code == "record_is_large"
    assert note == (
        "17.5 MB is large for a file in Git: record fewer samples (--samples 4) or smaller sizes "
        "(--input), or use Git LFS"
    )


def test_a_file_that_fails_is_said_to_be_exported_from_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = _net(tmp_path, "net", "y = PRelu(x, a)")
    assert cli("export", "net.onnx", "-o", "exported.onnx", "-q").code == 0

    def codes(code: int) -> list[str | None]:
        found = verify(Path("net.onnx"), "exported.onnx", "--no-power")
        assert found.code == code
        assert "candidate_of_other_version" not in found.json["note_codes"]
        return list(found.json["reason_codes"])

    assert codes(0) == []
    _net(tmp_path, "net", "u = Identity(x) [a] y = PRelu(u, a)")
    assert codes(0) == []  # saved again, and the same
    changed(source, source, set_slopes("a", np.negative))
    assert codes(1)[-1] == "candidate_of_other_version"


def test_a_git_lfs_pointer_is_compared_by_the_hash_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = _net(tmp_path, "net", "y = PRelu(x, a)")
    assert cli("export", source, "-o", "exported.onnx").code == 0
    record = _record(Path("net.onnx"), Path("net.npz"))
    fresh = verify(record, "exported.onnx", "--no-power").json["note_codes"]
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    for oid, more in ((sha256, []), ("0" * 64, ["record_is_stale"])):
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 3\n"
        source.write_text(text)
        found = verify(record, "exported.onnx", "--no-power")
        assert (found.code, found.json["note_codes"]) == (0, [*fresh, *more])
    with pytest.raises(PReLUToolsError, match="is a Git LFS pointer, not the file: run git lfs"):
        sha256_of(tmp_path)  # the hash of a folder is not in the pointers


def test_a_record_that_does_not_say_what_was_in_its_source_is_read(tmp_path: Path) -> None:
    source = _net(tmp_path, "net", "y = PRelu(x, a)")
    record = _record(source, tmp_path / "net.npz")
    with np.load(record) as file:
        arrays = {name: file[name] for name in file.files}
    header = json.loads(arrays["header"].tobytes())
    assert header["source_file"]["source"] == "net.onnx"
    for made_of in (None, {**header["source_file"], "path": "/"}, {"path": 3}):
        header["source_file"] = made_of
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(record, **arrays)
        found = verify(record, source, "--no-power")
        assert found.code == (3 if made_of == {"path": 3} else 0)
    del header["source_file"]
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(record, **arrays)
    assert verify(record, source, "--no-power").code == 0
