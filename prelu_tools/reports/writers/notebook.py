"""A result in a notebook: the elements of the HTML page, with the verdict as a bar next to them."""

from __future__ import annotations

import re
from dataclasses import replace

from prelu_tools.reports import Result, Style
from prelu_tools.reports.document import Block, Section, Slopes
from prelu_tools.reports.views import view_of
from prelu_tools.reports.writers.html import fragment

_COLOURS = {"pass": "#2e7d32", "fail": "#c62828", "inconclusive": "#f9a825"}
_NEUTRAL = "#9e9e9e"
_HEADING = re.compile(r"<(/?)h[1-6]>")


def render(result: Result, style: Style) -> str:
    """The result as an element, without headings, which a notebook's contents would list."""
    document = view_of(result, style)
    blocks = tuple(each for block in document.blocks for each in _still(block))
    body = _HEADING.sub(_as_paragraph, fragment(replace(document, blocks=blocks)))
    colour = _COLOURS.get(_verdict(document), _NEUTRAL)
    return (
        f'<div class="prelu-tools" style="border-left:4px solid {colour};padding-left:1em;'
        f'overflow-x:auto">\n{body}</div>\n'
    )


def _as_paragraph(tag: re.Match[str]) -> str:
    return "</b></p>" if tag[1] else "<p><b>"


def _still(block: Block) -> tuple[Block, ...]:
    """What needs no script: slopes as tables."""
    return block.tables if isinstance(block, Slopes) else (block,)


def _verdict(document: Section) -> str:
    """The verdict of the result, or of the verification in it; "" if there is none."""
    parts = (block for block in document.blocks if isinstance(block, Section))
    return document.verdict or next((part.verdict for part in parts if part.verdict), "")
