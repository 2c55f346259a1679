"""The models below a folder; files and folders that cannot be read are included as errors."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

WILD = re.compile(r"[*?\[]")
_SAVED_MODEL = "saved_model.pb"


def models_below(folder: str, is_model: Callable[[str], bool]) -> list[str]:
    """The models below a folder, in order; what is hidden is passed over.

    Folders that cannot be listed, and links that lead out of the folder to others, are among them:
    whoever opens one says why it cannot be read. A link to a folder that is met anyway is passed
    over.

    Args:
        folder: where to look.
        is_model: recognises a model by its file name.
    """
    top = os.path.realpath(folder)
    seen: set[str] = set()
    found: list[str] = []
    links: list[str] = []
    waiting = [folder]
    while waiting or links:
        if not waiting:
            link = links.pop(0)
            real = os.path.realpath(link)
            if real in seen:
                continue
            inside = os.path.commonpath((top, real)) == top
            (waiting if inside else found).append(link)
            continue
        place = waiting.pop()
        seen.add(os.path.realpath(place))
        entries = _listed(place)
        if entries is None or _SAVED_MODEL in (one.name for one in entries):
            found.append(place)
        else:
            found += _sorted_out(entries, is_model, waiting, links)
    return sorted(found)


def _listed(folder: str) -> list[os.DirEntry[str]] | None:
    try:
        with os.scandir(folder) as entries:
            return [one for one in entries if not one.name.startswith(".")]
    except OSError:
        return None


def _sorted_out(
    entries: list[os.DirEntry[str]],
    is_model: Callable[[str], bool],
    folders: list[str],
    links: list[str],
) -> Iterator[str]:
    """The models among the entries of a folder; its folders and the links to some are kept."""
    for one in entries:
        if one.is_dir(follow_symlinks=False):
            folders.append(one.path)
        elif one.is_symlink() and Path(one.path).is_dir():
            if (Path(one.path) / _SAVED_MODEL).is_file():
                yield one.path
            else:
                links.append(one.path)
        elif is_model(one.name):
            yield one.path


def unlistable(pattern: str) -> list[str]:
    """The folders that a pattern leads into and that cannot be listed: `glob` passes them over."""
    parts = pattern.split("/")
    found: dict[str, None] = {}
    for number, part in enumerate(parts):
        if not WILD.search(part):
            continue
        above = "/".join(parts[:number])
        base = f"{above}/" if above or pattern.startswith("/") else ""
        folders = glob.glob(base) if WILD.search(base) else [base]  # noqa: PTH207
        if part == "**":
            folders += glob.glob(f"{base}**/", recursive=True)  # noqa: PTH207
        found |= {one.rstrip("/"): None for one in folders if one and not _can_list(one)}
    return list(found)


def _can_list(folder: str) -> bool:
    """Whether it can be listed; a missing path, or a file, has no entries."""
    return not os.path.isdir(folder) or _listed(folder) is not None  # noqa: PTH112
