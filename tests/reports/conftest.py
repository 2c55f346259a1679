"""A result that failed is false: a report that asks for its truth would leave it out."""

from __future__ import annotations

import pytest

from prelu_tools.core.results.verification.result import VerifyResult


@pytest.fixture(autouse=True)
def no_report_asks_whether_a_result_is_true(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever means `is not None` has to say so; `test_showing.py` is about the truth itself."""

    def refuse(self: VerifyResult) -> bool:
        raise AssertionError("say `is not None`: a result is false where it is not a pass")

    if request.node.path.name != "test_showing.py":
        monkeypatch.setattr(VerifyResult, "__bool__", refuse)
