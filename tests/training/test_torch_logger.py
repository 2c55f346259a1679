"""A training loop of PyTorch whose slopes are logged."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prelu_tools.core.errors import UsageError
from prelu_tools.core.files.slope_log import read_log
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord
from prelu_tools.training import SlopeWarning, TorchSlopeLogger

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.torch


class LogSlope(nn.Module):  # type: ignore[misc,name-defined]
    """A PReLU of a user's own, whose slope is a function of what is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_slope = nn.Parameter(torch.full((channels,), -1.0))

    def forward(self, x: Any) -> Any:
        return torch.where(x > 0, x, self.log_slope.exp()[:, None, None] * x)


class Net(nn.Module):  # type: ignore[misc,name-defined]
    """Each kind of layer that a logger has to tell from the others."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4))
        self.own = LogSlope(4)
        self.twice = nn.PReLU()
        self.positive = nn.PReLU(4)
        self.frozen = nn.PReLU().requires_grad_(False)
        self.slope = nn.Parameter(torch.tensor([0.5]))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Any) -> Any:
        x = self.twice(self.twice(self.own(self.first(x)) - 0.5) - 0.5)
        x = self.frozen(self.positive(x.abs()) - 1)
        return self.last(nn.functional.prelu(x.mean((2, 3)), self.slope))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def _train(net: Any, optimizer: Any, steps: int, shape: tuple[int, ...] = (8, 3, 6, 6)) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        net(torch.randn(shape)).square().mean().backward()
        optimizer.step()


def _logged(
    folder: Path, net: Any, optimizer: Any, steps: int, **options: Any
) -> tuple[list[SlopeRecord], list[str]]:
    """The records of some steps, and what was warned of."""
    shape = options.pop("shape", (8, 3, 6, 6))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        with TorchSlopeLogger(net, optimizer, folder, tensorboard=False, **options):
            _train(net, optimizer, steps, shape)
    texts = [str(each.message) for each in said if each.category is SlopeWarning]
    return read_log(folder / "slopes.jsonl")[0], texts


def _sgd(net: Any, **options: Any) -> Any:
    return torch.optim.SGD(net.parameters(), **{"lr": 0.05, **options})


def _layers(record: SlopeRecord) -> dict[str, LayerRecord]:
    return {layer.name: layer for layer in record.layers}


def test_each_layer_is_logged_as_inspect_finds_it(tmp_path: Path) -> None:
    from prelu_tools import inspect

    net = Net()
    before = inspect(net, input={"x": (2, 3, 6, 6)})
    records, said = _logged(tmp_path, net, _sgd(net), 7, every=3)
    assert [record.step for record in records] == [0, 3, 6]
    first = _layers(records[0])
    assert list(first) == [report.layer.name for report in before.layers]
    for report in before.layers:
        expected = report.layer.slopes.reshape(-1)
        np.testing.assert_array_equal(first[report.layer.name].slopes.astype("float32"), expected)
    assert said == []


def test_slopes_are_those_of_the_step(tmp_path: Path) -> None:
    net = Net()
    records, _ = _logged(tmp_path, net, _sgd(net), 6, every=3)
    last = _layers(records[-1])
    raw = dict(net.named_parameters())
    for name, parameter in (("first.2", "first.2.weight"), ("twice", "twice.weight")):
        expected = raw[parameter].detach().numpy()
        np.testing.assert_array_equal(last[name].slopes.astype("float32"), expected)
    np.testing.assert_allclose(last["own"].slopes, raw["own.log_slope"].exp().detach(), rtol=1e-6)
    assert last["own"].movement.max_change
    gradient = raw["first.2.weight"].grad.norm()
    assert last["first.2"].gradient == pytest.approx(float(gradient), rel=1e-5)


def test_frozen_slopes_are_told_and_not_warned_of(tmp_path: Path) -> None:
    net = Net()
    records, said = _logged(tmp_path, net, _sgd(net), 10, every=1)
    frozen = _layers(records[-1])["frozen"]
    assert not frozen.is_trained
    assert frozen.trends == ("not_moving",)
    assert not [text for text in said if "frozen" in text]


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    nets = Net(), Net()
    nets[1].load_state_dict(nets[0].state_dict())
    for number, net in enumerate(nets):
        torch.manual_seed(1)
        optimizer = _sgd(net)
        if number:
            _logged(tmp_path, net, optimizer, 8, every=1)
        else:
            _train(net, optimizer, 8)
    for (name, plain), logged in zip(
        nets[0].state_dict().items(), nets[1].state_dict().values(), strict=True
    ):
        assert torch.equal(plain, logged), name
    parts = list(nets[1].modules())
    assert all(part.training for part in parts)
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in parts)


def test_a_layer_whose_inputs_are_never_negative(tmp_path: Path) -> None:
    net = Net()
    _, said = _logged(tmp_path, net, _sgd(net), 12, every=1)
    (text,) = (text for text in said if "positive" in text)
    assert text.startswith(
        "not_moving positive: no slope has moved from its initial value (0.25) by step "
    )
    assert text.endswith("none of its inputs was negative in a sample, so no gradient reaches them")


def test_weight_decay_does_not_hide_that_no_gradient_comes(tmp_path: Path) -> None:
    net = Net()
    records, said = _logged(tmp_path, net, _sgd(net, weight_decay=0.01), 12, every=1)
    assert _layers(records[-1])["positive"].movement.n_unmoved == 0
    assert [text.split(":")[0] for text in said if "positive" in text] == ["no_gradient positive"]


class Half(nn.Module):  # type: ignore[misc,name-defined]
    """The second half of its channels is never negative."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.PReLU(4)

    def forward(self, x: Any) -> Any:
        return self.act(torch.cat([x[:, :2], x[:, 2:].abs()], 1))


def test_slopes_whose_inputs_are_never_negative(tmp_path: Path) -> None:
    net = Half()
    _, said = _logged(tmp_path, net, _sgd(net), 12, every=1, shape=(8, 4))
    (text,) = said
    assert text.startswith("partly_not_moving act: 2 of 4 slopes have not moved")
    assert text.endswith("no input of 2 of these was negative in a sample")


def test_nothing_behind_a_layer_learns(tmp_path: Path) -> None:
    class Cut(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.act, self.last = nn.PReLU(), nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return self.last(self.act(x).detach())

    net = Cut()
    _, (text,) = _logged(tmp_path, net, _sgd(net), 12, every=1, shape=(8, 3))
    assert text.startswith("not_moving act:")
    assert "no gradient reaches them, though inputs are negative" in text


def test_slopes_that_no_optimizer_has(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.PReLU(), nn.Linear(3, 3))
    optimizer = torch.optim.SGD(net[0].parameters(), lr=0.1)
    _, (text,) = _logged(tmp_path, net, optimizer, 12, every=1, shape=(8, 3))
    assert text.endswith("the optimizer does not have them")


def test_steps_that_the_type_cannot_hold(tmp_path: Path) -> None:
    net = nn.PReLU().to(torch.bfloat16)
    optimizer = _sgd(net, lr=1e-6)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        with TorchSlopeLogger(net, optimizer, tmp_path, every=1, tensorboard=False):
            for _ in range(12):
                net(torch.randn(8, 3, dtype=torch.bfloat16)).square().mean().backward()
                optimizer.step()
    (text,) = (str(each.message) for each in said if each.category is SlopeWarning)
    assert "may be too small for bfloat16 to hold" in text


def test_decay_that_pulls_slopes_to_zero(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.PReLU(3))
    optimizer = _sgd(net, lr=0.01, weight_decay=2.0)
    _, said = _logged(tmp_path, net, optimizer, 20, every=2, shape=(8, 3))
    first, second = said
    assert first.startswith("slopes_decay: a weight decay of 2 applies to the slopes of 1 of 1")
    assert second.startswith(
        "pulled_to_zero 1: the mean magnitude of its slopes fell from 0.25 to "
    )


def test_slopes_that_leave_the_usual_range(tmp_path: Path) -> None:
    net = nn.PReLU()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        with TorchSlopeLogger(net, optimizer, tmp_path, every=1, tensorboard=False):
            for loss in (-1.0, -1.0, -1.0, float("nan")):
                optimizer.zero_grad()
                (loss * net(-torch.ones(1))).sum().backward()
                net.weight.grad.neg_()
                optimizer.step()
    found = [str(each.message) for each in said if each.category is SlopeWarning]
    assert [text.split(":")[0] for text in found] == ["outside_range PReLU", "non_finite PReLU"]
    assert "at step 2, and have left [-1, 2]" in found[0]


def _whole(net: Any) -> Any:
    return torch.compile(net, backend="eager")


def _in_place(net: Any) -> Any:
    net.compile(backend="eager")
    return net


def _a_part(net: Any) -> Any:
    net.first = torch.compile(net.first, backend="eager")
    return net


@pytest.mark.parametrize("compiled", [_whole, _in_place, _a_part])
def test_compiled_modules(tmp_path: Path, compiled: Callable[[Any], Any]) -> None:
    from torch._dynamo.utils import counters

    net = compiled(Net())
    counters.clear()
    records, _ = _logged(tmp_path, net, _sgd(net), 4, every=2)
    assert not counters["graph_break"]
    assert list(_layers(records[0])) == ["first.2", "own", "twice", "positive", "frozen", "slope"]
    assert _layers(records[-1])["first.2"].movement.max_change


def test_a_training_that_goes_on(tmp_path: Path) -> None:
    net = Net()
    optimizer = _sgd(net)
    _logged(tmp_path, net, optimizer, 6, every=2)
    kept = _layers(read_log(tmp_path / "slopes.jsonl")[0][1])["first.2"].slopes
    records, _ = _logged(tmp_path, net, optimizer, 4, every=2, step=4)
    assert [record.step for record in records] == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(_layers(records[1])["first.2"].slopes, kept)


def test_a_torn_line_is_cut_off_before_the_log_goes_on(tmp_path: Path) -> None:
    net = Net()
    optimizer = _sgd(net)
    _logged(tmp_path, net, optimizer, 2, every=1)
    log = tmp_path / "slopes.jsonl"
    log.write_bytes(log.read_bytes()[:-30])
    records, _ = _logged(tmp_path, net, optimizer, 2, every=1, step=2)
    assert [record.step for record in records] == [0, 1, 2, 3, 4]
    assert read_log(log)[1] is False


def test_examples_take_the_place_of_the_first_call(tmp_path: Path) -> None:
    net = Net()
    given = {"x": torch.zeros(2, 3, 6, 6)}
    logger = TorchSlopeLogger(
        net, _sgd(net), tmp_path, every=1, tensorboard=False, example_inputs=given
    )
    assert not any(part._forward_pre_hooks for part in net.modules())
    logger.close()
    records, _ = _logged(tmp_path, net, _sgd(net), 1, every=1, example_inputs=given["x"])
    assert "own" in _layers(records[0])


def test_a_module_that_cannot_be_run_again_is_told_by_names(tmp_path: Path) -> None:
    class Once(nn.Module):  # type: ignore[misc,name-defined]
        calls = 0

        def __init__(self) -> None:
            super().__init__()
            self.act, self.norm, self.own_slope = nn.PReLU(), nn.LayerNorm(3, bias=False), None
            self.own_slope = nn.Parameter(torch.tensor([0.1]))

        def forward(self, x: Any) -> Any:
            Once.calls += 1
            if Once.calls > 1:
                raise RuntimeError("only once")
            return nn.functional.prelu(self.norm(self.act(x)), self.own_slope)

    net = Once()
    records, (text,) = _logged(tmp_path, net, _sgd(net), 1, every=1, shape=(8, 3))
    assert text.startswith(
        "found_by_name: the slopes were identified by names and shapes: running it"
    )
    assert set(_layers(records[0])) == {"act", "own_slope"}


def test_gradients_of_a_scaled_loss(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.PReLU(3))
    optimizer = _sgd(net)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    steps = []
    with TorchSlopeLogger(net, optimizer, tmp_path, every=1, tensorboard=False) as logger:
        for _ in range(6):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = net(torch.randn(8, 3)).float().square().mean()
            scaler.scale(loss * (1e30 if not steps else 1)).backward()
            scaler.step(optimizer)
            scaler.update()
            steps.append(logger.step)
    assert steps[0] == 0  # it was infinite, and the scaler took no step
    last = read_log(tmp_path / "slopes.jsonl")[0][-1].layers[0]
    assert last.gradient is not None
    assert 0 < last.gradient < 10


def test_a_log_that_cannot_be_written_does_not_stop_the_training(tmp_path: Path) -> None:
    net = nn.PReLU()
    optimizer = _sgd(net)
    folder = tmp_path / "run"
    folder.write_text("a file in the way")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", SlopeWarning)
        with TorchSlopeLogger(net, optimizer, folder, every=1, tensorboard=False) as logger:
            _train(net, optimizer, 3, (4, 3))
    assert logger.step == 3
    (text,) = (str(each.message) for each in said if each.category is SlopeWarning)
    assert text.startswith("not_written: ")


def test_a_model_without_prelu_is_told_once(tmp_path: Path) -> None:
    net = nn.Linear(3, 3)
    optimizer = _sgd(net)
    logger = TorchSlopeLogger(net, optimizer, tmp_path, every=1, tensorboard=False)
    with pytest.warns(SlopeWarning, match="no_prelu") as said, logger:
        _train(net, optimizer, 3, (4, 3))
    assert len(said) == 1
    assert {one.filename for one in said} == {__file__}
    assert not (tmp_path / "slopes.jsonl").exists()


def test_a_layer_with_very_many_slopes_is_logged_in_part(tmp_path: Path) -> None:
    net = nn.PReLU(10_000)
    net.weight.data = torch.arange(10_000.0)
    records, _ = _logged(tmp_path, net, _sgd(net, lr=0.0), 1, every=1, shape=(2, 10_000))
    layer = records[0].layers[0]
    assert layer.is_sampled
    assert (layer.slopes.size, layer.slopes[0], layer.slopes[-1]) == (4096, 0.0, 9999.0)
    assert layer.statistics.count == 10_000


@pytest.mark.parametrize("every", [0, -1, True, 2.5])
def test_an_interval_is_a_number_of_steps(tmp_path: Path, every: Any) -> None:
    net = nn.PReLU()
    with pytest.raises(UsageError, match="expected a number of steps"):
        TorchSlopeLogger(net, _sgd(net), tmp_path, every=every)


def test_slopes_that_come_from_two_parameters(tmp_path: Path) -> None:
    class Scaled(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gain, self.base = nn.Parameter(torch.full((3,), 0.5)), nn.Parameter(torch.ones(1))

        def forward(self, x: Any) -> Any:
            return x.clamp(min=0) + self.gain * self.base * x.clamp(max=0)

    net = Scaled()
    records, _ = _logged(tmp_path, net, _sgd(net), 3, every=1, shape=(8, 3))
    expected = (net.gain * net.base).detach().numpy()
    np.testing.assert_allclose(records[-1].layers[0].slopes, expected, rtol=1e-6)
    assert net.base.item() != 1.0


def test_layers_that_only_a_training_has(tmp_path: Path) -> None:
    class Auxiliary(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.act, self.extra = nn.BatchNorm1d(3), nn.PReLU(3), nn.PReLU()

        def forward(self, x: Any) -> Any:
            x = self.act(self.norm(x))
            return self.extra(x) if self.training else x

    net = Auxiliary()
    records, _ = _logged(tmp_path, net, _sgd(net), 2, every=1, shape=(8, 3))
    assert list(_layers(records[0])) == ["act", "extra"]


def test_what_is_no_optimizer(tmp_path: Path) -> None:
    net = nn.PReLU()
    with pytest.raises(UsageError, match=r"the optimizer is a PReLU: expected a torch\.optim"):
        TorchSlopeLogger(net, net, tmp_path)
    with pytest.raises(UsageError, match="no optimizer is given"):
        TorchSlopeLogger(net, [], tmp_path)


def test_an_optimizer_that_is_wrapped(tmp_path: Path) -> None:
    class Wrapper:
        def __init__(self, optimizer: Any) -> None:
            self.optimizer = optimizer

    net = nn.PReLU()
    optimizer = _sgd(net)
    with TorchSlopeLogger(net, Wrapper(optimizer), tmp_path, every=1, tensorboard=False) as logger:
        _train(net, optimizer, 2, (4, 3))
    assert logger.step == 2


def test_slopes_that_cannot_be_read_do_not_stop_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prelu_tools.backends.torch import live

    def sharded(*_: Any) -> None:
        raise RuntimeError("a part of\nthe tensor is elsewhere")

    monkeypatch.setattr(live, "tensor_of", sharded)
    net = nn.PReLU()
    optimizer = _sgd(net)
    logger = TorchSlopeLogger(net, optimizer, tmp_path, every=1, tensorboard=False)
    with pytest.warns(SlopeWarning, match="not_read.*a part of the tensor") as said, logger:
        _train(net, optimizer, 3, (4, 3))
    assert (logger.step, len(said)) == (3, 1)


def test_rows_that_belong_together(tmp_path: Path) -> None:
    class Graph(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.own_act = nn.Linear(3, 3), LogSlope(1)

        def forward(self, x: Any) -> Any:
            neighbours = torch.arange(len(x) - 1, -1, -1)
            return self.own_act(self.first(x).view(20, 1, 3)[neighbours])

    net = Graph()
    records, said = _logged(tmp_path, net, _sgd(net), 2, every=1, shape=(20, 3))
    assert [layer.form for layer in records[0].layers] == ["LogSlope"]
    assert said == []
