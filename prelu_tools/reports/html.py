"""One page that needs nothing else: no server, no network, no other file.

What `verify` found is plain HTML, without any script (`html_verify.py`). The page of `inspect`
draws: its parts lie in `assets/`. The data stands in the page as JSON in which no character can end
a script, and the page's policy lets no script run but its own two (by their hashes), nor anything
be fetched: a hostile name in a model is text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchResult
from prelu_tools.core.results.inspection import InspectResult
from prelu_tools.core.results.verification import VerifyResult
from prelu_tools.reports import Result, Style
from prelu_tools.reports.assets import asset
from prelu_tools.reports.page import page_data
from prelu_tools.reports.printable import LONGEST, cleaned

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def render(result: Result, style: Style) -> str:
    """The page.

    Raises:
        UsageError: the result is neither that of one model, nor of `verify`, nor of many models.
    """
    if isinstance(result, BatchResult):
        from prelu_tools.reports.zoo.html import batch_page

        return batch_page(cleaned(result, LONGEST))
    if isinstance(result, VerifyResult):
        from prelu_tools.reports.html_verify import page_parts

        return filled(asset("verify.html"), page_parts(cleaned(result)))
    if not isinstance(result, InspectResult):
        raise UsageError(
            "html shows one model: inspect each one separately, or compare two with --format "
            "table, "
            "json, csv or markdown"
        )
    result = cleaned(result, LONGEST)
    library, script = asset("uPlot.iife.min.js"), asset("charts.js") + asset("page.js")
    return filled(
        asset("page.html"),
        {
            "title": html.escape(result.path),
            "policy": f"script-src {_hash(library)} {_hash(script)}",
            "style": asset("uPlot.min.css") + "\n" + asset("page.css"),
            "licence": asset("uPlot.LICENSE").strip(),
            "library": library,
            "data": embedded(page_data(result)),
            "script": script,
        },
    )


def _finite(value: Any) -> Any:
    """The data with null in place of what is not a number in JSON: a page shows it as none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def embedded(data: object) -> str:
    """JSON that can stand in a script element: no `<` is left, so nothing can end it."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def filled(template: str, parts: Mapping[str, str]) -> str:
    """The template with each place filled, in one go: what is filled in is not looked at again."""
    return _PLACE.sub(lambda found: parts[found[1]], template)
