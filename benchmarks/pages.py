"""Puts what a benchmark measured into a page of the docs, between the marks of a section."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.onnxruntime.running.racing import runtime_version
from prelu_tools.commands.optimize.equality import processor

_AVX = (("avx512_vnni", "AVX-512 VNNI"), ("avx512f", "AVX-512"), ("avx2", "AVX2"))


def put(page: Path, section: str, text: str) -> None:
    """Put a text between `<!-- section -->` and `<!-- /section -->`; a new page has nothing else.

    Raises:
        ValueError: the page has no such place.
    """
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    before = page.read_text(encoding="utf-8") if page.exists() else f"{start}\n{end}\n"
    head, found, rest = before.partition(start)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{page} has no place for {section}")
    page.write_text(f"{head}{start}\n{text}\n{end}{tail}", encoding="utf-8")


def machine() -> str:
    """The version of onnxruntime, the processor, and the widest vectors that it has."""
    return f"onnxruntime {runtime_version()}, {processor() or 'unknown processor'}{vectors()}"


def vectors() -> str:
    """In words, the widest vectors that an x86 processor has; "" for others."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8", "replace").split()
    except OSError:
        return ""
    return next((f" with {name}" for flag, name in _AVX if flag in flags), "")
