"""Check that the files of a request exist before anything slow starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prelu_tools.backends.opening import check_source
from prelu_tools.backends.preflight.heeded import may_heed
from prelu_tools.backends.preflight.sources import demand_file, no_model
from prelu_tools.backends.registry import holds_weights_only
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.requests.effect import refuse_ignored, refuse_ignored_by_sources
from prelu_tools.core.requests.option import options_of

if TYPE_CHECKING:
    from prelu_tools.core.options import SourceOptions


def check_request(
    request: Any, *sources: str, others: Sequence[str] = (), inspects: bool = False
) -> None:
    """Look for the files that the options of a request name, and at its sources and options.

    Args:
        request: a request whose fields are options.
        sources: the sources that have to be there.
        others: further ones, which may be missing.
        inspects: whether they are looked at only, and not run.

    Raises:
        UsageError: an option would be ignored, a source is spelled like nothing that is known, or
            a folder to write to is missing.
        PReLUToolsError: a file is missing, or a name in a Python file.
    """
    kind: type = type(request)
    refuse_ignored(request, kind)
    for one in options_of(kind, "api"):
        value = vars(request).get(one.field)
        if not isinstance(value, Path):
            continue
        if one.kind.is_read:
            demand_file(value)
        elif one.kind.type == "file":
            demand_folder(value)
    for text in sources:
        check_source(text, inspects)
    if sources:
        _check_effect(request, (*sources, *others), inspects)


def _check_effect(request: Any, texts: Sequence[str], inspects: bool) -> None:
    """Reject an option that counts for none of the sources, as far as their names say."""
    options: SourceOptions = request.options
    if options.inputs and not inspects and holds_weights_only(texts[0]):
        raise PReLUToolsError(no_model(texts[0]))  # what --input says of it is not what is wrong
    heeded = {field for text in texts for field in may_heed(text, options, inspects)}
    names = ", ".join(dict.fromkeys(texts))
    refuse_ignored_by_sources(request, heeded, names, is_one=len(texts) == 1)


def demand_folder(path: Path) -> None:
    """Reject a file that cannot be written because its folder is not there.

    Raises:
        UsageError: it is so.
    """
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written: there is no folder {path.parent}")
