"""An import only ever goes down the floors, and start-up loads nothing that it does not need."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from running import environment

from prelu_tools.cli.main import cli

PACKAGE = Path(__file__).resolve().parent.parent / "prelu_tools"
FILES = sorted(PACKAGE.rglob("*.py"))
FLOORS = ("cli", "batch", "commands", "reports", "backends", "graph", "core")

# What each floor may import of the others, where packages belong, and with which a floor does.
BELOW = {
    "cli": {"batch", "commands", "reports", "core", "graph.io.writer"},
    "training": {"commands.inspect", "commands.speaking", "backends", "arguments", "core"},
    "batch": {
        "commands",
        "reports",
        "backends",
        "graph.io",
        "graph.quantized.noticing",
        "graph.quantized.operators",
        "core",
    },
    "commands": {"backends", "graph", "core"},
    "reports": {"core"},
    "backends": {"graph", "core"},
    "graph": {"core"},
    "core": set(),
    "arguments.py": {"commands.verify.inputs.feeds", "core"},
    "live.py": {"commands.verify.inputs", "backends", "core"},
    "api": {"arguments", "live", "commands", "core"},
    "testing.py": {"api", "arguments", "live", "commands", "reports", "core"},
    "pytest_plugin.py": {"testing", "commands", "core"},
    "": {"api", "cli", "reports", "core"},
}
FRAMEWORKS = ("torch", "keras", "tensorflow", "tf2onnx", "onnxruntime", "onnxscript")
HOMES = {
    **{framework: {"backends"} for framework in FRAMEWORKS},
    "click": {"cli"},
    "rich": {"cli", "reports"},
    "onnx": {"batch", "commands", "backends", "graph"},
    "google": {"backends", "graph", "live.py"},
    "markdown_it": {"reports"},
    "fsspec": {"backends"},
    "distributed": {"batch"},
    **{package: {"training"} for package in ("tensorboard", "wandb")},
}
BACKENDS = "prelu_tools.backends"
FULL = 15  # modules and folders in a folder
TESTS = Path(__file__).parent
TESTS_KINDS = 30  # in `tests` itself: a folder for each floor and each kind of test
BOTH_WAYS = {
    ("backends.files", "backends.torch"),  # files of weights that only torch can read
    ("backends.preflight", "backends.source_spec"),  # what a mistyped source may have meant
    ("core.domains", "core.results"), ("core.prelu", "core.results"),
    ("core.results", "core.rounding"),  # results are made of these, and these give reasons
    ("graph.copies", "graph.passes"), ("graph.passes", "graph.targets"),
}  # fmt: skip
ENOUGH = {"core": {"numpy"}, "graph": {"numpy", "onnx", "google"}, "": set()}


def _floor(path: Path) -> str:
    """The floor of a file; "" for `__init__` and `__main__`, each other file has one of its own."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 or parts[0] in BELOW else ""


@cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, within functions and for types too."""
    return tuple(_read_imports(path))


def _read_imports(path: Path) -> Iterator[str]:
    package = ["prelu_tools", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            named = node.args[0]
            if isinstance(named, ast.Constant):
                yield str(named.value)


def _is_allowed(floor: str, imported: str) -> bool:
    inner = imported.removeprefix("prelu_tools").removeprefix(".")
    if inner in ("", "__version__"):
        return True
    own = floor and inner.startswith(f"{floor}.")
    return bool(own) or any(f"{inner}.".startswith(f"{name}.") for name in BELOW[floor])


def _name(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


def test_every_file_stands_on_a_floor() -> None:
    assert len(FILES) > 40
    assert {_floor(path) for path in FILES} == BELOW.keys()
    assert {path.name for path in FILES if _floor(path) == ""} == {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_imports_go_down(path: Path) -> None:
    floor = _floor(path)
    ours = [name for name in _imports(path) if name.split(".")[0] == "prelu_tools"]
    assert [name for name in ours if not _is_allowed(floor, name)] == []


@cache
def _graph_of_imports() -> dict[str, set[str]]:
    """By module, the modules of the package that it imports, for types and in functions too."""
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
    }
    found: dict[str, set[str]] = {}
    for path in FILES:
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        imported = {each if each in names else each.rpartition(".")[0] for each in _imports(path)}
        # What a package's own __init__ holds is loaded before any of its modules.
        found[name] = (imported & names) - {name, "prelu_tools"}
    return found


def _reached(start: str, imports: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    left = [start]
    while left:
        for name in imports[left.pop()] - seen:
            seen.add(name)
            left.append(name)
    return seen


def test_no_module_imports_itself_by_way_of_others() -> None:
    imports = _graph_of_imports()
    assert len(imports) > 300
    assert [name for name in imports if name in _reached(name, imports)] == []


def _neighbours(imports: dict[str, set[str]]) -> set[tuple[str, str]]:
    """What imports each other among the members of a floor, and among those of `verify`."""
    found = set()
    for name, imported in imports.items():
        mine = name.split(".")[1:]
        for theirs in (other.split(".")[1:] for other in imported):
            depth = 3 if mine[:2] == theirs[:2] == ["commands", "verify"] else 2
            if mine[: depth - 1] == theirs[: depth - 1]:
                found.add((".".join(mine[:depth]), ".".join(theirs[:depth])))
    return {(a, b) for a, b in found if a < b and (b, a) in found}


def test_no_member_of_a_floor_imports_one_that_imports_it() -> None:
    assert _neighbours(_graph_of_imports()) == BOTH_WAYS


def test_neighbours_that_import_each_other_are_seen() -> None:
    imports = {"p.a.b.x": {"p.a.c.y"}, "p.a.c.z": {"p.a.b.w", "p.d.e"}, "p.d.e": {"p.a.b.x"}}
    assert _neighbours(imports) == {("a.b", "a.c")}
    inner = {
        "p.commands.verify.a.x": {"p.commands.verify.b"},
        "p.commands.verify.b": {"p.commands.verify.a.y"},
    }
    assert _neighbours(inner) == {("commands.verify.a", "commands.verify.b")}


def _class_checks(tree: ast.AST) -> Iterator[str]:
    """What a file asks of an object's class in the backends, its framework, and its attributes."""
    backends = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(BACKENDS)
        for alias in node.names
    }
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and len(call.args) > 1:
            asked = {node.id for node in ast.walk(call.args[1]) if isinstance(node, ast.Name)}
            name = call.func.id
            of_class = name in ("isinstance", "issubclass") and asked & backends
            if of_class or name in ("getattr", "hasattr"):
                yield ast.unparse(call)
        elif isinstance(call, ast.Compare) and ".framework" in ast.unparse(call):
            yield ast.unparse(call)


ASKING = [path for path in FILES if _floor(path) not in ("backends", "graph", "core")]


@pytest.mark.parametrize("path", ASKING, ids=_name)
def test_sources_are_asked_what_they_can_do(path: Path) -> None:
    """Their protocol says it (`backends/protocol/`): nobody above looks at their classes."""
    found = list(_class_checks(ast.parse(path.read_text())))
    attributes = [text for text in found if "attr(" in text]
    assert [text for text in found if text not in attributes] == []
    assert _floor(path) != "commands" or attributes == []


def test_a_question_for_a_class_is_seen() -> None:
    text = (
        "from prelu_tools.backends.onnxruntime.source import OnnxSource as Onnx\n"
        "isinstance(a, (str, Onnx)), isinstance(a, str), hasattr(a, 'convert')\n"
        "a.framework == 'onnx', a.framework\n"
    )
    assert list(_class_checks(ast.parse(text))) == ["isinstance(a, (str, Onnx))",
                                                    "hasattr(a, 'convert')",
                                                    "a.framework == 'onnx'"]  # fmt: skip


def test_a_circle_is_seen() -> None:
    circle = {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert [name for name in circle if name in _reached(name, circle)] == ["b", "c"]


def _members(folder: Path) -> list[str]:
    """What a person sees in a folder: its modules, and the folders that have some."""
    found = {path.relative_to(folder).parts[0] for path in folder.rglob("*.py")}
    return sorted(found - {"__init__.py"})


@pytest.mark.parametrize("folder", sorted({path.parent for path in FILES}), ids=_name)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    assert len(_members(folder)) <= FULL
    assert (folder / "__init__.py").read_text().startswith('"""')


def test_so_can_a_folder_of_tests() -> None:
    folders = {path.parent for path in TESTS.rglob("*.py")} - {TESTS}
    assert [str(folder) for folder in folders if len(_members(folder)) > FULL] == []
    assert len(_members(TESTS)) <= TESTS_KINDS


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_packages_stay_on_their_floor(path: Path) -> None:
    outside = {name.split(".")[0] for name in _imports(path)} - {"prelu_tools"}
    outside -= set(sys.stdlib_module_names)
    floor = _floor(path)
    assert [name for name in outside if floor not in HOMES.get(name, {floor})] == []
    assert outside <= ENOUGH.get(floor, outside)


@pytest.mark.parametrize(
    ("floor", "imported", "allowed"),
    [
        ("core", "prelu_tools.core.errors.UsageError", True),
        ("core", "prelu_tools.graph.view.GraphView", False),
        ("core", "prelu_tools.__version__", True),
        ("graph", "prelu_tools.backends.protocol.interface.Source", False),
        ("graph", "prelu_tools.core", True),
        ("reports", "prelu_tools.graph.view.GraphView", False),
        ("reports", "prelu_tools.commands.verify.command", False),
        ("commands", "prelu_tools.reports.render", False),
        ("backends", "prelu_tools.commands.verify.command.verify", False),
        ("cli", "prelu_tools.graph.io.writer.replacing", True),
        ("cli", "prelu_tools.graph.view.GraphView", False),
        ("cli", "prelu_tools.graph", False),
        ("cli", "prelu_tools.graph.writers.replacing", False),
        ("commands", "prelu_tools.cli", False),
        ("core", "prelu_tools.api.verify", False),
        ("commands", "prelu_tools.live.opened", False),
        ("reports", "prelu_tools.verify", False),
        ("api", "prelu_tools.reports.render", False),
        ("testing.py", "prelu_tools.arguments.values_file", True),
        ("commands", "prelu_tools.batch.job.Job", False),
        ("reports", "prelu_tools.batch.job.Job", False),
        ("batch", "prelu_tools.cli.output.Output", False),
    ],
)
def test_the_rule_says_no(floor: str, imported: str, allowed: bool) -> None:
    assert _is_allowed(floor, imported) is allowed


def test_every_way_to_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "graph" / "odd.py"
    source.parent.mkdir()
    source.write_text(
        "import torch.nn as nn\n"
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from prelu_tools.cli import main\n"
        "def f():\n    from ..backends import probe\n    import importlib\n"
        "    from .view import GraphView\n    return importlib.import_module('keras')\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    assert set(_imports(source)) == {
        "torch.nn", "typing.TYPE_CHECKING", "prelu_tools.cli.main", "prelu_tools.backends.probe",
        "importlib", "prelu_tools.graph.view.GraphView", "keras",
    }  # fmt: skip


LOADED = """
import sys
from prelu_tools.cli.main import run
code = run(sys.argv[1:])
print("\\n", code, ",".join(sys.modules), file=sys.stderr)
"""


def _loaded(*arguments: str) -> set[str]:
    """The packages that a process holds after it ran a command line."""
    return {name.split(".")[0] for name in _loaded_modules(*arguments)}


def _loaded_modules(*arguments: str) -> set[str]:
    found = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    code, names = found.stderr.splitlines()[-1].split()
    assert code == "0", found.stderr
    return set(names.split(","))


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one PRelu node."""
    slope = numpy_helper.from_array(np.array([0.25], np.float32), "act.weight")
    values = [helper.make_tensor_value_info(name, 1, ["N", 3]) for name in "xy"]
    node = helper.make_node("PRelu", ["x", "act.weight"], ["y"], name="act")
    graph = helper.make_graph([node], "net", values[:1], values[1:], [slope])
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return path


COMMANDS = cli.list_commands(click.Context(cli))
HELP = [["--help"], ["--version"], *([command, "--help"] for command in COMMANDS)]


@pytest.mark.parametrize("arguments", HELP, ids=" ".join)
def test_help_loads_nothing_but_click(arguments: list[str]) -> None:
    loaded = _loaded(*arguments)
    assert {"prelu_tools", "click"} <= loaded
    assert loaded & {"onnx", "numpy", "rich", *FRAMEWORKS} == set()


@pytest.mark.parametrize("form", ["table", "json"])
def test_inspecting_an_onnx_file_loads_no_framework(form: str, small_model: Path) -> None:
    loaded = _loaded("inspect", str(small_model), "--format", form)
    assert "onnx" in loaded
    assert loaded & {*FRAMEWORKS, "onnx_ir"} == set()


def test_inspecting_an_onnx_file_loads_what_it_shows_alone(small_model: Path) -> None:
    loaded = _loaded_modules("inspect", str(small_model), "--format", "json")
    ours = {name.removeprefix("prelu_tools.") for name in loaded if name.startswith("prelu_tools.")}
    results = {name for name in ours if name.startswith("core.results.")}
    assert results == {
        f"core.results.{name}"
        for name in ("comparable", "inspect_gates", "inspection", "reasons", "showing")
    }
    commands = {name for name in ours if name.startswith("commands.")}
    assert commands == {
        "commands.inspect", "commands.inspect.command", "commands.inspect.request",
        "commands.preflight",
    }  # fmt: skip
    elsewhere = ("graph.passes", "graph.copies", "reports.views", "backends.protocol.interface",
                 "backends.preflight.names", "core.python_code", "core.files.pickles")  # fmt: skip
    assert [name for name in ours if name.startswith(elsewhere)] == []
    assert "graph.match.recognise" in ours  # names are spelled as they are loaded
    assert "onnx.reference" not in loaded


def test_what_a_text_refers_to_is_there() -> None:
    """Names of modules and of their files, as docstrings and comments have them."""
    floors = "(?:core|graph|backends|commands|reports)"
    lost = []
    for path in FILES:
        text = path.read_text()
        modules = re.findall(rf"`({floors}(?:\.\w+)+)`", text)
        places = [(name, PACKAGE / name.replace(".", "/")) for name in modules]
        lost += [name for name, place in places if not (place.is_dir() or _in_file(place))]
        files = re.findall(rf"\b{floors}/[\w/]+\.py\b", text)
        lost += [name for name in files if not (PACKAGE / name).is_file()]
    assert lost == []


def _in_file(place: Path) -> bool:
    """Whether a module, or a name in one, has its file."""
    return any(Path(f"{part}.py").is_file() for part in (place, *place.parents))


def test_no_two_files_of_tests_have_one_name() -> None:
    names = [path.name for path in TESTS.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))  # pytest imports them by their names alone


@pytest.mark.parametrize("name", ["Makefile", "release/targets.mk", "tests/mutation/plan.toml"])
def test_tests_that_a_target_names_are_there(name: str) -> None:
    named = re.findall(r"\btests/[\w/]+(?:\.\w+)?", (PACKAGE.parent / name).read_text())
    assert named
    assert [path for path in named if not (PACKAGE.parent / path).exists()] == []


def test_the_module_runs_as_the_command_does() -> None:
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "prelu_tools", "--help"],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert "Commands" in found.stdout
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "prelu_tools.cli.main" in imported
    assert imported & {"onnx", "numpy", "rich", *FRAMEWORKS} == set()
