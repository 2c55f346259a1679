"""What the pages show is what the commands print, and every command that they name is there."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from page import RUN, SHOWN, Block, Session, agree, blocks_of, commands_of
from running import ROOT

from prelu_tools.cli.main import cli

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
QUICK = ("howto/arcface.md", "howto/completion.md", "upstream/onnxruntime-prelu.md", "verify.md")
"""Pages that need no framework, or run nothing but definitions: part of `make test`."""

ELSEWHERE = {"ci.md": "tests/docs/test_ci_page.py", "batch.md": "tests/docs/test_batch_page.py"}
"""Pages whose blocks another test runs."""

CANNOT_RUN = {
    "pip install": "would change the environment that runs the tests",
    "prelu-tools verify nets.py:Net net.onnx --provider cpu --provider cuda": "needs a GPU",
    "prelu-tools verify nets.py:Net net.onnx --provider cuda:use_tf32=1": "needs a GPU",
    "prelu-tools verify nets.py:Net net.onnx --provider openvino": "is run by make test-openvino",
    "prelu-tools verify nets.py:Net net.onnx --runtime": "is run by make test-runtimes, test-web",
    "prelu-tools verify rnet.npz rnet.onnx --runtime onnxruntime-web": "is run by make test-web",
    "prelu-tools verify net.onnx net.param": "is run by make test-runtimes",
    "prelu-tools verify net.onnx net.xml": "is run by make test-runtimes",
    "prelu-tools verify net.onnx net.mnn": "is run by make test-runtimes",
    "prelu-tools verify model.keras model.tflite": "is run by make test-runtimes",
    "npm install": "would change the machine",
    "make web": "needs npm; make test-web needs it",
    "python3 -m http.server": "never ends",
}
"""Commands, by how they begin, that no test runs, and why."""


def _name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def _with_something_to_run() -> Iterator[object]:
    for page in PAGES:
        if _name(page) in ELSEWHERE:
            continue
        if any(block.language in RUN for block in blocks_of(page.read_text(encoding="utf-8"))):
            marks = [] if _name(page) in QUICK else [pytest.mark.docs]
            yield pytest.param(page, id=_name(page), marks=marks)


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A folder with the samples in it, as in a checkout; what is imported there is forgotten."""
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield Session(tmp_path)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith((str(tmp_path), str(ROOT / "samples"))):
            del sys.modules[name]


@pytest.mark.parametrize("page", _with_something_to_run())
def test_a_page_shows_what_is_printed(page: Path, session: Session) -> None:
    text = page.read_text(encoding="utf-8")
    renewed: list[tuple[int, int, str]] = []
    wrong = []
    printed = ""
    for block in blocks_of(text):
        if block.language == "text" and printed:
            found, printed = printed, ""
            good = agree(block.text, found, block.within)
            shown = found
        elif block.language == "python":
            printed = session.python(block, str(page))
            continue
        elif block.language in RUN:
            good, shown = _run(block, session)
        else:
            continue
        if not good:
            wrong.append(f"line {block.line} of {_name(page)} does not show:\n{shown}")
            renewed.append((block.start, block.start + len(block.text), shown))
    assert session.code == 0
    if wrong and os.environ.get("PRELU_RENEW_DOCS") == "1":
        for start, end, shown in reversed(renewed):
            text = text[:start] + shown + text[end:]
        page.write_text(text, encoding="utf-8")
    assert not wrong, "\n".join(wrong)


def _run(block: Block, session: Session) -> tuple[bool, str]:
    """Whether every command of a block printed what is shown; and the block as it should be."""
    good, shown = True, ""
    for command, expected in commands_of(block):
        if any(command.startswith(start) for start in CANNOT_RUN):
            continue
        if block.language == "fish" and shutil.which("fish") is None:
            pytest.skip("fish is not installed")
        printed = session.command(command, block.language)
        if block.language == "console":
            good = good and agree(expected, printed, block.within, block.timed)
            shown += f"$ {command}\n{printed}"
        else:
            assert session.code == 0, f"{command}: {printed}"
    return good, shown


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_is_of_a_kind_that_is_run_or_shown(page: Path) -> None:
    if _name(page) in ELSEWHERE:
        assert (ROOT / ELSEWHERE[_name(page)]).is_file()
        return
    for block in blocks_of(page.read_text(encoding="utf-8")):
        assert block.language in (*RUN, *SHOWN), f"line {block.line}: {block.language!r}"


def test_what_cannot_run_is_in_the_pages() -> None:
    shown = [
        command
        for page in PAGES
        if _name(page) not in ELSEWHERE
        for block in blocks_of(page.read_text(encoding="utf-8"))
        if block.language in ("console", "sh", "fish")
        for command, _ in commands_of(block)
    ]
    for start in CANNOT_RUN:
        assert any(command.startswith(start) for command in shown), start


def _prose(text: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def _inline(text: str) -> Iterator[str]:
    """What is in backquotes, and the commands of indented blocks."""
    for span in re.findall(r"`([^`]+)`", _prose(text)):
        yield " ".join(span.split())
    for line in re.findall(r"^    (prelu-tools .*)$", _prose(text), re.MULTILINE):
        yield line.partition(" #")[0].strip()


TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_commands_and_options_in_the_prose_exist(page: Path) -> None:
    context = click.Context(cli)
    for span in _inline(page.read_text(encoding="utf-8")):
        words = span.split()
        if words[0] == "make" and len(words) > 1 and "." not in words[1]:
            makefiles = "".join(map(Path.read_text, (ROOT / "Makefile", *ROOT.glob("*/*.mk"))))
            targets = re.findall(r"^([\w-]+)(?=[\w -]*:)", makefiles, re.MULTILINE)
            targets += re.findall(r"^\w[\w-]* ([\w-]+):", makefiles, re.MULTILINE)
            assert words[1] in targets, span
        if words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), span
        if words[0] == "prelu-tools" and len(words) > 1:
            command = cli.get_command(context, words[1])
            assert command is not None, span
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
            assert {word for word in words if word.startswith("-")} <= known, span


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, and of those of the file that it takes in."""
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r'^--8<-- "([^":]+)"$', text, re.MULTILINE):
        text += (ROOT / name).read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.*)$", _prose(text), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", head).strip().lower() for head in heads)
    return {re.sub(r"[-\s]+", "-", head) for head in plain}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        there = page.parent / path if path else page
        assert there.exists(), link
        generated = there.suffix != ".md" or ":::" in there.read_text(encoding="utf-8")
        assert not anchor or generated or anchor in _anchors(there), link


def test_a_python_block_runs_without_the_others_unless_it_goes_on(session: Session) -> None:
    page = "```python\nx = 1\n```\n{}```python\nprint(x)\n```\n"
    alone, going_on = (blocks_of(page.format(mark)) for mark in ("", "<!-- continued -->\n\n"))
    assert [session.python(block, "page.md") for block in going_on] == ["", "1\n"]
    session.python(alone[0], "page.md")
    with pytest.raises(NameError):
        session.python(alone[1], "page.md")


def test_the_comparison_says_no() -> None:
    assert agree("a 0.5 b\n", "a 0.7  b\n")
    assert not agree("a 0.5 b\n", "a 0.7 c\n")
    assert not agree("a 0.5 b\n", "a 0.7 b\n", 0.1)
    assert agree("a 0.5 b\n", "a 0.55 b\n", 0.1)
    assert agree("first\nfast\n", "first\nslow\n", timed=True)
    assert not agree("first\nfast\n", "last\nfast\n", timed=True)
    assert agree("x 1\n...\ny 2\n", "x 1\nz 3\ny 2.1\n", 0.2)
    assert not agree("x 1\n...\ny 2\n", "x 1\nz 3\ny 2.1\n", 0.05)
    assert not agree("x 1\ny 2\n", "x 1\nz 3\ny 2\n", 0.2)
    assert not agree("x 1\n", "x 1\ny 2\n", 0.2)
    assert agree("first\n...\nlast\n", "first\nmore\nlast\n")
    assert not agree("first\n...\nlast\n", "first\nmore\n")
