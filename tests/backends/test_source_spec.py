"""How a source is spelled, imported and called; everything else is one clear sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prelu_tools.backends.source_spec import (
    build_object,
    import_named,
    model_framework,
    parse_source_spec,
)
from prelu_tools.core.errors import PReLUToolsError, UsageError

SOURCE = """
import spelled_helper

class Net:
    def __init__(self, size=3, name="prelu", options=None):
        self.made = (size, name, options)

    class Inner:
        made = "inner"

def make(*sizes):
    return sizes

def broken():
    raise RuntimeError("no such layer")

def leave():
    raise SystemExit(0)

number = 7
_private = None
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with a Python source, and Python as it was afterwards."""
    (tmp_path / "spelled_nets.py").write_text(SOURCE)
    (tmp_path / "spelled_helper.py").write_text("value = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield
    for name in [name for name in sys.modules if name.startswith("spelled_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "module", "call", "weights"),
    [
        ("nets.py:Net", "nets.py", "Net", None),
        ("a/b/nets.py:Net", "a/b/nets.py", "Net", None),
        ("nets.py:Net()", "nets.py", "Net()", None),
        ("nets.py:Net(10, act='prelu')", "nets.py", "Net(10, act='prelu')", None),
        ("package.module:make.net", "package.module", "make.net", None),
        ("package.module:_net@w.pt", "package.module", "_net", "w.pt"),
        ("nets.py:Net(10)@runs/1/w.safetensors", "nets.py", "Net(10)", "runs/1/w.safetensors"),
        ("nets.py:Net('a@b')", "nets.py", "Net('a@b')", None),
        ("nets.py:Net('a@b')@w.pt", "nets.py", "Net('a@b')", "w.pt"),
        ("nets.py:Net(\n10)", "nets.py", "Net(\n10)", None),
        ("C:\\nets.py:Net", "C:\\nets.py", "Net", None),
    ],
)
def test_python_sources(text: str, module: str, call: str, weights: str | None) -> None:
    found = parse_source_spec(text)
    assert (found.text, found.file) == (text, None)
    assert (found.module, found.call) == (module, call)
    assert found.weights == (Path(weights) if weights else None)


@pytest.mark.parametrize(
    ("text", "file", "weights"),
    [
        ("net.onnx", "net.onnx", None),
        ("a/net.keras", "a/net.keras", None),
        ("net.keras@w.weights.h5", "net.keras", "w.weights.h5"),
        ("saved_model/", "saved_model", None),
    ],
)
def test_files(text: str, file: str, weights: str | None) -> None:
    found = parse_source_spec(text)
    assert (found.file, found.module, found.call) == (Path(file), None, None)
    assert found.weights == (Path(weights) if weights else None)


@pytest.mark.parametrize("name", ["a@b.onnx", "nets.py:Net", "spelled (1).onnx"])
def test_a_file_that_exists_is_that_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    assert parse_source_spec(name).file == Path(name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@w.pt", "expected"),
        ("nets.py:Net@", "ends in @"),
        ("", "expected"),
        (":Net", "':Net' is not a model: expected a file, FILE.py:NAME or"),
        ("package.module:", "'package.module:' is not a model: expected a file, FILE.py:NAME or"),
    ],
)
def test_spelled_like_nothing_that_is_known(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_source_spec(text)


@pytest.mark.parametrize("rest", ["", "@w.pt", "2fast", "Net(10", ":Net", "Net)"])
def test_what_is_no_name_after_a_python_file(rest: str, tmp_path: Path) -> None:
    with pytest.raises(PReLUToolsError, match=r"gone\.py cannot be read: no such file$"):
        parse_source_spec(f"gone.py:{rest}")
    path = tmp_path / "nets.py"
    path.write_text("class Net:\n    pass\n")
    with pytest.raises(UsageError) as said:
        parse_source_spec(f"{path}:{rest}")
    begin = f"{rest!r} after {path}: is not NAME or NAME(arguments)"
    if rest in ("", "@w.pt"):
        begin = f"{str(path)!r} names a Python file, but no model in it"
    assert str(said.value) == f"{begin}: use {path}:Net"


@pytest.mark.parametrize(
    ("text", "module", "weights"),
    [
        ("nets.py:Net@weights (1).pt", "nets.py", "weights (1).pt"),
        ("runs (1)/nets.py:Net", "runs (1)/nets.py", None),
    ],
)
def test_paths_with_parentheses(text: str, module: str, weights: str | None) -> None:
    found = parse_source_spec(text)
    assert (found.module, found.call) == (module, "Net")
    assert found.weights == (Path(weights) if weights else None)


@pytest.mark.parametrize("name", ["spelled_nets", "spelled_nets.py", "./spelled_nets.py"])
def test_a_module_is_imported_by_name_or_by_path(name: str) -> None:
    module = import_named(name)
    assert module.number == 7
    assert module.spelled_helper.value == 5
    assert import_named(name) is module


def test_a_file_finds_what_lies_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "spelled_more.py").write_text("import spelled_beside\n")
    (folder / "spelled_beside.py").write_text("value = 9\n")
    assert import_named("other/spelled_more.py").spelled_beside.value == 9


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "spelled_twice.py").write_text(f"number = {number}\n")
    assert [import_named(f"{i}/spelled_twice.py").number for i in (1, 2)] == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere.py", None, "nowhere.py cannot be read: no such file"),
        ("no_such_module", None, "importing no_such_module failed with ModuleNotFoundError"),
        ("spelled_bad.py", "1 / 0", "importing spelled_bad.py failed with ZeroDivisionError"),
        ("spelled_bad.py", "def (", "importing spelled_bad.py failed with SyntaxError"),
        ("spelled_bad.py", "import no_such_thing", "ModuleNotFoundError: No module named 'no_such"),
    ],
)
def test_what_cannot_be_imported(
    name: str, content: str | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(PReLUToolsError, match=words):
        import_named(name)
    assert "spelled_bad" not in sys.modules


@pytest.mark.parametrize("text", ["spelled_exit.py:net", "spelled_nets.py:leave"])
def test_a_source_that_exits_does_not_end_the_tool(text: str, tmp_path: Path) -> None:
    (tmp_path / "spelled_exit.py").write_text("import sys\nnet = None\nsys.exit(0)\n")
    with pytest.raises(PReLUToolsError, match="SystemExit"):
        build_object(parse_source_spec(text))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("Net", (3, "prelu", None)),
        ("Net()", (3, "prelu", None)),
        ("Net(10)", (10, "prelu", None)),
        ("Net(10, name='x', options={'a': [1, (2, None)]})", (10, "x", {"a": [1, (2, None)]})),
        ("Net(-1.5)", (-1.5, "prelu", None)),
        ("Net.Inner", "inner"),
    ],
)
def test_a_class_is_called(call: str, expected: object) -> None:
    made = build_object(parse_source_spec(f"spelled_nets.py:{call}"))
    assert made.made == expected  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "expected"), [("make", ()), ("make()", ()), ("make(1, 2)", (1, 2)), ("number", 7)]
)
def test_a_function_is_called_and_an_object_taken(call: str, expected: object) -> None:
    assert build_object(parse_source_spec(f"spelled_nets.py:{call}")) == expected


@pytest.mark.parametrize(
    "call",
    [
        "Net(size)",
        "Net(make())",
        "Net(1 + 1)",
        "Net(*[1])",
        "Net(**{'size': 1})",
        "Net(a=)",
        "Net.(1)",
        "Net({[]: 1})",
    ],
)
def test_arguments_that_are_no_literals(call: str) -> None:
    with pytest.raises(UsageError, match="expected NAME or NAME"):
        build_object(parse_source_spec(f"spelled_nets.py:{call}"))


def test_a_name_that_is_not_there_is_told_with_those_that_are_defined_there() -> None:
    with pytest.raises(UsageError, match="has no 'other'; it has Net, make, ") as caught:
        build_object(parse_source_spec("spelled_nets.py:other"))
    assert "_private" not in str(caught.value)
    assert "helper" not in str(caught.value)


@pytest.mark.parametrize("name", ["net", "Nett", "NET"])
def test_a_name_that_is_mistyped_is_answered_with_the_one_that_was_meant(name: str) -> None:
    with pytest.raises(UsageError, match=f"has no '{name}': did you mean Net?"):
        build_object(parse_source_spec(f"spelled_nets.py:{name}"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("broken", "calling spelled_nets.py:broken failed with RuntimeError: no such layer"),
        ("number()", "failed with TypeError"),
        ("Net.Outer", "has no 'Net.Outer'"),
        ("make(1)(2)", "has no 'make"),
    ],
)
def test_a_call_that_fails(call: str, words: str) -> None:
    with pytest.raises(PReLUToolsError) as caught:
        build_object(parse_source_spec(f"spelled_nets.py:{call}"))
    assert words in str(caught.value)


def test_a_call_with_too_many_arguments_says_which_it_takes() -> None:
    with pytest.raises(UsageError, match="too many positional arguments; it takes size, name, opt"):
        build_object(parse_source_spec("spelled_nets.py:Net(1, 2, 3, 4)"))


def test_an_error_of_the_tool_passes_through(tmp_path: Path) -> None:
    (tmp_path / "spelled_own.py").write_text(
        "from prelu_tools.core.errors import UsageError\ndef net():\n    raise UsageError('use "
        "--input')\n"
    )
    with pytest.raises(UsageError, match=r"^use --input$"):
        build_object(parse_source_spec("spelled_own.py:net"))


@pytest.mark.parametrize("thing", [3, "text", object(), int, None])
def test_what_belongs_to_no_framework(thing: object) -> None:
    assert model_framework(thing) is None


@pytest.mark.torch
def test_a_torch_module_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "spelled_torch.py").write_text(
        "from torch import nn\nnet = nn.PReLU()\nclass Net(nn.Sequential):\n    pass\n"
    )
    net = build_object(parse_source_spec("spelled_torch.py:net"))
    assert model_framework(net) == "torch"
    assert type(net).__name__ == "PReLU"
    assert model_framework(build_object(parse_source_spec("spelled_torch.py:Net"))) == "torch"
    assert model_framework(type(net)) is None


@pytest.mark.keras
def test_a_keras_model_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "spelled_keras.py").write_text(
        "import keras\nnet = keras.Sequential([keras.layers.PReLU()])\nlayer = keras.layers.PReLU\n"
    )
    assert model_framework(build_object(parse_source_spec("spelled_keras.py:net"))) == "keras"
    assert model_framework(build_object(parse_source_spec("spelled_keras.py:layer"))) is None


@pytest.mark.torch
@pytest.mark.keras
@pytest.mark.parametrize("library", ["random", "numpy", "torch", "keras"])
def test_what_a_call_draws_is_the_same_every_time(library: str, tmp_path: Path) -> None:
    (tmp_path / "spelled_draws.py").write_text(
        """
import random as python, numpy as np
import keras as k, torch as t

def random(): return python.random()
def numpy(): return np.random.rand()
def torch(): return t.nn.Linear(1, 1).weight.item()
def keras(): return float(k.Sequential([k.Input((1,)), k.layers.Dense(1)]).weights[0].numpy()[0, 0])
"""
    )
    source = parse_source_spec(f"spelled_draws.py:{library}")
    draw = getattr(import_named("spelled_draws.py"), library)
    draw()  # another test may have left a generator at the seed that a call begins with
    first, between, second = build_object(source), draw(), build_object(source)
    assert first == second
    assert between not in (first, draw())  # the generators go on where they were
