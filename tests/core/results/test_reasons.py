"""Sentences with codes: strings to a reader, and something to go by for a program."""

from __future__ import annotations

import copy
import pickle

from prelu_tools.core.results.reasons import (
    Reason,
    are,
    as_reason,
    code_of,
    counted,
    listed,
    warnings_in,
    warnings_of,
)


def test_a_reason_is_its_sentence() -> None:
    reason = Reason("it is random", "candidate_random")
    assert reason == "it is random"
    assert f"{reason}!" == "it is random!"
    assert (code_of(reason), code_of("it is random"), code_of(Reason("words"))) == (
        "candidate_random",
        None,
        None,
    )


def test_the_code_stays_where_the_words_change() -> None:
    reason = Reason("a.onnx is random", "candidate_random")
    placed, renamed = reason.within("net.onnx"), reason.renamed("a.onnx", "b.onnx")
    said = Reason("is random", "candidate_random").after("it")
    more = reason.before("no seed")
    assert (said, code_of(said)) == ("it is random", "candidate_random")
    assert (more, code_of(more)) == ("a.onnx is random; no seed", "candidate_random")
    assert reason.within("a.onnx") is reason
    assert (placed, code_of(placed)) == ("net.onnx: a.onnx is random", "candidate_random")
    assert (renamed, code_of(renamed)) == ("b.onnx is random", "candidate_random")


def test_plain_sentences_have_no_code() -> None:
    reason = Reason("it is random", "candidate_random")
    assert as_reason(reason) is reason
    assert (as_reason("words"), as_reason("words").code) == ("words", None)


def test_the_code_says_which_notes_are_warnings() -> None:
    stale, other = Reason("it is old", "record_is_stale"), Reason("it is random", "random")
    unchecked = Reason("one size was checked", "sizes_not_checked")
    assert warnings_of([other, stale, "words", unchecked]) == (stale, unchecked)
    assert warnings_of([stale, other], [unchecked, stale]) == (stale, unchecked)
    assert warnings_of() == ()


def test_a_document_has_its_own_warnings_and_those_of_its_verification() -> None:
    own = {"notes": ["it is old", "it is random"], "note_codes": ["record_is_stale", None]}
    inside = {"notes": ["one size", "it is old"],
              "note_codes": ["sizes_not_checked", "record_is_stale"]}  # fmt: skip
    assert warnings_in(own) == ("it is old",)
    assert code_of(warnings_in(own)[0]) == "record_is_stale"
    assert warnings_in({**own, "verification": inside}) == ("it is old", "one size")
    assert warnings_in({"verification": inside}) == ("one size", "it is old")
    assert warnings_in({"notes": ["it is old"]}) == warnings_in(None) == ()


def test_one_thing_is_and_several_are() -> None:
    found = [f"{counted(n, 'layer')} {are(n)}" for n in (0, 1, 2, 1234)]
    assert found == ["0 layers are", "1 layer is", "2 layers are", "1,234 layers are"]


def test_the_first_names_are_listed() -> None:
    assert (listed([]), listed(["a", "b"], 2)) == ("", "a, b")
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed([*"abcde"]) == "a, b, c, d, e"
    assert listed(["a"] * 1005) == "a, a, a, a, a and 1,000 more"


def test_copies_keep_the_code() -> None:
    reason = Reason("it is random", "candidate_random")
    for copied in (copy.deepcopy(reason), pickle.loads(pickle.dumps(reason))):
        assert (copied, code_of(copied)) == ("it is random", "candidate_random")
