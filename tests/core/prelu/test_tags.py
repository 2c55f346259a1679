"""Tags: numbers that say by themselves which slope they stand for."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from prelu_tools.core.arrays import Array, same_bits
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.tags import TagBook

SHAPES = {"a": (3, 1, 1), "b": (1,), "c": (4, 5), "d": ()}


@pytest.fixture
def book() -> TagBook:
    return TagBook()


@pytest.fixture
def tags(book: TagBook) -> dict[str, Array]:
    return {key: book.tag(key, shape) for key, shape in SHAPES.items()}


def test_tags_have_the_shape_and_type_of_a_parameter(tags: dict[str, Array]) -> None:
    assert {key: values.shape for key, values in tags.items()} == SHAPES
    assert all(values.dtype == np.float32 for values in tags.values())


def test_no_tag_is_given_twice(tags: dict[str, Array]) -> None:
    every = np.concatenate([values.ravel() for values in tags.values()])
    assert np.unique(every).size == every.size
    assert (every > 0).all()
    assert np.isfinite(2 * every).all()


@pytest.mark.parametrize("key", SHAPES)
def test_a_tag_says_whose_it_is(book: TagBook, tags: dict[str, Array], key: str) -> None:
    found = book.find(tags[key])
    assert found is not None
    assert (found.key, found.sign) == (key, 1)
    assert found.indices.shape == SHAPES[key]
    assert found.indices.ravel().tolist() == list(range(tags[key].size))


@pytest.mark.parametrize("order", itertools.permutations(range(2)))
def test_elements_are_followed_when_they_are_moved(
    book: TagBook, tags: dict[str, Array], order: tuple[int, ...]
) -> None:
    values = np.arange(20, dtype=np.float16).reshape(4, 5)
    found = book.find(tags["c"].transpose(order))
    assert found is not None
    assert same_bits(found.restore(values), values.transpose(order))


def test_elements_are_followed_when_they_are_spread(book: TagBook, tags: dict[str, Array]) -> None:
    values = np.array([0.25, np.nan, -0.0], np.float32)
    found = book.find(np.broadcast_to(tags["a"], (3, 2, 2)))
    assert found is not None
    assert same_bits(found.restore(values), np.broadcast_to(values.reshape(3, 1, 1), (3, 2, 2)))


def test_a_part_of_a_parameter_is_followed(book: TagBook, tags: dict[str, Array]) -> None:
    found = book.find(tags["c"][1:3, 4])
    assert found is not None
    assert found.indices.tolist() == [9, 14]


def test_a_turned_sign_is_seen(book: TagBook, tags: dict[str, Array]) -> None:
    found = book.find(-tags["c"])
    assert found is not None
    assert (found.key, found.sign) == ("c", -1)
    assert found.indices.ravel().tolist() == list(range(20))


def test_wider_types_keep_a_tag(book: TagBook, tags: dict[str, Array]) -> None:
    found = book.find(tags["a"].astype(np.float64))
    assert found is not None
    assert found.key == "a"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda a, c: np.concatenate([a.ravel(), c.ravel()]), id="two parameters"),
        pytest.param(lambda a, c: a * np.array([1, -1, 1]).reshape(3, 1, 1), id="mixed signs"),
        pytest.param(lambda a, c: -a * np.array([1, -1, 1]).reshape(3, 1, 1), id="mixed, negated"),
        pytest.param(lambda a, c: a * 2, id="doubled"),
        pytest.param(lambda a, c: a / 2, id="halved"),
        pytest.param(lambda a, c: a.astype(np.float16), id="rounded to float16"),
        pytest.param(lambda a, c: c.astype(np.float16), id="several rounded to float16"),
        pytest.param(lambda a, c: a + np.spacing(a), id="between two tags"),
        pytest.param(lambda a, c: a.astype(np.float64) * (1 + 1e-12), id="not a float32"),
        pytest.param(lambda a, c: a * np.nan, id="NaN"),
        pytest.param(lambda a, c: a[:0], id="nothing"),
        pytest.param(lambda a, c: np.zeros(3), id="zeros"),
        pytest.param(lambda a, c: np.nextafter(c.max(), np.float32(9)), id="one beyond the last"),
        pytest.param(lambda a, c: np.nextafter(a.min(), np.float32(0)), id="one before the first"),
    ],
)
def test_what_is_no_tag_of_one_parameter(
    change: Callable[[Array, Array], Array], book: TagBook
) -> None:
    a, c = book.tag("a", (3, 1, 1)), book.tag("c", (4, 5))
    assert book.find(np.asarray(change(a, c))) is None


def test_an_empty_parameter_owns_no_tag(book: TagBook) -> None:
    tags = [book.tag(key, shape) for key, shape in [("x", (0,)), ("y", (2,)), ("z", (0, 4))]]
    assert [values.size for values in tags] == [0, 2, 0]
    found = book.find(tags[1])
    assert found is not None
    assert (found.key, found.indices.tolist()) == ("y", [0, 1])


def test_an_empty_book_knows_nothing() -> None:
    assert TagBook().find(np.array([0.5], np.float32)) is None


def test_more_slopes_than_tags_are_refused(book: TagBook) -> None:
    book.tag("a", (10,))
    for shape in [(0x3F000000,), (1 << 15, 1 << 15, 2)]:
        with pytest.raises(PReLUToolsError, match=r"slopes in one model.*share them"):
            book.tag("b", shape)
    assert book.tag("b", (2,)).size == 2


def test_a_tag_is_no_number_that_people_write(book: TagBook) -> None:
    book.tag("a", (64,))
    assert book.find(np.array([0.5], np.float32)) is None


def test_tags_are_odd_patterns_from_one_half_on(book: TagBook) -> None:
    bits = book.tag("a", (3,)).view(np.uint32)
    assert bits.tolist() == [0x3F000001, 0x3F000003, 0x3F000005]


def test_a_tag_that_was_not_given_yet_is_none(book: TagBook) -> None:
    tags = book.tag("a", (3,))
    following = (tags.view(np.uint32) + np.uint32(2)).view(np.float32)
    assert book.find(following[:2]) is not None
    assert book.find(following) is None
    assert book.find(np.zeros(1, np.float32)) is None


def test_there_is_an_end_to_tags(book: TagBook, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "found more than 528,482,304 slopes in one model; expected fewer: "
        "share them across positions (shared_axes)"
    )
    with pytest.raises(PReLUToolsError) as raised:
        book.tag("a", (528482305,))
    assert str(raised.value) == words
    monkeypatch.setattr("prelu_tools.core.prelu.tags._CAPACITY", 4)
    assert book.tag("a", (4,)).size == 4
    with pytest.raises(PReLUToolsError, match="more than 4 slopes"):
        book.tag("b", ())
