"""Formats, report files and figures: what each command can write, and what it refuses."""

from __future__ import annotations

import csv
import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from onnx import helper
from running import cli, process
from tiny_models import save_graph, save_prelu

from prelu_tools.cli.commands.inspect import _FIGURES
from prelu_tools.cli.main import _COMMANDS
from prelu_tools.reports import commands_with, formats_of

EVERYWHERE = ("table", "json", "markdown", "html")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_prelu(tmp_path / "net.onnx")


@pytest.mark.parametrize("command", sorted({*_COMMANDS} - {"completion"}))  # it prints a script
def test_each_format_of_each_command_is_a_module_and_stands_in_its_help(command: str) -> None:
    forms = formats_of(command)
    assert forms[:4] == EVERYWHERE
    for form in forms:
        assert callable(importlib.import_module(f"prelu_tools.reports.writers.{form}").render)
    assert f"[{'|'.join(forms)}]" in cli(command, "--help").words


def test_it_is_known_which_commands_have_a_format() -> None:
    assert commands_with("csv") == ("inspect",)
    assert commands_with("sarif") == commands_with("github") == ("inspect", "verify")
    assert commands_with("html") == commands_with("table") == commands_with("nonsense") == ()


def test_inspect_writes_each_of_its_formats(model: Path) -> None:
    assert json.loads(cli("inspect", model, "--format", "json").out)["kind"] == "inspect"
    (row,) = csv.DictReader(io.StringIO(cli("inspect", model, "--format", "csv").out))
    assert (row["layer"], row["max"]) == ("act", "1.5")
    assert cli("inspect", model, "--format", "markdown").out.startswith("## `")
    assert cli("inspect", model, "--format", "html").out.startswith("<!DOCTYPE html>")
    assert "act   prelu per channel 3" in cli("inspect", model).out


@pytest.mark.parametrize(
    ("form", "command"),
    [
        *(("csv", command) for command in ("verify", "export", "doctor", "init")),
        *(("github", command) for command in ("doctor", "export", "init")),
    ],
)
def test_a_format_that_makes_no_sense_for_a_command_is_a_usage_error(
    command: str, form: str
) -> None:
    arguments = {"verify": ("a", "b"), "export": ("a", "-o", "b.onnx"), "inspect": ("a",)}
    for option in (("--format", form), ("--report", f"{form}=x")):
        found = cli(command, *arguments.get(command, ()), *option)
        assert (found.code, found.out) == (2, "")
        others = ", ".join(commands_with(form))
        assert f"'{form}' is for {others}; {command} has table, json, markdown, html" in found.words


def test_an_unknown_format_is_a_usage_error(model: Path) -> None:
    found = cli("inspect", model, "--report", "xls=x.xls")
    assert found.code == 2
    assert (
        "'xls' is not a valid format; inspect has table, json, markdown, html, csv" in found.words
    )
    assert cli("inspect", model, "--report", "json").code == 2
    assert cli("inspect", model, "--report", "json=").code == 2


def test_reports_go_to_files_beside_what_is_shown(model: Path, tmp_path: Path) -> None:
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    found = cli("inspect", model, "--report", f"html={page}", "--report", f"csv={rows}")
    assert found.code == 0
    assert "1 PReLU layer" in found.out
    assert page.read_text(encoding="utf-8").endswith("</html>\n")
    assert rows.read_text(encoding="utf-8").startswith("model,layer,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "page.html", "rows.csv"]


def test_a_report_that_cannot_be_written_is_no_verdict(model: Path, tmp_path: Path) -> None:
    found = cli("inspect", model, "--report", f"csv={tmp_path}")
    assert found.code == 3
    assert f"{tmp_path} cannot be written" in found.err
    assert "1 PReLU layer" in found.out  # the result is not lost


@pytest.mark.parametrize(
    "line",
    [
        ("inspect", "gone.onnx", "--report", "csv=nowhere/x.csv"),
        ("inspect", "gone.onnx", "--plot", "nowhere/x.png"),
        ("inspect", "gone.onnx", "--results", "nowhere/x.jsonl"),
        ("verify", "gone.py:Net", "gone.onnx", "--baseline", "nowhere/b.json", "--update-baseline"),
        ("verify", "gone.py:Net", "gone.onnx", "--save-inputs", "nowhere/x.npz"),
        ("export", "gone.py:Net", "-o", "net.onnx", "--report", "json=nowhere/x.json"),
    ],
)
def test_a_folder_that_is_not_there_is_said_before_anything_runs(
    line: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = cli(*line)
    assert (found.code, found.out) == (2, "")
    assert "cannot be written: there is no folder nowhere" in found.err
    assert "gone" not in found.err


def test_a_report_may_lie_in_a_folder_that_the_run_makes(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_prelu(tmp_path / "other.onnx", (0.25, 0.5, 1.5))
    batch = ("export", "net.onnx", "other.onnx", "--no-verify", "-q")
    assert cli(*batch, "-o", "out", "--report", "json=out/all.json").code == 0
    assert cli(*batch, "-o", "in/{stem}.onnx", "--report", "json=in/all.json").code == 0
    (tmp_path / "list.csv").write_text("source,output\nnet.onnx,made/net.onnx\n")
    assert cli("export", "list.csv", "--no-verify", "--report", "json=made/all.json").code == 0
    made = ("verify", "net.onnx", "other.onnx", "--no-power", "-q")
    assert cli(*made, "--bundle", "seen", "--report", "json=seen/all.json").code == 1
    assert all((tmp_path / name / "all.json").is_file() for name in ("out", "in", "made", "seen"))


def test_two_models_have_every_format_and_no_figure(model: Path, tmp_path: Path) -> None:
    other = save_prelu(tmp_path / "other.onnx", (0.25, 0.5, 1.5))
    assert cli("inspect", model, other, "--format", "json").json["kind"] == "inspect-compare"
    (row,) = csv.DictReader(io.StringIO(cli("inspect", model, other, "--format", "csv").out))
    assert (row["max_abs_change"], row["n_sign_changes"]) == ("1.0", "1")
    assert "| `act` |" in cli("inspect", model, other, "--format", "markdown").out
    assert " -&gt; 0.5 (channel 1)" in cli("inspect", model, other, "--format", "html").out
    found = cli("inspect", model, other, "--plot", tmp_path / "x.png")
    assert (found.code, found.out) == (2, "")
    assert "one model" in found.words


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".SVG", b"<?xml")])
def test_plot_writes_one_figure(model: Path, tmp_path: Path, suffix: str, start: bytes) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"slopes{suffix}"
    assert cli("inspect", model, "--plot", path, "-q").code == 0
    first = path.read_bytes()
    assert first.startswith(start)
    assert cli("inspect", model, "--plot", path, "-q").code == 0
    assert path.read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 2


def test_a_figure_of_another_kind_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    found = cli("inspect", tmp_path / "nowhere.onnx", "--plot", tmp_path / "x.pdf")
    assert found.code == 2
    assert "expected a name that ends in .png or .svg" in found.words


def test_the_command_line_knows_the_figures_that_can_be_drawn() -> None:
    pytest.importorskip("matplotlib")
    from prelu_tools.reports.writers.charts.plot import SUFFIXES

    assert _FIGURES == SUFFIXES


def test_a_figure_without_matplotlib_is_no_verdict(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    found = cli("inspect", model, "--plot", tmp_path / "x.png")
    assert found.code == 3
    assert "pip install 'prelu-tools[plot]'" in found.err
    assert not (tmp_path / "x.png").exists()


def test_all_shows_what_was_not_learned(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("LeakyRelu", ["x"], ["h"], name="softly", alpha=0.2),
        helper.make_node("PRelu", ["h", "slope"], ["y"], name="act"),
    ]
    dims = {"x": ("batch", 3)}
    path = save_graph(tmp_path / "net.onnx", nodes, dims, {"y": ("batch", 3)}, {"slope": [0.5]})
    assert "softly" not in cli("inspect", path).out
    assert "softly      LeakyRelu   0.2" in cli("inspect", path, "--all").out


def test_nothing_heavy_is_loaded_for_a_format_that_does_not_need_it(model: Path) -> None:
    script = (
        "import sys; from prelu_tools.cli.main import run; "
        f"code = run(['inspect', {str(model)!r}, '--format', 'json', '-q']); "
        "heavy = {'rich', 'matplotlib', 'onnxruntime', 'torch'} & set(sys.modules); "
        "sys.exit(code or bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_help_loads_no_numpy() -> None:
    script = (
        "import sys; from prelu_tools.cli.main import run; run(['--help']); "
        "import prelu_tools.cli.options; sys.exit('numpy' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert found.returncode == 0


def test_a_broken_name_in_a_path_does_no_harm(tmp_path: Path) -> None:
    path = save_prelu(tmp_path / "net.onnx").rename(tmp_path / "n\udc80\x1b[31m.onnx")
    report = tmp_path / "report.md"
    found = process("inspect", path, "--report", f"markdown={report}")
    assert found.code == 0
    assert "\x1b" not in found.out
    assert "n\\udc80\\x1b[31m.onnx" in found.out.replace("\n", "")
    assert report.is_file()
