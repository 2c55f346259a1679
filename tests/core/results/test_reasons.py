"""Sentences with codes: strings to a reader, and something to go by for a program."""

from __future__ import annotations

import copy
import pickle

from prelu_tools.core.results.reasons import Reason, as_reason, code_of, warnings_of


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


def test_copies_keep_the_code() -> None:
    reason = Reason("it is random", "candidate_random")
    for copied in (copy.deepcopy(reason), pickle.loads(pickle.dumps(reason))):
        assert (copied, code_of(copied)) == ("it is random", "candidate_random")
