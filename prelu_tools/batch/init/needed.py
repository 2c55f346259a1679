"""The files that the checks of a list need, and those of them that a checkout would lack."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from prelu_tools.backends.source_spec import path_spans
from prelu_tools.core.results.export import InitCheck

_SECONDS = 10


def files_of(label: str) -> list[str]:
    """The files of this machine that a source names: a model or a Python file, and weights."""
    if "://" in label:
        return []
    return [label[begin:end] for begin, end in path_spans(label)]


def files_needed(checks: Iterable[InitCheck]) -> list[str]:
    """What a checkout must have for checks to run, and their models' external data."""
    found: dict[str, None] = {}
    for check in checks:
        for label in (check.reference, *check.candidates):
            for file in files_of(label):
                path = Path(file)
                data = sorted(path.parent.glob(f"{path.name}.*.data")) if path.name else []
                found |= dict.fromkeys((file, *(one.as_posix() for one in data)))
    return list(found)


def recorded_files(checks: Iterable[InitCheck]) -> list[str]:
    """The models in this folder that the records among the references were made from."""
    files = dict.fromkeys(check.recorded_file for check in checks if check.recorded_file)
    paths = ((file, Path(file)) for file in files)
    return [file for file, path in paths if not path.is_absolute() and ".." not in path.parts]


def ignored_by_git(files: Iterable[str]) -> tuple[str, ...]:
    """Those of the files that git ignores; none where there is no git, or no repository."""
    command = ["git", "-c", "core.fsmonitor=false", "check-ignore", "-z"]
    try:
        done = subprocess.run(
            [*command, "--stdin"], input=os.fsencode("\0".join(files)), capture_output=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(filter(None, os.fsdecode(done.stdout).split("\0")))
