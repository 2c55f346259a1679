"""Results to standard output, all else to standard error; files whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense, save_prelu


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_dense(tmp_path / "net.onnx")


def _other(net: Path) -> Path:
    return save_dense(net.with_name("other.onnx"), slopes=(0.25, -0.5, 1.25))


def test_the_table_is_plain_and_fits_eighty_columns(net: Path) -> None:
    for arguments in (("inspect", net), ("verify", net, _other(net))):
        out = cli(*arguments).out
        assert "\x1b" not in out
        assert max(len(line) for line in out.splitlines() if str(net.parent) not in line) <= 80
        assert not any(line != line.rstrip() for line in out.splitlines())


def test_a_long_path_does_not_widen_the_table(tmp_path: Path) -> None:
    folder = tmp_path / ("a_folder_of_a_long_name_" * 4)
    folder.mkdir()
    name = "block.of.many.parts." * 4 + "act"
    path = save_prelu(folder / "net.onnx", layer=name)
    for arguments in (("inspect", path), ("verify", path, path)):
        out = cli(*arguments).out
        table = [line for line in out.splitlines() if "/" not in line and name not in line]
        assert max(map(len, table)) <= 80


def test_the_table_shows_what_the_contract_names(net: Path) -> None:
    out = " ".join(cli("inspect", net).out.split())
    for words in ("1 PReLU layer", "3 slopes", "act", "prelu", "channel", "0.417", "-0.500", "33%"):
        assert words in out


def test_slopes_are_shown_on_request(net: Path) -> None:
    assert "0.25, -0.5, 1.5" not in " ".join(cli("inspect", net).out.split())
    assert "0.25, -0.5, 1.5" in " ".join(cli("inspect", net, "--slopes").out.split())


def test_the_table_of_verify_names_what_failed(net: Path) -> None:
    out = " ".join(cli("verify", net, _other(net)).out.split())
    for words in ("FAIL", "differ", "16 samples, seed 0", "act: 1 of 3 slopes differ"):
        assert words in out
    assert "PASS" not in out
    out = " ".join(cli("verify", net, net).out.split())
    assert "PASS" in out
    assert "equal" in out
    assert "FAIL" not in out


@pytest.mark.parametrize("arguments", [("inspect",), ("verify", "again")])
def test_quiet_shows_nothing_of_what_passes(net: Path, arguments: tuple[str, ...]) -> None:
    found = cli(arguments[0], *[net, net][: len(arguments)], "-q")
    assert (found.code, found.out, found.err) == (0, "", "")


def test_quiet_says_what_fails_in_one_line(net: Path, tmp_path: Path) -> None:
    found = cli("verify", net, _other(net), "-q")
    assert (found.code, found.out) == (1, "")
    assert found.err.startswith("FAIL  ")
    assert found.err.count("\n") == 1
    assert "other.onnx" in found.err
    nothing = cli("verify", net, tmp_path / "no.onnx", "-q")
    assert (nothing.code, nothing.out) == (3, "")
    assert nothing.err.startswith("INCONCLUSIVE  ")


@pytest.mark.parametrize("form", ["json", "markdown", "html", "junit", "github", "sarif"])
def test_quiet_keeps_the_document_that_is_asked_for(net: Path, form: str) -> None:
    command = ("verify", net, _other(net), "--no-power", "--format", form)
    found, loud = cli(*command, "-q"), cli(*command)
    assert found.code == 1
    assert len(found.out) == len(loud.out) > 0  # but for how long it took
    assert found.err.startswith("FAIL  ")
    assert cli("verify", net, _other(net), "-q", "--format", "table").out == ""


def test_the_files_that_are_written_are_named(net: Path, tmp_path: Path) -> None:
    page, inputs = (str(tmp_path / name) for name in ("a.html", "in.npz"))
    assert cli("inspect", net, "--report", f"html={page}").err == f"wrote {page}\n"
    assert cli("inspect", net, "--report", f"html={page}", "-q").err == ""
    assert cli("inspect", net, "--report", "json=-").err == ""
    bundle = tmp_path / "bundle"
    more = ("--save-inputs", inputs, "--bundle", bundle, "--report", f"json={page}")
    failed = cli("verify", net, _other(net), *more)
    assert (failed.code, failed.err) == (1, f"wrote {page}, {inputs}, {bundle}/\n")
    passed = cli("verify", net, net, "--bundle", tmp_path / "none", "--samples", 2)
    assert (passed.code, passed.err) == (0, "")  # a bundle is of a failure
    again = cli("verify", net, net, "--inputs", inputs, "--results", tmp_path / "r.jsonl")
    assert again.err == f"wrote {tmp_path / 'r.jsonl'}\n"


def test_a_figure_is_named_after_the_reports(net: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page, plot = (str(tmp_path / name) for name in ("a.html", "a.png"))
    found = cli("inspect", net, "--report", f"html={page}", "--plot", plot)
    assert found.err == f"wrote {page}, {plot}\n"
    assert cli("inspect", net, "--report", f"html={page}", "--plot", plot, "-q").err == ""


def test_quiet_does_not_silence_errors(tmp_path: Path) -> None:
    found = cli("inspect", tmp_path / "missing.onnx", "-q")
    assert found.err.startswith("Error: ")


def test_quiet_writes_reports_all_the_same(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert cli("inspect", net, "-q", "--report", f"json={path}").out == ""
    assert json.loads(path.read_text())["kind"] == "inspect"


def test_a_report_is_what_standard_output_would_be(net: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.txt"
    found = cli(
        "inspect", net, "--format=json", "--report", f"json={first}", "--report", f"table={second}"
    )
    assert first.read_text() == found.out
    assert second.read_text() == cli("inspect", net).out


def test_a_dash_is_standard_output(net: Path) -> None:
    found = cli("inspect", net, "--report", "json=-", "-q")
    assert found.json["kind"] == "inspect"
    assert not Path("-").exists()
    both = cli("inspect", net, "--report", "json=-").out
    assert both == found.out + cli("inspect", net).out


def test_a_report_is_written_for_a_verdict_that_fails(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    found = cli("verify", net, _other(net), "-q", "--report", f"json={path}")
    assert found.code == 1
    assert json.loads(path.read_text())["verdict"] == "fail"


def test_an_old_report_is_replaced_whole(net: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("x" * 100_000)
    assert cli("inspect", net, "-q", "--report", f"json={path}").code == 0
    assert json.loads(path.read_text())["kind"] == "inspect"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "report.json"]


def test_a_report_that_cannot_be_written_leaves_nothing_and_is_no_verdict(
    net: Path, tmp_path: Path
) -> None:
    path = tmp_path / "nowhere" / "report.json"
    found = cli("inspect", net, "--report", f"json={path}")
    assert found.code == 2  # said before anything runs
    assert f"{path} cannot be written" in found.err
    folder = tmp_path / "folder.json"
    folder.mkdir()
    assert cli("inspect", net, "--report", f"json={folder}").code == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.json", "net.onnx"]


def test_no_report_is_written_where_there_is_no_result(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    assert cli("inspect", tmp_path / "no.onnx", "--report", f"json={path}").code == 3
    assert path.read_text() == "old"


def test_the_same_request_gives_the_same_bytes(net: Path) -> None:
    for arguments in (("inspect", net, "--slopes"), ("verify", net, _other(net))):
        for form in ("table", "json"):
            first, second = (cli(*arguments, "--format", form).out for _ in range(2))
            assert first == second
