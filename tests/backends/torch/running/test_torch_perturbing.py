"""What the perturbed runs of torch perturb, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from prelu_tools.backends.torch.running.perturbing import Perturbing  # noqa: E402
from prelu_tools.core.rounding.noise import Noise  # noqa: E402

pytestmark = pytest.mark.torch


def _perturbed(function: Callable[[], torch.Tensor], runs: int = 6) -> list[torch.Tensor]:
    found = []
    for seed in range(runs):
        with torch.no_grad(), Perturbing(Noise(seed)):
            found.append(function())
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_infinity_stays_infinity(dtype: torch.dtype) -> None:
    scores = torch.linspace(-1, 1, 64, dtype=dtype).view(8, 8)
    mask = torch.full((8, 8), float("-inf"), dtype=dtype).triu(1)
    for found in _perturbed(lambda: (scores + mask).softmax(-1)):
        assert torch.isfinite(found).all()
        assert (found.triu(1) == 0).all()
    for found in _perturbed(lambda: (scores + mask).sum(-1)):
        assert (found[:-1] == -torch.inf).all()


def test_a_value_is_its_own_maximum() -> None:
    x = torch.randn(1, 1, 9, 9).sigmoid()
    for found in _perturbed(lambda: (lambda z: torch.max_pool2d(z, 1) == z)(x * 2)):
        assert found.all()


def test_equal_values_come_in_any_order_and_others_do_not() -> None:
    ties = torch.zeros(2, 50)
    distinct = torch.arange(50.0).flip(0)
    for pick in (lambda x: x.topk(3).indices, lambda x: x.sort(descending=True).indices[..., :3]):
        picked = _perturbed(lambda pick=pick: pick(ties))
        assert any((found != picked[0]).any() for found in picked)
        assert all(found.tolist() == [0, 1, 2] for found in _perturbed(lambda p=pick: p(distinct)))
    stable = _perturbed(lambda: ties.sort(stable=True).indices)
    assert all((found == torch.arange(50)).all() for found in stable)


def test_what_branches_and_loops_compute_is_moved_too() -> None:
    x = torch.randn(64)
    once = torch.ones((), dtype=torch.int64)
    loop = torch._higher_order_ops.while_loop

    def branch() -> torch.Tensor:
        return torch.cond(x.sum() < 1e9, lambda v: v * 3, lambda v: v, (x,))

    def body() -> torch.Tensor:
        found = loop(lambda i, v: i < 2, lambda i, v: (i + 1, v * 3), (once, x))
        return found[1]

    for function in (branch, body):
        for found in _perturbed(function):
            off = (found - 3 * x).abs()
            assert (off > 0).any()
            assert (off <= 1e-5 * (3 * x).abs()).all()


@pytest.mark.parametrize(
    "reduced",
    [
        lambda x: torch.nn.functional.group_norm(x, 1),
        lambda x: torch.nn.functional.layer_norm(x, x.shape[1:]),
        lambda x: torch.nn.functional.instance_norm(x.reshape(x.shape[0], 1, -1)),
        lambda x: x.mean((1, 2)),
        lambda x: torch.nn.functional.adaptive_avg_pool2d(x, 1),
        lambda x: x.var(-1),
        lambda x: x.square().mean(-1).sqrt(),
        lambda x: x.norm(dim=-1),
        lambda x: x.softmax(-1),
        lambda x: x.logsumexp(-1),
        lambda x: x.cumsum(-1),
    ],
    ids=[
        "group",
        "layer",
        "instance",
        "mean",
        "pool",
        "var",
        "rms",
        "norm",
        "softmax",
        "log",
        "running",
    ],
)
def test_long_sums_of_equal_values_are_expected_to_round_alike(
    reduced: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    """Kernels that add one by one are off by far more on a flat map than on any other."""
    steps = torch.tensor([0.11, 0.73, 1.9, 0.37]).repeat(8000)
    periodic = torch.linspace(0.3, 1.7, 4)[None, :, None] * steps
    noisy = torch.rand(1, 4, 32000, generator=torch.Generator().manual_seed(0)) + 0.5

    def farthest(x: torch.Tensor) -> float:
        right = reduced(x)
        perturbed = _perturbed(lambda: reduced(x))
        return max(((y - right).abs().max() / right.abs().max()).item() for y in perturbed)

    assert farthest(periodic) > 1.5 * farthest(noisy)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2), (0, 2, 3, 1)])
def test_norms_of_values_in_any_order_are_perturbed(order: tuple[int, ...]) -> None:
    """As in a dual-path RNN, whose blocks are permuted before their norm."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 6, 8, generator=generator).permute(order)
    right = torch.nn.functional.group_norm(x, 2)
    for found in _perturbed(lambda: torch.nn.functional.group_norm(x, 2), runs=2):
        off = (found - right).abs().max()
        assert found.shape == right.shape
        assert 0 < off < 1e-4
