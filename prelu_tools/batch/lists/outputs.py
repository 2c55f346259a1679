"""Where `export` writes the results of many models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prelu_tools.batch.lists.models import Found
from prelu_tools.batch.lists.pairs import STEM
from prelu_tools.core.errors import PReLUToolsError, UsageError


def outputs_of(found: Sequence[Found], output: str | None) -> list[Path]:
    """The file to write for each model; the folders that are needed are made.

    Args:
        found: the models.
        output: a folder, or a path with `{stem}` in it; None if a list names each file.

    Raises:
        UsageError: a model has no place, or two have the same.
        PReLUToolsError: a folder cannot be made.
    """
    paths = [_output(one, output) for one in found]
    taken: dict[Path, Found] = {}
    for one, path in zip(found, paths, strict=True):
        if path in taken:
            raise UsageError(
                f"{taken[path].text} and {one.text} would both be written to {path}: give a list "
                "with an output for each"
            )
        taken[path] = one
    for folder in dict.fromkeys(path.parent for path in paths):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PReLUToolsError(f"{folder} cannot be created: {error.strerror}") from error
    return paths


def _output(one: Found, output: str | None) -> Path:
    of_row = None if one.row is None else one.row.fields.get("output")
    if of_row is not None:
        return Path(of_row.replace(STEM, one.place))
    if output is None:
        raise UsageError(f"there is no output file for {one.text}: use -o FOLDER/")
    if STEM in output:
        return Path(output.replace(STEM, one.place))
    if output.endswith(".onnx") and not Path(output).is_dir():
        raise UsageError(
            f"{output} is a single file, but there are several models: use a folder (-o "
            f"models/), or a name with {STEM} in it (-o models/{STEM}.onnx)"
        )
    return Path(output) / f"{one.place}.onnx"
