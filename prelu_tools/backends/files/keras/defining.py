"""Where a custom class is defined, as far as files beside a model tell: nothing is imported."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from prelu_tools.core.python_code import read_code

_MOST_FILES = 50


def how_to_name(name: str, module: str, model: Path) -> str:
    """What to do about a custom class that is not known, with the option to type.

    Args:
        name: the class.
        module: the module that the model's file names; "" for none.
        model: the file: its folder and the current one are searched, the module's file first.
    """
    folders = list(dict.fromkeys((Path(), model.parent)))
    parts = module.split(".")
    is_named = all(part.isidentifier() for part in parts)
    named = [folder.joinpath(*parts).with_suffix(".py") for folder in folders if is_named]
    others = (path for folder in folders for path in sorted(folder.glob("*.py")))
    for path in (*named, *islice(others, _MOST_FILES)):
        code = read_code(path) if path.is_file() else None
        if code is not None and code.maker(name) is not None:
            return f"use --custom-objects {path.as_posix()}:{name}"
    return f"name the module or file that defines it, as in --custom-objects FILE.py:{name}"
