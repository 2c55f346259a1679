"""Names come from strangers: what steers a terminal is spelled out, all else is left alone."""

from __future__ import annotations

from dataclasses import fields

import pytest
from made_results import examined, layer, model, usual, verified

from prelu_tools.core.results.batch import BatchEntry
from prelu_tools.core.results.comparable import WRITTEN
from prelu_tools.reports.printable import cleaned, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\x9b", "a\\x9b"),
        ("a\r\t", "a\\r\\t"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\udc80", "\\udc80"),
        ("\uffff\ufffe", "\\uffff\\ufffe"),
        ("two\nlines", "two\\nlines"),
        ("::error::x", "\\x3a:error::x"),
        ("a::warning file=b,line=1::x", "a\\x3a:warning file=b,line=1::x"),
        ("::error", "\\x3a:error"),
        ("a::error x", "a\\x3a:error x"),
        ("a::Error::x", "a\\x3a:Error::x"),
        ("a ::other::x", "a \\x3a:other::x"),
        ("a ##[error]x", "a \\x23#[error]x"),
        ("##vso[task.complete]", "\\x23#vso[task.complete]"),
        ("##teamcity[x]", "\\x23#teamcity[x]"),
    ],
)
def test_what_steers_is_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "conv/act:0",
        "std::vector",
        "onnxruntime::Model::Model(int) x::y",
        "(a::errors::b)",
        "c10::Error: no",
        "## a title",
        "a::b",
        "層 é ✓",
        "back\\slash",
    ],
)
def test_the_rest_is_as_it_was(text: str) -> None:
    assert printable(text) == text


def test_every_text_of_a_result_is_cleaned_and_nothing_else_is_touched() -> None:
    dirty = model(layer("a\x1b", [0.5], nodes=("n\x1b",)), path="p\x1b", notes=("o\x1b",))
    clean = cleaned(dirty)
    assert (clean.path, clean.notes) == ("p\\x1b", ("o\\x1b",))
    assert clean.layers[0].layer.nodes == ("n\\x1b",)
    assert clean.layers[0].layer.slopes is dirty.layers[0].layer.slopes
    assert clean.layers[0].statistics == dirty.layers[0].statistics


def test_a_clean_result_stays_equal() -> None:
    assert cleaned(verified()) == verified()
    assert cleaned(examined()) == examined()
    assert cleaned(usual()).findings == usual().findings


def test_a_document_of_its_own_stays_as_it_was_written() -> None:
    entry = BatchEntry("a\x1b", "p", "ok", '{"a": "\x1b"}', shown="\x1b[1m")
    found = cleaned(entry)
    assert found.name != entry.name
    assert (found.text, found.shown) == (entry.text, entry.shown)
    written = {field.name for field in fields(BatchEntry) if field.metadata == WRITTEN}
    assert written == {"text", "shown"}
