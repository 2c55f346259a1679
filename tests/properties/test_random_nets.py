"""Random nets through export, optimize and verify: 200 in `make test`, `make test-properties` more.

PRELU_GRAPHS is how many, in pieces of 200, PRELU_SEED what the first piece is drawn from, and the
next ones the numbers that follow: the same numbers give the same nets. A net that fails is shown
as it was drawn; PRELU_SHRINK=1 looks for the smallest one that fails, which takes minutes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.engine import ConjectureRunner
from pipeline import NEWEST, Way, travel
from random_nets import SPELLINGS, Net, nets

from prelu_tools.graph.match.forms import FORMS

GRAPHS = int(os.environ.get("PRELU_GRAPHS", "200"))
PIECE = 200
SEED = int(os.environ.get("PRELU_SEED", "0"))
PHASES = (Phase.generate, Phase.shrink) if os.environ.get("PRELU_SHRINK") else (Phase.generate,)
WAYS = st.builds(
    Way,
    external=st.booleans(),
    raised=st.booleans(),
    depth=st.sampled_from(("graph",) * 13 + ("verified",) * 2 + ("commands",)),
    exact=st.sampled_from(("layer", "bitwise", "special")),
    seed=st.integers(0, 2**32 - 1),
)


def test_every_form_is_drawn() -> None:
    assert set(FORMS) - {"expression"} == set(SPELLINGS)


@pytest.fixture(autouse=True, scope="module")
def _fresh_nets() -> Iterator[None]:
    """No net is another one with a part changed, as hypothesis would have four of five."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConjectureRunner, "generate_mutations_from", lambda *_: None)
        yield


@pytest.mark.parametrize("number", [SEED + piece for piece in range(-(-GRAPHS // PIECE))])
def test_slopes_and_outputs_survive(number: int) -> None:
    @seed(number)
    @settings(
        max_examples=min(GRAPHS, PIECE),
        deadline=None,
        database=None,
        phases=PHASES,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(net=nets(NEWEST), way=WAYS)
    def survive(net: Net, way: Way) -> None:
        with tempfile.TemporaryDirectory() as folder:
            travel(net, way, Path(folder))

    survive()
