"""What is said of a Python source from its code alone, and what is left for its import to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prelu_tools.backends.preflight.names import refuse_call
from prelu_tools.backends.preflight.sources import check_python
from prelu_tools.backends.source_spec import parse_source_spec
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.python_code import code_file, read_code

NETS = """
from somewhere import Imported, other as Renamed
import package.part
raise RuntimeError("it ran")

class Base(nn.Module):
    def __init__(self, width, *, depth): ...

class Net(Base): ...
class Plain(nn.Module): ...
class Stated(keras.Model):
    def __init__(self, units=3): ...

@register
class Wrapped(nn.Module):
    def __init__(self, width): ...

class Twice(nn.Module):
    def __init__(self, width): ...
Twice = partial(Twice, 3)

def build(width) -> nn.Module: ...
def helper(x): ...
def _private(): ...

if fast:
    class Late(nn.Module): ...
else:
    Late = None
for Looped in range(3): ...
with open("x") as Opened: ...
try: ...
except ValueError as Caught: ...
match x:
    case {"a": Matched, **Rest}: ...
first, (second, *others) = make()
def sets():
    global Later
    Later = 3
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "open_ended.py").write_text("from torch.nn import *\n")
    (tmp_path / "lazy.py").write_text("def __getattr__(name): ...\n")
    (tmp_path / "made.py").write_text("for name in 'ab': globals()[name] = 3\n")
    (tmp_path / "broken.py").write_text("class Net(:\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("from .inner import Inner\n")
    (tmp_path / "pack" / "inner.py").write_text("class Inner: ...\n")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["Imported", "Renamed", "package", "Plain", "Stated", "Late", "Looped", "Opened", "Caught",
     "Matched", "Rest", "first", "second", "others", "Later", "helper(3)", "build(3)",
     "Net(3,depth=4)", "Plain.inner", "Wrapped", "Twice", "__doc__"],
)  # fmt: skip
def test_every_name_that_the_code_may_bind_is_left_to_the_import(name: str) -> None:
    check_python(parse_source_spec(f"nets.py:{name}"))


@pytest.mark.parametrize(
    "text",
    ["open_ended.py:Linear", "lazy.py:Any", "made.py:a", "broken.py:Net", "pack:inner",
     "pack:Inner", "pack.inner:Inner", "no_such_module:Net", "sys:path"],
)  # fmt: skip
def test_what_only_an_import_can_tell_is_left_to_it(text: str) -> None:
    check_python(parse_source_spec(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nets.py:Nett", "nets.py has no 'Nett': did you mean Net?"),
        ("nets.py:plain", "did you mean Plain?"),
        ("nets.py:IMPORTED", "did you mean Imported?"),
        ("nets.py:Zebra", "has no 'Zebra'; it has Base, Net, Plain, Stated, Wrapped, Twice, build"),
        ("pack.inner:Outer", "pack.inner has no 'Outer'; it has Inner"),
        ("pack:Innner", "did you mean Inner?"),
        ("nets.py:Net", "needs its arguments width and depth: use "
         "'nets.py:Net(width=WIDTH, depth=DEPTH)', with values such as 64, 'relu' or (1, 2) for "
         "WIDTH and DEPTH"),
        ("nets.py:build()@nets.py", "use 'nets.py:build(width=WIDTH)@nets.py', with"),
        ("no.py:Net", "no.py cannot be read: no such file"),
        ("nets.py:Plain@no.pt", "no.pt cannot be read: no such file"),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_said_from_the_code(text: str, words: str) -> None:
    with pytest.raises(PReLUToolsError) as caught:
        check_python(parse_source_spec(text))
    assert words in str(caught.value)


def test_an_argument_that_is_not_known_is_corrected() -> None:
    def net(embedding_size: int, depth: int = 2) -> None: ...

    def refused(*args: Any, **kwargs: Any) -> str:
        with pytest.raises(PReLUToolsError) as caught:
            refuse_call(net, "nets.py:Net", args, kwargs, Path("mini.pth"))
        return str(caught.value)

    begin = "nets.py:Net has no argument 'emb': did you mean embedding_size, as in"
    assert refused(emb=64) == f"{begin} 'nets.py:Net(embedding_size=64)@mini.pth'?"
    assert refused(dept=3).endswith(
        "did you mean depth, as in 'nets.py:Net(depth=3, embedding_size=EMBEDDING_SIZE)@mini.pth'?"
    )
    assert refused(5, z=1) == "nets.py:Net has no argument 'z': expected depth"
    assert refused(depth=3).startswith("nets.py:Net needs its argument embedding_size: use 'nets")
    assert "@mini.pth'" in refused()
    refuse_call(lambda **any_of_them: None, "n", (), {"emb": 64})
    refuse_call(net, "n", (), {"embedding_size": 64})


def test_arguments_are_read_before_anything_is_imported() -> None:
    with pytest.raises(UsageError, match="literal arguments"):
        check_python(parse_source_spec("nets.py:Plain(width)"))


def test_a_file_alone_is_answered_with_its_models_and_what_they_need() -> None:
    with pytest.raises(UsageError) as caught:
        parse_source_spec("nets.py")
    text = str(caught.value)
    assert "'nets.py:Base(width=WIDTH, depth=DEPTH)', " in text
    assert "nets.py:Plain" in text
    assert " or 'nets.py:build(width=WIDTH)'" in text
    assert "helper" not in text


def test_a_file_without_models_is_answered_with_its_functions(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("def make(): ...\ndef _other(): ...\n")
    with pytest.raises(UsageError, match=r"use plain\.py:make$"):
        parse_source_spec("plain.py")
    (tmp_path / "empty.py").write_text("x = 3\n")
    with pytest.raises(UsageError, match="no class and no function"):
        parse_source_spec("empty.py")


@pytest.mark.parametrize("text", ["no.py", "no.py@w.pt"])
def test_a_file_that_is_not_there_is_said_to_be_missing(text: str) -> None:
    with pytest.raises(PReLUToolsError, match=r"no\.py cannot be read: no such file"):
        parse_source_spec(text)


def test_modules_are_found_without_being_imported() -> None:
    assert code_file("pack.inner") == Path("pack/inner.py").resolve()
    assert code_file("pack") == Path("pack/__init__.py").resolve()
    assert code_file("sys") is None
    assert read_code(Path("broken.py")) is None
