"""A result in a notebook: the Markdown report as HTML, with the verdict as a bar beside it.

Raw HTML is off in the conversion, so that a hostile name in a model is text here too.
"""

from __future__ import annotations

from markdown_it import MarkdownIt

from prelu_tools.reports import Result, Style
from prelu_tools.reports import markdown as markdown_report

_COLOURS = {"pass": "#2e7d32", "fail": "#c62828", "inconclusive": "#f9a825"}
_NEUTRAL = "#9e9e9e"


def render(result: Result, style: Style) -> str:
    """The result as an element, without headings: they would stand in the notebook's contents."""
    converter = MarkdownIt("js-default")
    tokens = converter.parse(markdown_report.render(result, style))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "p"
        if token.type == "heading_open":
            token.attrSet("style", "font-weight:bold")
    body = converter.renderer.render(tokens, converter.options, {})
    colour = _COLOURS.get(_verdict(result), _NEUTRAL)
    return (
        f'<div class="prelu-tools" style="border-left:4px solid {colour};padding-left:1em;'
        f'overflow-x:auto">\n{body}</div>\n'
    )


def _verdict(result: Result) -> str:
    """Of the result, or of the verification that it holds; "" where there is none."""
    checked = getattr(result, "verification", None)
    return str(getattr(result if checked is None else checked, "verdict", ""))
