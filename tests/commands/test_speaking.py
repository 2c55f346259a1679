"""Errors name an option as the reader types it: a flag, a keyword of Python, a key of a check."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
import pytest
from made_results import exported, usual, verified
from running import cli
from tiny_models import save_dense

import prelu_tools
from prelu_tools import api, export, verify
from prelu_tools.cli.main import cli as group
from prelu_tools.commands.speaking import in_check_file, in_python, speaking_python
from prelu_tools.core.errors import UsageError
from prelu_tools.core.requests.speaking import SENTENCES
from prelu_tools.core.results.comparison import CompareResult
from prelu_tools.core.results.export import ExportResult
from prelu_tools.core.results.inspection import Finding, InspectResult
from prelu_tools.core.results.optimization import OptimizeResult
from prelu_tools.core.results.quantization import QuantizeResult
from prelu_tools.core.results.reasons import Reason, code_of
from prelu_tools.core.results.record import RecordResult
from prelu_tools.core.results.series import SeriesResult
from prelu_tools.core.results.verification.result import ExportVerificationError, VerifyResult
from prelu_tools.testing import assert_parity

PACKAGE = Path(prelu_tools.__file__).parent
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
OF_THE_COMMAND_LINE = (
    *("cli", "batch", "reports", "pytest_plugin.py", "commands/baselines.py"),
    *("core/results/verification/baseline.py", "core/results/inspect_gates.py"),
)
"""What the library never returns: many models, baselines, gates, and what is written for people."""
LABELS = (
    "core/results/verification/baseline.py",
    "reports/writers/junit.py",
    "reports/views/doctor.py",
    "backends/keras/on_torch.py",
)
"""Where `output NAME` is a key, the name of a test case or a heading, and no part of a sentence."""
NOUN = re.compile(r"(?<![\w-])(?:input|output|node|tensor|layer|initializer|class)\s$")
NO_NAME = re.compile(r"number|version|shapes|doubt|wrong|tensors|named\(|^', '.join")
"""What stands behind such a noun and is a number, a sentence, or quoted already."""
NAMES = """
    actual before code data_path domain dtype escaped expected figure first_divergence form format
    found health layer lost model name node nodes nodes_elsewhere operator options origin
    other_name parameter part path processor producer provider providers reference refused
    requested route runtime shape shapes source trends tried unknown unreached versions
"""
"""Fields of results that hold names, words or codes, and no sentence that says what to do."""

CASES = [
    ("use --force to replace it", "use force=True to replace it", None),
    ("--no-verify writes it anyway", "verify=False writes it anyway", None),
    ("--allow-no-prelu to", "allow_no_prelu=True to", "allow_no_prelu = true to"),
    ("what --no-layers skips", "what layers=False skips", "what layers = false skips"),
    ("use --input x:batch,3,h,112), or", 'use input={"x": ("batch", 3, "h", 112)}), or',
     'use input = ["x:batch,3,h,112"]), or'),
    ("--input v:4", 'input={"v": (4,)}', 'input = ["v:4"]'),
    ("--input x: no such input", "input x: no such input", "input x: no such input"),
    ("--slope-axis -1, or --opset 21", "slope_axis=-1, or opset=21", None),
    ("--dtype float32 or --dtype other", 'dtype="float32" or dtype other', None),
    ("--input-range LOW,HIGH", "input_range=(LOW, HIGH)", 'input_range = { "" = [LOW, HIGH] }'),
    ("--input-range x=LOW,HIGH", 'input_range={"x": (LOW, HIGH)}',
     "input_range = { x = [LOW, HIGH] }"),
    ("--custom-objects layers.py:A", 'custom_objects="layers.py:A"',
     'custom_objects = ["layers.py:A"]'),
    ("--samples 16 and --inputs FILE.npz", 'samples=16 and inputs="FILE.npz"',
     'samples = 16 and inputs = "FILE.npz"'),
    ("--provider cuda", "provider cuda", "providers cuda"),
    ("a--force, --forced, ---force and --update-baseline", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("said", "python", "file"), CASES)
def test_flags_become_keywords_and_keys(said: str, python: str | None, file: str | None) -> None:
    assert in_python(said) == (said if python is None else python)
    assert in_check_file(said) == (said if file is None else file)


def _sentences(tree: ast.Module) -> Iterator[str]:
    """Every text in code, with X for what is filled in; neither docstrings nor help of options."""
    passed = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed.add(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "option":
            passed |= {part for given in node.args for part in ast.walk(given)}
        elif isinstance(node, ast.JoinedStr):
            passed |= {part for value in node.values for part in ast.walk(value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and node not in passed:
            parts = (getattr(value, "value", None) for value in node.values)
            yield "".join(part if isinstance(part, str) else "X" for part in parts)
        elif isinstance(node, ast.Constant) and node not in passed and isinstance(node.value, str):
            yield node.value


def test_no_sentence_that_the_library_may_say_keeps_a_flag() -> None:
    context = click.Context(group)
    commands = [group.get_command(context, name) for name in group.list_commands(context)]
    own = {flag for one in commands if one for item in one.params for flag in item.opts}
    own -= {"--version", "--help"}  # of other programs too
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if not place.startswith(OF_THE_COMMAND_LINE):
            found += [(place, text) for text in _sentences(ast.parse(path.read_text("utf-8")))]
    flags = [one for one in found if own & {*FLAG.findall(one[1])}]
    assert len(flags) > 50
    assert [one for one in flags if own & {*FLAG.findall(in_python(one[1]))}] == []


def _fields_with_text(kind: Any, seen: set[type]) -> Iterator[str]:
    """The fields of a result and of what is in it, as far as they hold text."""
    if not dataclasses.is_dataclass(kind) or kind in seen:
        return
    seen.add(kind)  # type: ignore[arg-type]
    for name, hint in get_type_hints(kind).items():
        inside = list(_types_in(hint))
        if str in inside:
            yield name
        for one in inside:
            yield from _fields_with_text(one, seen)


def _types_in(hint: Any) -> Iterator[Any]:
    if get_origin(hint) is not Literal:
        yield hint
        for one in get_args(hint):
            yield from _types_in(one)


def test_every_text_of_a_result_is_known_to_be_a_sentence_or_a_name() -> None:
    kinds = (VerifyResult, ExportResult, InspectResult, OptimizeResult, RecordResult)
    seen: set[type] = set()
    found = {
        name
        for kind in (*kinds, CompareResult, QuantizeResult, SeriesResult)
        for name in _fields_with_text(kind, seen)
    }
    assert found - SENTENCES == set(NAMES.split())
    assert found >= SENTENCES


def test_sentences_are_spoken_wherever_they_lie_and_names_are_not() -> None:
    said = Reason("use --force, or --input-range LOW,HIGH", "some_code")
    spoken = "use force=True, or input_range=(LOW, HIGH)"
    (report,) = verified().candidates
    checked = dataclasses.replace(
        verified(), reference="--force", candidates=(dataclasses.replace(report, reasons=(said,)),)
    )
    made = speaking_python(lambda: dataclasses.replace(exported(), verification=checked))()
    assert made.verification.reference == "--force"
    (reason,) = made.verification.candidates[0].reasons
    assert (reason, code_of(reason)) == (spoken, "some_code")
    seen = usual()
    layer = dataclasses.replace(seen.layers[0], findings=(Finding("a_code", "info", said, "a"),))
    found = speaking_python(lambda: dataclasses.replace(seen, layers=(layer,), notes=(said,)))()
    assert [found.layers[0].findings[0].message, *found.notes] == [spoken, spoken]

    @speaking_python
    def fails() -> None:
        raise ExportVerificationError(f"wrong: {said}", checked)

    with pytest.raises(ExportVerificationError, match="use force=True") as caught:
        fails()
    assert caught.value.result is not None
    assert caught.value.result.candidates[0].reasons == (spoken,)


@pytest.mark.parametrize("name", sorted(set(api.__all__) - {"Model"}))
def test_every_function_of_the_library_speaks_python(name: str) -> None:
    assert hasattr(getattr(api, name), "__wrapped__")


def test_the_library_and_the_command_line_say_the_same_in_their_own_words(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = cli("export", net, "-o", net)
    assert found.code == 2
    assert "use --force to replace it" in found.err
    with pytest.raises(UsageError, match="use force=True to replace it"):
        export(net, net)
    with pytest.raises(UsageError, match=r"^input nothing: no such input in .*: expected x"):
        verify(net, net, input={"nothing": (1, 4)})
    with pytest.raises(UsageError, match=r"^input_range nothing: "):
        assert_parity(net, net, input_range={"nothing": (0, 1)})


def test_a_result_speaks_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import helper
    from tiny_models import save_graph

    node = helper.make_node("Relu", ["x"], ["y"])
    plain = save_graph(tmp_path / "plain.onnx", [node], {"x": ("b", 4)}, {"y": ("b", 4)}, {})
    assert "--allow-no-prelu" in cli("verify", plain, plain).out
    found = verify(plain, plain)
    assert any("allow_no_prelu=True" in reason for reason in found.reasons)
    assert not any("--" in reason for reason in found.reasons)
    (tmp_path / "prelu-tools.toml").write_text(
        '[[checks]]\nreference = "plain.onnx"\ncandidates = ["plain.onnx"]\n'
    )
    monkeypatch.chdir(tmp_path)
    listed = cli("verify")
    assert listed.code == 3
    assert "allow_no_prelu = true" in listed.words
    assert "--allow-no-prelu" not in listed.words


def _unquoted(path: Path) -> Iterator[str]:
    """Names that stand in a sentence as if they were words of it: `output {name} is called ...`."""
    for text in ast.walk(ast.parse(path.read_text())):
        parts = text.values if isinstance(text, ast.JoinedStr) else []
        for before, part, after in zip(parts, parts[1:], [*parts[2:], None], strict=False):
            if not isinstance(before, ast.Constant) or not isinstance(part, ast.FormattedValue):
                continue
            is_label = isinstance(after, ast.Constant) and str(after.value).startswith(":")
            shown = ast.unparse(part.value)
            if NOUN.search(str(before.value)) and part.conversion == -1 and not is_label:
                yield from [] if NO_NAME.search(shown) else [f"{path.name}: {shown}"]


def test_names_stand_in_quotes_in_a_sentence() -> None:
    files = {str(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob("*.py"))}
    found = [one for name, path in files.items() if name not in LABELS for one in _unquoted(path)]
    assert found == []


def test_a_name_without_quotes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "one.py"
    path.write_text(
        "f'its output {a} is called {b!r}'\nf'output {a}: lost'\nf'node {a!r} is gone'\n"
    )
    assert list(_unquoted(path)) == ["one.py: a"]
