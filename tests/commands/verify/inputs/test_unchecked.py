"""What is said of sizes that could not be checked: which, and who fixes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.unchecked import fixed_sizes, unchecked_sizes
from prelu_tools.core.options import Dim, InputOption
from prelu_tools.core.results.reasons import code_of


def _spec(name: str, *shape: Dim) -> TensorSpec:
    return TensorSpec(name, "float32", shape, ())


def _source(*specs: TensorSpec, recording: object = None, frees_sizes: bool = False) -> Any:
    return SimpleNamespace(inputs=lambda: specs, recording=recording, frees_sizes=frees_sizes)


def _linked(label: str, *specs: TensorSpec, order: Sequence[int] = ()) -> Linked:
    """A candidate whose inputs are called as the reference's, with a capital letter."""
    named = [replace(spec, name=spec.name.upper()) for spec in specs]
    links = [InputLink(spec.name, spec.name.upper(), tuple(order or range(len(spec.shape))))
             for spec in specs]  # fmt: skip
    return Linked(label, _source(*named), tuple(links), Layouts())


def _unchecked(source: Any, *opened: Linked, given: Sequence[InputOption] = ()) -> list[str]:
    found = [*unchecked_sizes(source, opened, given)]
    assert {code_of(note) for note in found} <= {"sizes_not_checked"}
    return list(map(str, found))


FREE, TWO_FREE = _linked("c", _spec("x", "n", 3)), _linked("c", _spec("x", "n", 3, "w"))
ONE = "c: n of input 'X' is dynamic, but only n=1 was checked: {} fixes it"
BOTH = "c: n and w of input 'X' are dynamic, but only n=1 w=64 was checked: {} fixes them"


def test_a_reference_fixes_what_it_states() -> None:
    assert _unchecked(_source(_spec("x", 1, 3)), FREE) == [ONE.format("the reference")]
    assert _unchecked(_source(_spec("x", 1, 3, 64)), TWO_FREE) == [BOTH.format("the reference")]
    fixed = _linked("fixed", _spec("x", 1, 3))
    assert _unchecked(_source(_spec("x", 1, 3)), FREE, fixed) == [ONE.format("the reference")]
    assert _unchecked(_source(_spec("x", "batch", 3)), FREE) == []
    assert _unchecked(_source(_spec("x", 1, 3)), _linked("c", _spec("x", 1, 3))) == []


def test_each_input_of_each_candidate_counts() -> None:
    source = _source(_spec("a", "n", 3), _spec("x", 1, 3))
    one = _linked("one", _spec("a", "n", 3), _spec("x", "n", 3))
    other = replace(one, label="other")
    assert _unchecked(source, one, other) == [
        ONE.format("the reference").replace("c:", f"{label}:") for label in ("one", "other")
    ]


def test_another_candidate_fixes_what_the_reference_leaves_dynamic() -> None:
    source, wide = _source(_spec("x", "batch", 3, "w")), _spec("x", "n", 3, 64)
    small, both = _linked("small", _spec("x", 1, 3, "w")), _linked("both", _spec("x", 1, 3, 64))
    (words,) = _unchecked(source, TWO_FREE, both)
    assert words == BOTH.format("both")
    found = _unchecked(source, TWO_FREE, small, _linked("wide", wide))
    assert found == [
        BOTH.format("the reference"),  # nobody alone
        "small: w of input 'X' is dynamic, but only w=64 was checked: wide fixes it",
        "wide: n of input 'X' is dynamic, but only n=1 was checked: small fixes it",
    ]
    last = _linked("last", _spec("x", 3, 64, 1), order=(1, 2, 0))
    assert _unchecked(source, TWO_FREE, last) == [BOTH.format("last")]
    two = _source(_spec("a", "n", 3), _spec("x", "batch", 3))
    free = _linked("c", _spec("a", "n", 3), _spec("x", "n", 3))
    fixed = _linked("d", _spec("a", "n", 3), _spec("x", 1, 3))
    assert _unchecked(two, free, fixed) == [ONE.format("d")]


@pytest.mark.parametrize(
    ("asked", "is_record", "who"),
    [
        (InputOption("x", (1, 3, 64)), False, "--input x:1,3,64"),
        (InputOption("x", (1, 3, 64)), True, "the reference"),
        (InputOption("x", (1, 3, "w")), False, "the reference"),
        (InputOption("x", (1, 3, 64, 1)), False, "the reference"),
        (InputOption("z", (1, 3, 64)), False, "the reference"),
    ],
)
def test_an_option_fixes_what_it_says(asked: InputOption, is_record: bool, who: str) -> None:
    source = _source(_spec("x", 1, 3, 64), recording=object() if is_record else None)
    others = [InputOption("y", (1, 3, 64)), asked]
    assert _unchecked(source, TWO_FREE, given=others) == [BOTH.format(who)]


def test_what_was_taken_from_another_model_is_fixed_by_that() -> None:
    source = _source(replace(_spec("x", 1, 3), is_assumed=True))
    fixed = _linked("fixed", _spec("x", 1, 3))
    assert _unchecked(source, FREE, fixed) == [ONE.format("fixed")]
    assert _unchecked(source, FREE) == [ONE.format("the reference")]


def test_what_frees_the_sizes_of_a_reference_is_shown() -> None:
    cure = "; --input x:n,3,w checks others if it can run at them"
    source = _source(_spec("x", 1, 3, 64), frees_sizes=True)
    assert _unchecked(source, TWO_FREE) == [BOTH.format("the reference") + cure]
    turned = _linked("c", _spec("x", "n", "w", 3), order=(0, 2, 1))
    assert _unchecked(source, turned) == [BOTH.format("the reference") + cure]
    given = [InputOption("x", (1, 3, 64))]
    assert _unchecked(source, TWO_FREE, given=given) == [BOTH.format("--input x:1,3,64")]


def test_sizes_that_a_candidate_fixes_are_not_those_of_a_reference_that_frees_them() -> None:
    stated = _spec("x", "batch", 3, "h", "w")

    def said(source: Any, *opened: Linked) -> list[str]:
        found = [*fixed_sizes(source, opened)]
        assert {code_of(note) for note in found} <= {"size_fixed"}
        return list(map(str, found))

    end = "dynamic in the reference: other sizes were not checked; --strict-interface makes this a "
    both = _linked("both", _spec("x", 1, "h", 64, 3), order=(0, 2, 3, 1))
    one = _linked("one", _spec("x", 1, 3, "h", "w"))
    assert said(_source(stated), one, both) == [
        f"one: input 'X' accepts batch=1 only, but batch is {end}failure",
        f"both: input 'X' accepts batch=1 w=64 only, but batch and w are {end}failure",
    ]
    assert said(_source(stated), _linked("c", stated)) == []
    assumed = replace(_spec("a", "batch"), is_assumed=True)
    two = _linked("two", _spec("a", 2), _spec("x", 2, 3, "h", "w"))
    (words,) = said(_source(assumed, stated), two)
    assert words.startswith("two: input 'X' accepts batch=2 only")
