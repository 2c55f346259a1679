"""A page of HTML taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = ("input", "meta", "link", "br", "wbr")


class ParsedPage(HTMLParser):
    """A page, or a part of one, whose elements are closed in order; else it is an error."""

    def __init__(self, page: str) -> None:
        """Take it apart."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.cells: list[str] = []
        self.scripts: list[str] = []
        self.title = ""
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    @property
    def names(self) -> list[str]:
        """The names of its elements."""
        return [name for name, _ in self.tags]

    @property
    def policy(self) -> str:
        """What it may load."""
        return next(a["content"] for _, a in self.tags if a.get("http-equiv")) or ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if "script" in self._open:
            self.scripts[-1] += data
        elif "style" not in self._open and data.strip():
            self.text.append(data.strip())
        if "title" in self._open:
            self.title += data
        if {"td", "th"} & set(self._open):
            self.cells.append(data)
