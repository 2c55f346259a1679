"""Documents for a terminal: aligned, within a given width, with colour on request.

A terminal is read from its end: the verdict and its reasons come last. Blocks that a page folds are
left out, unless details are requested.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text as Styled

from prelu_tools.reports import Result, Style
from prelu_tools.reports.document import (
    Block,
    Course,
    Facts,
    Lines,
    Name,
    Section,
    Slopes,
    Table,
    Text,
    Word,
    Written,
    plain,
)
from prelu_tools.reports.views import view_of
from prelu_tools.reports.writers.grid import COLOURS, grid

NARROWEST = 80
"""A terminal that is narrower breaks the lines itself: numbers are never cut."""
_MOST_REASONS = 12
_SPACE = "\x00"  # no result has one: see `printable`
_PASSED = ("", "pass", "ok")


def render(result: Result, style: Style) -> str:
    """The result as text."""
    style = replace(style, width=max(style.width, NARROWEST))
    out = io.StringIO()
    console = Console(
        file=out,
        width=style.width,
        force_terminal=style.colour,
        force_jupyter=False,  # else it shows the text there, and writes nothing
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    for paragraph in filter(None, _document(view_of(result, style), style)):
        console.print(*paragraph, sep="\n", soft_wrap=True)  # it breaks no word
        console.print()
    return "\n".join(line.rstrip() for line in out.getvalue().rstrip().splitlines()) + "\n"


Paragraph = list[RenderableType]


def _document(section: Section, style: Style) -> Iterator[Paragraph]:
    """The blocks, and then what they come to."""
    if not section.verdict:
        title: Paragraph = [_line(section.title, style.width, style="bold")]
        yield title + ([_line(_headline(section), style.width)] if section.headline else [])
    for block in section.blocks:
        if not _is_outcome(block):
            yield from _block(block, style)
        elif isinstance(block, Section) and style.details and block.blocks and not block.on_pages:
            yield [_line((Word(block.verdict), "  ", plain(block.title)), style.width)]
            yield from _section(block, style)
    end: Paragraph = []
    if section.verdict:
        verdict = Word(section.verdict.upper(), section.verdict)
        end.append(_line((verdict, f"  {_headline(section)}"), style.width))
    end += _reasons(section, style, "  " if section.verdict else "")
    end += [_line(one, style.width, "  " if section.verdict else "") for one in section.warnings]
    for block in section.blocks:
        if isinstance(block, Section) and _is_outcome(block):
            end += _outcome(block, style)
    if end:
        yield end
    yield [_line(one, style.width) for one in section.remarks]


def _is_outcome(block: Block) -> bool:
    """Whether it is a part with its own verdict, whose reasons come last."""
    return isinstance(block, Section) and bool(block.verdict)


def _outcome(section: Section, style: Style) -> Paragraph:
    if section.verdict in _PASSED or not section.reasons:
        return []
    title = ("  ", Word(section.verdict), "  ", plain(section.title))
    return [_line(title, style.width), *_reasons(section, style, "    ")]


def _reasons(section: Section, style: Style, indent: str) -> Paragraph:
    shown = section.reasons if style.details else section.reasons[:_MOST_REASONS]
    rest = len(section.reasons) - len(shown)
    more = [f"and {rest:,} more: -v shows them"] if rest else []
    return [_line(one, style.width, indent) for one in (*shown, *more)]


def _block(block: Block, style: Style) -> Iterator[Paragraph]:
    made = _WRITERS[type(block)](block, style)
    yield from (paragraph for paragraph in made if paragraph)


def _section(section: Section, style: Style) -> Iterator[Paragraph]:
    if section.on_pages or (section.folded and not style.details):
        return
    for block in section.blocks:
        yield from _block(block, style)


def _table(table: Table, style: Style) -> Iterator[Paragraph]:
    table = table.only([column.brief for column in table.columns])
    made, left_out = grid(table, style.width)
    yield [made, *([_line(table.legend, style.width, style="dim")] if table.legend else [])]
    yield [*_labelled([(words, ", ".join(names)) for words, names in left_out], style.width)]


def _lines(lines: Lines, style: Style) -> Iterator[Paragraph]:
    indent = "  " if lines.title else ""
    title = [Styled(lines.title)] if lines.title and lines.items else []
    yield [*title, *(_line(item, style.width, indent) for item in lines.items)]


def _facts(facts: Facts, style: Style) -> Iterator[Paragraph]:
    yield [*_labelled([(label, thing) for label, thing in facts.pairs], style.width)]


def _labelled(pairs: Iterable[tuple[str, Text]], width: int) -> Iterator[Styled]:
    """A label and a text each, the texts below each other."""
    pairs = list(pairs)
    widths = [cell_len(label) for label, _ in pairs]
    wide = max((one for one in widths if one <= width // 2), default=0)
    further = " " * (wide + 2)
    for label, text in pairs:
        room = wide + 2 - cell_len(label)
        if room < 2:
            yield _line(label, width)
        yield _line(text, width, further if room < 2 else label + " " * room, further=further)


def _slopes(slopes: Slopes, style: Style) -> Iterator[Paragraph]:
    from prelu_tools.reports.writers.charts.histogram import histograms

    first, *rest = slopes.tables
    yield from _table(first, style)
    yield [*histograms(slopes.layers, style.width)]
    for table in rest:
        yield from _table(table, style)


def _course(course: Course, style: Style) -> Iterator[Paragraph]:
    yield from _table(course.table, style)


def _written(written: Written, style: Style) -> Iterator[Paragraph]:
    yield [Styled(written.text.rstrip())]


def _line(
    text: Text, width: int, start: str = "", style: str = "", further: str | None = None
) -> Styled:
    """A sentence with all lines after the first indented by two.

    A name stays whole, even where it is longer than the line: so it can be copied.
    """
    rest = f"{start}  " if further is None else further
    lines = "\n".join(
        textwrap.fill(
            line,
            width,
            initial_indent=start,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in _kept_together(text).split("\n")
    ).replace(_SPACE, " ")
    made = Styled(lines, style=style)
    for part in (text,) if isinstance(text, str) else text:
        if isinstance(part, Word):
            place = lines.find(part)
            made.stylize(COLOURS.get(part.status, ""), place, place + len(part))
    return made


def _headline(section: Section) -> str:
    """The headline; the end of a line stands in for a semicolon."""
    return section.headline.replace(";\n", "\n")


def _kept_together(text: Text) -> str:
    """The text with spaces that no line is broken at: those of names, and that after an arrow."""
    parts = (text,) if isinstance(text, str) else text
    said = (one.replace(" ", _SPACE) if isinstance(one, Name) else one for one in parts)
    return "".join(said).replace("-> ", f"->{_SPACE}")


_WRITERS: Mapping[type, Callable[..., Iterator[Paragraph]]] = {
    Table: _table,
    Lines: _lines,
    Facts: _facts,
    Slopes: _slopes,
    Section: _section,
    Course: _course,
    Written: _written,
}
