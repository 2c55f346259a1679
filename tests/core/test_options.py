"""How a user wants sources to be read."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from typing import get_args

import pytest

from prelu_tools.core.options import (
    SHAPES,
    ConversionOptions,
    Dim,
    InputOption,
    ModelOutput,
    OtherInputs,
    SourceOptions,
    example_sizes,
    free_size,
)
from prelu_tools.core.requests.kinds import FLAG, TEXTS, WrongValueError
from prelu_tools.core.requests.option import Option, declared_options


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        (("batch", 3, 112, 112), (1, 3, 112, 112)),
        ((4, 3, "h", "w"), (4, 3, 48, 48)),
        (("batch", "t"), (1, 48)),
        (("batch", "c", "h", "w"), (1, 16, 16, 16)),
        (("batch", "c", "t"), (1, 48, 48)),
        (("batch", 1, "d", "h", "w"), (1, 1, 16, 16, 16)),  # a volume of 48 would be 27 times that
        ((), ()),
    ],
)
def test_free_sizes_are_those_that_most_nets_take(
    shape: tuple[Dim, ...], sizes: tuple[int, ...]
) -> None:
    assert example_sizes(shape) == sizes


def test_sizes_without_a_name_have_one_of_their_own() -> None:
    assert [free_size("x", axis) for axis in range(3)] == ["batch", "x_dim_1", "x_dim_2"]


@pytest.mark.parametrize("size", ["s0 + 1", "2n", "", 0, -1])
def test_a_text_has_only_what_input_accepts(size: Dim) -> None:
    text = InputOption("a.b", (size, 3, size)).text
    assert text == "a.b:batch,3,a_b_dim_2"
    assert SHAPES.read([text])[0].text == text


@pytest.mark.parametrize(
    ("shape", "text"),
    [(("batch", "2*h", 3), "y:batch,2*h,3"), ((), "y (scalar)"), (None, "y (any shape)")],
)
def test_an_output_has_its_sizes_or_says_that_it_has_none(
    shape: tuple[Dim, ...] | None, text: str
) -> None:
    assert ModelOutput("y", shape, "float32").text == text


# Shapes of inputs, as they are given in files, in Python and on the command line

X = InputOption("x", ("batch", 3, 112, 112))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:batch,3,112,112", X),
        ("a:b:4", InputOption("a:b", (4,))),
        (" x: 1 , n ", InputOption(" x", (1, "n"))),
        ("x:10", InputOption("x", (10,), "float32")),
        ("x:None,?,-1,3", InputOption("x", ("batch", "x_dim_1", "x_dim_2", 3))),
        ("a.b:2,None", InputOption("a.b", (2, "a_b_dim_1"))),
    ],
)
def test_a_shape_is_a_name_and_its_sizes(text: str, expected: InputOption) -> None:
    assert SHAPES.read([text]) == (expected,)
    assert SHAPES.from_text is not None
    assert SHAPES.from_text((text, "y:2")) == (expected, InputOption("y", (2,)))


def test_shapes_are_written_as_they_are_read() -> None:
    assert SHAPES.plain((X, InputOption("y", (1,)))) == ["x:batch,3,112,112", "y:1"]


@pytest.mark.parametrize("text", ["x", "x:", ":3", "x:3,", "x:0", "x:-2", "x:1.5", "x:a b", "x:²"])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(WrongValueError) as found:
        SHAPES.read(["y:3", text])
    assert str(found.value) == "a list of NAME:DIMS, as in x:batch,3,112,112"
    assert SHAPES.from_text is not None
    with pytest.raises(WrongValueError) as found:
        SHAPES.from_text(("y:3", text))
    assert str(found.value) == (
        f"{text!r} is not a valid input: expected NAME:DIMS, a size or a name for each dimension, "
        "as in x:batch,3,112,112"
    )


EXPECTED = 'a size or a name for each dimension, as in {"x": ("batch", 3, 112, 112)}'


def _python(value: object) -> object:
    assert SHAPES.from_python is not None
    return SHAPES.from_python(value)


def test_a_shape_in_python_is_sizes_by_name() -> None:
    assert SHAPES.in_python == EXPECTED
    assert _python({"x": ("batch", 3, 112, 112), "y": [1]}) == (X, InputOption("y", (1,)))
    sizes = ("batch", "x_dim_1", "x_dim_2", 1)
    assert _python({"x": (None, None, -1, 1)}) == (InputOption("x", sizes),)
    with pytest.raises(WrongValueError) as found:
        _python(["x:3"])
    assert (str(found.value), found.value.found) == (EXPECTED, None)
    for wrong in (3, "abc", None, (0,), (True,), (1.5,), ("a b",), (3, -2)):
        with pytest.raises(WrongValueError) as found:
            _python({"x": wrong})
        assert str(found.value) == EXPECTED
        assert found.value.found == f"input 'x' is given as {wrong!r}"


def test_the_schema_of_shapes_takes_what_is_read() -> None:
    items = SHAPES.schema["items"]
    assert (SHAPES.schema["type"], items["type"]) == ("array", "string")
    assert re.search(items["pattern"], "x:batch,3")
    assert not re.search(items["pattern"], "x:")
    assert not re.search(items["pattern"], ":3")
    assert (SHAPES.annotation, SHAPES.many) == ("Shapes", True)


# Options


def _options() -> dict[str, Option]:
    """As declared now, and not as remembered."""
    return {one.name: one for one in declared_options.__wrapped__(SourceOptions)}


def test_each_option_is_offered_where_it_has_an_effect() -> None:
    options = list(_options().values())
    assert [(one.name, one.field, one.where, one.default) for one in options] == [
        ("input", "inputs", ("cli", "api"), ()),
        ("custom_objects", "custom_objects", ("cli", "api"), ()),
        ("allow_unsafe_load", "allow_unsafe_load", ("cli", "api"), False),
        ("verbose", "show_chatter", ("api",), False),
    ]
    assert [one.metavar for one in options] == [
        "NAME:DIMS", "MODULE_OR_FILE[:NAME]", None, None
    ]  # fmt: skip
    assert [one.complete for one in options] == [(), "source", (), ()]
    assert [one.kind for one in options] == [SHAPES, TEXTS, FLAG, FLAG]
    assert [one.sources for one in options] == [
        "models that do not know all sizes of their inputs", "Keras files",
        "files that may run code", "",
    ]  # fmt: skip
    assert all(one.help.endswith(".") for one in options)


@pytest.mark.parametrize("name", ["input", "custom_objects", "allow_unsafe_load"])
def test_the_example_of_a_key_is_a_value_of_it(name: str) -> None:
    one = _options()[name]
    value = tomllib.loads(f"key = {one.example}")["key"]
    assert one.kind.read(value) is not None
    assert one.help.endswith(".")
    assert one.key_help
    assert one.sources


def test_what_asks_the_other_model_is_no_part_of_the_options() -> None:
    assert SourceOptions(other=lambda: None) == SourceOptions()
    assert SourceOptions() != SourceOptions(is_shared=True)
    assert not SourceOptions().is_shared
    plain = ConversionOptions()
    assert (plain.opset, plain.input_layout, plain.slope_axis, plain.is_verified) == (
        18, "keep", None, True,
    )  # fmt: skip


def test_the_inputs_of_another_model_are_shown_as_an_option_takes_them() -> None:
    other = OtherInputs("net.onnx", (InputOption("x", ("batch", 3)), InputOption("z", (2,))))
    assert (other.text, other.order) == ("x:batch,3, z:2", "")
    assert replace(other, is_turned=True).order == "; in the axis order of --layout"


def test_a_size_is_a_number_or_a_name() -> None:
    """Records of inputs are read by this type."""
    assert get_args(Dim) == (int, str)
