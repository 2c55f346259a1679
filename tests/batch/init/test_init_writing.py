"""`init`: what it writes and says, and that it writes over nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from init_folder import init, pairs_of, save_nets, touch, written_checks
from running import cli


@pytest.mark.parametrize(
    ("models", "words"),
    [((), "no ONNX model was found in this folder"), (("net.onnx",), 'reference = "SOURCE"')],
)
def test_nothing_to_check_is_no_verdict_and_nothing_is_written(
    models: tuple[str, ...], words: str
) -> None:
    save_nets(*models)
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
    save_nets("net.onnx", "net-fast.onnx")
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
    save_nets("net.onnx", "net-fast.onnx")
    assert init().code == 0
    assert "already exists, and lists every model that was found: delete it" in cli("init").words
    save_nets("net-opt.onnx", "other.onnx", "other-slim.onnx")
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


def test_force_keeps_what_is_there_and_adds_the_rest() -> None:
    save_nets("net.onnx")
    touch("net.keras")
    assert init().code == 0
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
    save_nets("net-fast.onnx", "other.onnx")
    touch("other.keras")
    assert pairs_of(init("--force")) == [
        ("net.keras", ("net-fast.onnx",)),
        ("other.keras", ("other.onnx",)),
    ]
    assert Path("prelu-tools.toml").read_text().startswith(text)
    assert written_checks()[2:] == [
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
    save_nets("net.onnx", "net-fast.onnx", "other.onnx", "other-fast.onnx")
    entry = '[[tool.prelu-tools.checks]]\nreference = "net.onnx"\ncandidates = ["net-fast.onnx"]\n'
    Path("pyproject.toml").write_text(entry)
    assert pairs_of(init("--force")) == [("other.onnx", ("other-fast.onnx",))]
    assert not Path("prelu-tools.toml").exists()
    assert cli("verify", "--format", "json").json["summary"]["pass"] == 2
    Path("pyproject.toml").write_text(
        "[tool.prelu-tools]\nchecks = "
        '[{ reference = "net.onnx", candidates = ["net-fast.onnx"] }]\n'
    )
    assert "its checks are an array" in cli("init", "--force").words


def test_names_are_quoted_as_toml_has_it() -> None:
    name = 'a"\\ü'
    save_nets(f"{name}.onnx", f"{name}-fast.onnx")
    assert init().code == 0
    assert written_checks()[0]["reference"] == f"{name}.onnx"


def test_the_table_fits_and_says_what_to_type() -> None:
    save_nets("net.onnx", "net-fast.onnx", *(f"left{number}.onnx" for number in range(30)))
    found = cli("init")
    assert max(map(len, found.out.splitlines())) <= 80
    assert "left out 10 more: --format json names them" in found.words
    assert "wrote prelu-tools.toml and prelu-tools.schema.json: 1 check" in found.words
    Path("prelu-tools.toml").unlink()
    assert (
        "| `net.onnx` | `net-fast.onnx` | name |"
        in cli("init", "--force", "--format", "markdown").out
    )
    Path("prelu-tools.toml").unlink()
    assert json.loads(cli("init", "--force", "--format", "json").out)["kind"] == "init"


def test_files_that_git_ignores_are_named() -> None:
    save_nets("net.onnx", "net-fast.onnx")
    assert cli("init", "--format", "json").json["ignored"] == []  # no repository
    Path("prelu-tools.toml").unlink()
    if shutil.which("git") is None:
        pytest.skip("no git here")
    subprocess.run(["git", "init", "-q"], check=True)
    Path(".gitignore").write_text("*-fast.onnx\n*.pth\n")
    touch("net-fast.onnx.0a1b.data", "unused.pth")
    found = cli("init", "--format", "json").json["ignored"]
    assert found == ["net-fast.onnx"]
    Path(".gitignore").write_text("*.data\n")
    said = cli("init", "--force").words
    assert "ignored net-fast.onnx.0a1b.data: git ignores it, and CI needs it; add it with" in said
    assert cli("record", "net.onnx", "-o", "net.npz", "-q").code == 0
    Path(".gitignore").write_text("net.onnx\n")
    Path("prelu-tools.toml").unlink()
    said = cli("init", "--force").words
    assert (
        "ignored net.onnx: git ignores it; where it is missing, verify cannot notice that" in said
    )


def test_models_of_the_list_that_are_gone_are_named() -> None:
    save_nets("net.onnx", "net-fast.onnx", "old.onnx", "old-fast.onnx")
    assert init().code == 0
    Path("old-fast.onnx").unlink()
    said = cli("init").words
    assert "lists every model that was found: delete it to start again; it lists" in said
    assert "it lists old-fast.onnx, which cannot be found" in said
    assert "left out old-fast.onnx: prelu-tools.toml lists it, but it cannot be found" in (
        cli("init", "--force").words
    )
