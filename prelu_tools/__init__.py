"""Export models with PReLU to ONNX, prove that every slope arrived, and show what was learned.

    from prelu_tools import export, inspect, optimize, quantize, record, verify

Importing this loads nothing else: no numpy, no onnx, no framework. Modules load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prelu_tools.core.process.lazily import lazy_names
from prelu_tools.core.results.showing import show_with

if TYPE_CHECKING:
    from prelu_tools.api import export, inspect, optimize, quantize, record, verify
    from prelu_tools.core.errors import (
        MissingExtraError,
        PReLUToolsError,
        UsageError,
    )
    from prelu_tools.core.results.comparison import CompareResult
    from prelu_tools.core.results.export import ExportResult
    from prelu_tools.core.results.inspection import InspectResult
    from prelu_tools.core.results.optimization import OptimizeResult
    from prelu_tools.core.results.quantization import QuantizeResult
    from prelu_tools.core.results.record import RecordResult
    from prelu_tools.core.results.verification.result import (
        ExportVerificationError,
        VerdictError,
        VerifyResult,
    )

__version__ = "0.1.0"

__all__ = [
    "CompareResult",
    "ExportResult",
    "ExportVerificationError",
    "InspectResult",
    "MissingExtraError",
    "OptimizeResult",
    "PReLUToolsError",
    "QuantizeResult",
    "RecordResult",
    "UsageError",
    "VerdictError",
    "VerifyResult",
    "__version__",
    "export",
    "inspect",
    "optimize",
    "quantize",
    "record",
    "verify",
]

_HOMES = {
    **dict.fromkeys(("export", "inspect", "optimize", "quantize", "record", "verify"), "api"),
    **dict.fromkeys((name for name in __all__ if name.endswith("Error")), "core.errors"),
    "CompareResult": "core.results.comparison",
    "ExportResult": "core.results.export",
    "ExportVerificationError": "core.results.verification.result",
    "InspectResult": "core.results.inspection",
    "OptimizeResult": "core.results.optimization",
    "QuantizeResult": "core.results.quantization",
    "RecordResult": "core.results.record",
    "VerdictError": "core.results.verification.result",
    "VerifyResult": "core.results.verification.result",
    "testing": "testing",
    "training": "training",
}


if not TYPE_CHECKING:  # otherwise a type checker would accept any name
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)


def _render(result: Any, form: str) -> str:
    from prelu_tools.reports import Style, render_named

    return render_named(result, form, Style())


show_with(_render)
