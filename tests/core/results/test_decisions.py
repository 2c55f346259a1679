"""The decisions of a model over many runs: ways that no run took."""

from __future__ import annotations

from prelu_tools.core.results.verification.decisions import Decision, DecisionBook


def _decision(*ways: str, taken: str = "", name: str = "If", by_sizes: bool = False) -> Decision:
    return Decision(name, ways, frozenset(taken.split()), by_sizes)


def test_ways_of_all_runs_are_kept_in_their_order() -> None:
    book = DecisionBook()
    book.add([_decision("b", "a", taken="a")])
    book.add([_decision("c", "a", taken="c")])
    (left,) = book.untaken(by_sizes=False)
    assert (left.ways, left.taken, left.untaken) == (("b", "a", "c"), {"a", "c"}, ("b",))
    assert book.untaken(by_sizes=True) == []


def test_what_was_taken_by_all_runs_together_is_not_left() -> None:
    book = DecisionBook()
    book.add([_decision("a", "b", taken="a"), _decision("x", name="sizes", by_sizes=True)])
    assert book.news([_decision("a", "b", taken="a b"), _decision("c", taken="c", name="new")]) == [
        ("If", "b")
    ]
    book.add([_decision("a", "b", taken="b")])
    assert book.untaken(by_sizes=False) == []
    assert [one.name for one in book.untaken(by_sizes=True)] == ["sizes"]
    assert book.news([_decision("a", "b", taken="a b")]) == []
