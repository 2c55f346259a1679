"""The file of a list of checks: the line that declares each, wrong values, and its schema."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from running import cli
from tiny_models import save_dense

from prelu_tools.batch.lists.jobs import check_jobs
from prelu_tools.batch.lists.keys import FIELDS
from prelu_tools.batch.lists.schema import check_schema, schema_text, shipped_schema
from prelu_tools.batch.lists.tables import ListError, read_tables

BOTH = 'reference = "a"\ncandidates = ["b"]\n'
VALIDATOR = Draft7Validator(check_schema())


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _lines(text: str, file: str = "prelu-tools.toml") -> list[int]:
    Path(file).write_text(text, encoding="utf-8")
    return [table.line for table in read_tables(file)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"[[checks]]\n{BOTH}[[checks]]\n{BOTH}", [1, 4]),
        (f"# of checks\n\n  [[ 'checks' ]] # one\n{BOTH}\n\n[[\"checks\"]]\n{BOTH}", [3, 8]),
        (f'[[checks]]\nname = """\n[[checks]]\n"""\n{BOTH}[[checks]]\n{BOTH}', [1, 7]),
        (f"[[checks]]\n{BOTH}[checks.layouts]\na = 'nchw'\n[[checks]]\n{BOTH}", [1, 6]),
        (f'[["\\u0063hecks"]]\n{BOTH}# \u2028\n[[checks]]\n{BOTH}', [1, 5]),
        ("\nchecks = [\n{ reference = 'a' },\n{ reference = 'b' },\n]\n", [2, 2]),
    ],
)
def test_the_line_of_each_check_is_known(text: str, lines: list[int]) -> None:
    assert _lines(text) == lines


def test_the_lines_of_a_project_file_are_those_of_its_section() -> None:
    head = "[project]\nname = 'x'\n[[tool.other.checks]]\na = 1\n"
    text = f"{head}[[tool.prelu-tools.checks]]\n{BOTH}[[tool . prelu-tools . checks]]\n{BOTH}"
    assert _lines(text, "pyproject.toml") == [5, 8]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"[[checks]]\n{BOTH}\n[[checks]]\n{BOTH}min_coverag = 1", 5),
        (f"[[checks]]\n{BOTH}[[checks]]\nname = 'x'\n{BOTH}[[checks]]\nname = 'x'\n{BOTH}", 8),
        ("[[checks]]\nname = \n", 2),
    ],
)
def test_what_is_wrong_has_its_place(text: str, line: int) -> None:
    Path("prelu-tools.toml").write_text(text)
    with pytest.raises(ListError) as caught:
        check_jobs()
    assert (caught.value.path, caught.value.line) == ("prelu-tools.toml", line)


def test_a_misspelled_key_is_annotated_where_it_stands() -> None:
    Path("prelu-tools.toml").write_text(f"\n\n[[checks]]\n{BOTH}min_coverag = 1")
    found = cli("verify", "--format", "github")
    assert found.code == 2
    assert found.out == (
        "::error file=prelu-tools.toml,line=3,title=prelu-tools verify::prelu-tools.toml, check 1 "
        "('a'): unknown key 'min_coverag'; did you mean 'min_coverage'?\n"
    )


# Values


WRONG = {
    "name": ["1", "''"],
    "reference": ["1", "''", "['a']"],
    "candidates": ["'net.onnx'", "[]", "[1]", "['']"],
    "inputs": ["1", "''"],
    "providers": ["'cpu'", "[]", "[1]"],
    "runtimes": ["'ncnn'", "[]", "[1]"],
    "layouts": ["'nchw'", "{ candidate = 'chw' }", "['nchw']", "{ candidate = [1] }"],
    "min_coverage": ["-0.1", "1.1", "nan", "'1'", "true"],
    "min_hits": ["0", "1.5", "true", "'4'"],
    "min_power": ["-0.1", "1.1", "nan", "'1'", "false"],
    "tolerance": [
        *("1e-3", "'loose'", "'1'", "[1]", "[1, 2, 3]", "[-1, 0]", "[0, -1]", "[nan, 0]"),
        *("[inf, 0]", "'1,x'", "[true, 1]", "['1', '1']", "{ rtol = 1 }", f"[0, 1{'0' * 400}]"),
    ],
    "samples": ["0", "1.5", "true", "'4'"],
    "seed": ["-1", "0.5", "false"],
    "search_seconds": ["-1", "nan", "inf", "'1'", "true"],
    "power": ["1", "'yes'"],
    "quick": ["1"],
    "layers": ["0"],
    "allow_fallback": ["1"],
    "strict_special": ["1"],
    "strict_interface": ["1"],
    "strict_warnings": ["1"],
    "allow_no_prelu": ["1"],
    "input": ["'x:1,4'", "[]", "['x']", "['x:0,4']", "[':1']"],
    "input_range": ["[0, 1]", "{ x = [1, 0] }", "{ x = 1 }", "{ x = [0, inf] }", "{ x = '1' }"],
    "custom_objects": ["'m'", "[1]"],
    "allow_unsafe_load": ["1"],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, vs in WRONG.items() for v in vs])
def test_a_wrong_value_is_a_usage_error(key: str, value: str) -> None:
    lines = {"reference": '"net.onnx"', "candidates": '["net.onnx"]', key: value}
    text = "\n".join(f"{name} = {text}" for name, text in lines.items())
    Path("prelu-tools.toml").write_text(f"[[checks]]\n{text}")
    found = cli("verify")
    assert (found.code, found.out) == (2, "")
    assert "prelu-tools.toml, check 1" in found.words
    assert f": {key} is " in found.words
    assert "; expected " in found.words


def test_every_key_has_wrong_values() -> None:
    assert set(WRONG) == set(FIELDS)


# The schema


def test_the_schema_that_ships_is_the_one_that_the_keys_give() -> None:
    assert shipped_schema() == schema_text(), "run make schema"


def test_the_schema_is_one_and_describes_every_key() -> None:
    Draft7Validator.check_schema(check_schema())
    properties = check_schema()["properties"]["checks"]["items"]["properties"]
    assert set(properties) == set(FIELDS)
    assert all(one["description"].endswith(".") for one in properties.values())


def _parsed(**values: str) -> object:
    lines = {"reference": '"a"', "candidates": '["b"]', **values}
    text = "\n".join(f"{key} = {value}" for key, value in lines.items())
    return tomllib.loads(f"[[checks]]\n{text}")


# TOML has these numbers and JSON has not.
_BEYOND = ("nan", "inf", "[nan, 0]", "[inf, 0]", "{ x = [0, inf] }", f"[0, 1{'0' * 400}]")
# What depends on two values at once.
_BEYOND_ORDER = ("{ x = [1, 0] }", "'1,x'", "['x:0,4']", "['x']", "[':1']")


@pytest.mark.parametrize(
    ("key", "value"),
    [(k, v) for k, vs in WRONG.items() for v in vs if v not in (*_BEYOND, *_BEYOND_ORDER)],
)
def test_the_schema_refuses_what_the_reader_refuses(key: str, value: str) -> None:
    assert not VALIDATOR.is_valid(_parsed(**{key: value}))


@pytest.mark.parametrize("key", FIELDS)
def test_both_take_the_example_of_each_key(key: str) -> None:
    example = FIELDS[key].example
    assert VALIDATOR.is_valid(_parsed(**{key: example}))
    FIELDS[key].kind.read(tomllib.loads(f"x = {example}")["x"])


@pytest.mark.parametrize(
    "document",
    [{}, {"checks": []}, {"chekcs": []}, {"checks": [{"reference": "a"}]}, {"checks": [{"x": 1}]}],
)
def test_the_schema_refuses_what_is_no_list(document: object) -> None:
    assert not VALIDATOR.is_valid(document)


# init


def _project() -> None:
    save_dense(Path("net.onnx"))
    save_dense(Path("net-fast.onnx"))


def test_init_writes_what_is_valid_and_runs() -> None:
    _project()
    found = cli("init")
    assert (found.code, found.err) == (0, "")
    text = Path("prelu-tools.toml").read_text(encoding="utf-8")
    assert text.startswith("#:schema ./prelu-tools.schema.json\n")
    assert VALIDATOR.is_valid(tomllib.loads(text))
    assert json.loads(Path("prelu-tools.schema.json").read_text()) == check_schema()
    assert cli("verify", "--jobs", "0", "--format", "json").code == 0


def test_every_key_that_it_names_in_a_comment_may_be_used() -> None:
    _project()
    assert cli("init", "--no-schema", "-q").code == 0
    assert not Path("prelu-tools.schema.json").exists()
    written = Path("prelu-tools.toml").read_text()
    head, _, rest = written.partition("# More keys of a check, each with an example value:\n")
    lines = [line.removeprefix("# ") for line in rest.splitlines()]
    assert "#:schema" not in head
    assert {line.partition(" ")[0] for line in lines} == {*FIELDS} - {
        "name",
        "reference",
        "candidates",
        "input",
    }
    assert VALIDATOR.is_valid(tomllib.loads(f"{head}\n" + "\n".join(lines)))
