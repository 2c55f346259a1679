"""Where shapes leave the axis order of a candidate open: which orders are tried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from prelu_tools.commands.verify import command as module
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.reasons import code_of

REQUEST = VerifyRequest("r", ("c",))
SAME, FIRST, LAST = (0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)
NAMES = {SAME: "same", FIRST: "first", LAST: "last"}


def _linked(*others: tuple[int, ...]) -> Linked:
    links = (InputLink("x", "image", SAME, None, others), InputLink("v", "v", (0, 1)))
    return Linked("c", cast(Any, None), links, Layouts())


@pytest.mark.parametrize(
    ("verdicts", "tried", "chosen"),
    [
        ({"same": "pass"}, ["same"], "same"),
        ({"same": "inconclusive"}, ["same"], "same"),
        ({"same": "fail", "first": "pass"}, ["same", "first"], "first"),
        ({"same": "fail", "first": "fail", "last": "pass"}, ["same", "first", "last"], "last"),
        ({"same": "fail", "first": "fail", "last": "fail"}, ["same", "first", "last"], "same"),
        ({"same": "fail", "first": "inconclusive", "last": "fail"}, [*NAMES.values()], "same"),
        ({"same": "fail", "last": "pass"}, ["same", "first", "last"], "last"),
        ({"first": "fail"}, ["same", "first"], "first"),
        ({"last": "inconclusive"}, ["same", "first", "last"], "last"),
        ({}, ["same", "first", "last", "same"], None),
    ],
)  # fmt: skip
def test_orders_are_tried_until_one_passes(
    verdicts: dict[str, str], tried: list[str], chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has no verdict cannot be run."""
    asked: list[str] = []

    def judge(reference: Any, linked: Linked, provider: Any, request: Any) -> Any:
        assert (reference, provider, request) == ("the reference", "cpu", REQUEST)
        name = NAMES[linked.links[0].permutation]
        asked.append(name)
        if name not in verdicts:
            raise PReLUToolsError(f"{name} does not run")
        return SimpleNamespace(report=SimpleNamespace(verdict=verdicts[name]), notes=(name,))

    monkeypatch.setattr(module, "judge", judge)
    given: Any = "the reference", _linked(FIRST, LAST), "cpu", REQUEST
    if chosen is None:
        with pytest.raises(PReLUToolsError, match="same does not run"):
            module._in_any_order(*given)
    else:
        first, *more = module._in_any_order(*given).notes
        assert first == chosen
        assert [code_of(note) for note in more] == ["axis_order_tried"] * (chosen != "same")
        assert all(("it passes" in note) is (verdicts[chosen] == "pass") for note in more)
    assert asked == tried


def test_without_another_order_what_does_not_run_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def judge(*arguments: object) -> Any:
        asked.append(arguments)
        raise PReLUToolsError("it does not run")

    monkeypatch.setattr(module, "judge", judge)
    with pytest.raises(PReLUToolsError, match="it does not run"):
        module._in_any_order(cast(Any, None), _linked(), None, REQUEST)
    assert len(asked) == 1


@pytest.mark.parametrize(("passes", "does"), [(True, "passes"), (False, "runs")])
def test_the_order_that_counts_is_named(passes: bool, does: str) -> None:
    links = (InputLink("x", "image", LAST), InputLink("v", "v", (0, 1)),
             InputLink("z", "other", FIRST))  # fmt: skip
    note = module._moved_note(Linked("c", cast(Any, None), links, Layouts()), passes)
    assert note == (
        f"c: its shapes do not determine its axis order; it {does} with the reference's axes "
        "permuted for its inputs: image as [0, 2, 3, 1], other as [0, 3, 1, 2]"
    )
    assert code_of(note) == "axis_order_tried"
