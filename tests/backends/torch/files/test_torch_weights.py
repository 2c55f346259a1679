"""Weights behind the @: how people keep them, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Outcome, cli

from prelu_tools.backends.opening import open_for_inspection, open_source
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.reasons import code_of

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

_NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.fc = nn.Linear(4, channels)
        self.act = nn.PReLU(channels)

    def forward(self, x):
        return self.act(self.fc(x))

    def example_inputs(self):
        return (torch.zeros(1, 4),)


class Deep(Net):
    def __init__(self, channels=3, depth=2):
        super().__init__(channels)
        sizes = [4, *[channels] * depth]
        self.fc = nn.Sequential(*map(nn.Linear, sizes, sizes[1:]))


class WithModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Net()

    def forward(self, x):
        return self.model(x)

    def example_inputs(self):
        return self.model.example_inputs()
"""
_SLOPES = [-0.5, 0.125, 2.0]


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    path = tmp_path / "nets_with_weights.py"
    path.write_text(_NETS)
    return path


@pytest.fixture
def state() -> dict[str, Any]:
    return {
        "fc.weight": torch.ones(3, 4),
        "fc.bias": torch.zeros(3),
        "act.weight": torch.tensor(_SLOPES),
    }


def _inspect(nets: Path, weights: Path, *more: str, name: str = "Net") -> Outcome:
    return cli("inspect", f"{nets}:{name}@{weights}", "--format", "json", "--slopes", *more)


def _prefixed(prefix: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {f"{prefix}{name}": value for name, value in state.items()}


_KEPT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model_state_dict": lambda state: {"model_state_dict": state, "loss": 0.5},
    "DataParallel": _prefixed("module."),
    "Lightning": lambda state: {"state_dict": _prefixed("model.")(state)},
    "compiled": _prefixed("_orig_mod."),
    "both": lambda state: {"state_dict": _prefixed("module.model.")(state)},
}


@pytest.mark.parametrize("kept", _KEPT)
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_a_checkpoint_is_unwrapped(
    kept: str, suffix: str, nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / f"weights{suffix}"
    torch.save(_KEPT[kept](state), weights)
    found = _inspect(nets, weights)
    assert found.code == 0, found.err
    assert found.json["layers"][0]["slopes"] == _SLOPES


def test_safetensors_are_read(nets: Path, state: dict[str, Any], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = tmp_path / "weights.safetensors"
    save_file(_prefixed("module.")(state), weights)
    assert _inspect(nets, weights).json["layers"][0]["slopes"] == _SLOPES


def test_a_prefix_that_is_the_models_own_stays(
    nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(_prefixed("model.")(state), weights)
    (layer,) = _inspect(nets, weights, name="WithModel").json["layers"]
    assert (layer["name"], layer["slopes"]) == ("model.act", _SLOPES)


def test_the_weights_are_in_the_export(nets: Path, state: dict[str, Any], tmp_path: Path) -> None:
    weights, target = tmp_path / "weights.pt", tmp_path / "net.onnx"
    torch.save(state, weights)
    source = f"{nets}:Net@{weights}"
    assert cli("export", source, "-o", target, "-q").code == 0
    layers = cli("inspect", target, "--format", "json", "--slopes").json["layers"]
    assert layers[0]["slopes"] == _SLOPES
    assert cli("verify", source, target).code == 0
    assert cli("verify", f"{nets}:Net", target).code == 1


def _refused(found: Outcome, *words: str) -> None:
    assert (found.code, found.out) == (3, "")
    assert "bug in prelu-tools" not in found.err
    for word in words:
        assert word in found.err


def test_other_shapes_do_not_fit(nets: Path, state: dict[str, Any], tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save(state, weights)
    found = _inspect(nets, weights, name="Net(channels=5)")
    _refused(found, "do not fit Net: 3 of 3 names match; 3 shapes differ: fc.weight is [3, ")


def test_arguments_that_were_left_out_are_shown_as_the_source_to_type(
    nets: Path, tmp_path: Path
) -> None:
    weights, other = tmp_path / "deep.pt", {"x.weight": torch.ones(3)}
    deep = {
        "fc.0.weight": torch.ones(5, 4),
        "fc.0.bias": torch.ones(5),
        "act.weight": torch.ones(5),
    }
    made = f"{nets}:Deep"
    begin = f"if Deep was trained with other arguments than the default ones (%s), use '{made}(%s"
    ends = {
        "Deep": (begin % ("channels, depth", "channels=CHANNELS"), f")@{weights}'"),
        "Deep(4)": (begin % ("depth", "channels=4, depth=DEPTH"), f")@{weights}'"),
        "Deep(3, depth=1)": ("3 shapes differ", "in the model"),  # nothing is left out
    }
    torch.save({f"net.{name}": value for name, value in deep.items()}, weights)
    for name, words in ends.items():
        _refused(_inspect(nets, weights, name=name), "3 of", *words)
    torch.save(other, weights)
    found = _inspect(nets, weights, name="Deep")
    _refused(found, "0 of 5 names match")
    assert "default ones" not in found.err  # it is another model


def test_the_arguments_that_a_checkpoint_states_are_shown(nets: Path, tmp_path: Path) -> None:
    weights = tmp_path / "last.ckpt"
    state = {
        "fc.0.weight": torch.ones(5, 4),
        "fc.0.bias": torch.ones(5),
        "act.weight": torch.ones(5),
    }
    stated = {"channels": 5, "depth": 1, "lr": 0.1, "name": torch.ones(1)}
    for hyper, name, typed in (
        (stated, "Deep", "Deep(channels=5, depth=1)"),
        ({**stated, "depth": 2}, "Deep", "Deep(channels=5)"),
        (stated, "Deep(depth=3)", "Deep(depth=1, channels=5)"),
    ):
        torch.save({"state_dict": state, "hyper_parameters": hyper}, weights)
        found = _inspect(nets, weights, name=name)
        _refused(found, f"according to the file's hyper_parameters, use '{nets}:{typed}@{weights}'")
    assert _inspect(nets, weights, name="Deep(channels=5, depth=1)").code == 0


@pytest.mark.parametrize("name", ["act.weight", "fc.bias"])
def test_a_tensor_that_is_missing_does_not_keep_its_start(
    name: str, nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    del state[name]
    torch.save(state, weights)
    _refused(
        _inspect(nets, weights), "do not fit", f"2 of 3 names match; missing in the file: {name}"
    )


def test_a_tensor_too_many_is_not_ignored(
    nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({**state, "act2.weight": torch.ones(1)}, weights)
    _refused(
        _inspect(nets, weights), "do not fit", "3 of 3 names match; not in the model: act2.weight"
    )


def test_a_file_that_is_missing_is_said(nets: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    _refused(_inspect(nets, weights), f"{weights} cannot be read: no such file")


class _MoreThanTensors:
    """What a pickle may smuggle in."""


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickle_that_is_more_than_tensors_is_not_run(
    wrapped: bool, nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    extra = _MoreThanTensors()
    torch.save({"state_dict": state, "extra": extra} if wrapped else extra, weights)
    _refused(_inspect(nets, weights), "contains more than tensors", "--allow-unsafe-load")
    found = _inspect(nets, weights, "--allow-unsafe-load")
    if wrapped:
        assert found.json["layers"][0]["slopes"] == _SLOPES
    else:
        _refused(found, "contains a _MoreThanTensors: expected a state dict")


def test_numpy_scalars_are_called_by_their_name(
    nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({"state_dict": state, "loss": np.float64(0.5)}, weights)
    said = "contains more than tensors, and it holds NumPy scalars, which PyTorch does not load"
    _refused(_inspect(nets, weights), said, "--allow-unsafe-load")
    torch.save({"state_dict": state, "loss": np.float64(0.5), "x": _MoreThanTensors()}, weights)
    _refused(_inspect(nets, weights), "loading it would run ", "_MoreThanTensors")


_BROKEN: dict[str, Callable[[Path], object]] = {
    "text": lambda path: path.write_text("no weights\n"),
    "empty": lambda path: path.write_bytes(b""),
    "cut short": lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("kind", _BROKEN)
def test_a_file_that_is_broken_is_no_reason_to_run_its_code(
    kind: str, suffix: str, nets: Path, tmp_path: Path
) -> None:
    weights = tmp_path / f"weights{suffix}"
    _BROKEN[kind](weights)
    found = _inspect(nets, weights)
    _refused(found, str(weights))
    assert "--allow-unsafe-load" not in found.err


def test_names_that_are_no_text_do_not_fit(nets: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    torch.save({0: torch.ones(3)}, weights)
    _refused(_inspect(nets, weights), str(weights))


def test_what_a_training_keeps_beside_the_model_is_left_out(
    nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    weights = tmp_path / "training.ckpt"
    held = {**_prefixed("net.")(state), "loss.weight": torch.ones(3), "n_averaged": torch.ones(())}
    torch.save({"state_dict": held}, weights)
    source = open_source(f"{nets}:Net@{weights}", SourceOptions())
    assert "not used from training.ckpt: loss.weight, n_averaged" in source.notes
    assert (
        "training.ckpt: the weights are under state_dict; removed from the weights' names: the "
        "prefix net." in source.notes
    )


def _trained() -> dict[str, Any]:
    """What Adam keeps, by number."""
    kept = {"step": torch.ones(()), "exp_avg": torch.ones(3)}
    return {"state": {0: kept, 1: kept}, "param_groups": [{"params": [0, 1]}]}


@pytest.mark.parametrize(
    ("wrap", "keys"),
    [
        (lambda s: {"epoch": 3, "model_state": s, "optim": _trained()}, ("model_state",)),
        (lambda s: {"loss": torch.ones(()), "weights": s}, ("weights",)),
        (lambda s: {"nets": {"student": s}, "rng": torch.ones(4)}, ("nets", "student")),
        (lambda s: {"other": s, "state_dict": {"net": s}}, ("state_dict", "net")),
        (lambda s: {**s, "act._extra_state": {"scale": torch.ones(1)}}, ()),
        (lambda s: {**s, "normalize": {"mean": torch.ones(3)}}, ()),
    ],
)
def test_a_state_dict_is_found_by_its_tensors(
    wrap: Any, keys: tuple[str, ...], state: dict[str, Any], tmp_path: Path
) -> None:
    from prelu_tools.backends.torch.files.weights import read_state

    torch.save(wrap(state), tmp_path / "net.pt")
    found = read_state(tmp_path / "net.pt", allow_unsafe=False)
    assert (found.wrappers, state.keys() <= found.state.keys()) == (keys, True)


def test_one_of_several_state_dicts_is_not_guessed(state: dict[str, Any], tmp_path: Path) -> None:
    other = {name: value + 1 for name, value in state.items()}
    torch.save({"generator": state, "critic": other}, tmp_path / "gan.pt")
    found = cli("inspect", tmp_path / "gan.pt")
    assert found.code == 3
    assert "contains several state dicts ('generator', 'critic'): save the one" in found.words
    assert "(FILE.py:FUNCTION)" in found.words


@pytest.mark.parametrize(
    ("wrap", "used", "unused"),
    [
        (lambda s, e: {"ema": e, "net": s}, "net", "ema"),
        (lambda s, e: {"params": s, "params_ema": e}, "params_ema", "params"),
        (lambda s, e: {"state_dict": s, "avg": {"n": 3, "model": e}}, "state_dict", "avg > model"),
        (lambda s, e: {"state_dict": s, "avg": _prefixed("module.")(e)}, "state_dict", "avg"),
        (lambda s, e: {**s, "avg": e}, "avg", "the top level"),
        (lambda s, e: {**_prefixed("b.")(s), **_prefixed("ema.")(e)}, "b.", "ema."),
    ],
)
def test_other_weights_that_fit_are_not_passed_over_in_silence(
    wrap: Any, used: str, unused: str, nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    average = {name: value + 1 for name, value in state.items()}
    torch.save(wrap(state, average), tmp_path / "net.pt")
    source = open_source(f"{nets}:Net@{tmp_path / 'net.pt'}", SourceOptions())
    found = [note for note in source.notes if code_of(note) == "other_state_dict"]
    assert len(found) == 1
    assert f"weights under {used} are used; those under {unused} fit as well" in found[0]
    assert "(FILE.py:FUNCTION)" in found[0]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"net": s, "again": s},
        lambda s: {"net": s, "optim": _trained(), "critic": {"act.weight": torch.ones(7)}},
        lambda s: {"net": s, "half": dict(list(s.items())[:-1])},
        lambda s: {"net": s, "larger": {name: torch.ones(9, 9) for name in s}},
    ],
)
def test_nothing_is_said_of_what_does_not_fit(
    wrap: Any, nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    torch.save(wrap(state), tmp_path / "net.pt")
    source = open_source(f"{nets}:Net@{tmp_path / 'net.pt'}", SourceOptions())
    assert not [note for note in source.notes if code_of(note) == "other_state_dict"]


def test_weights_alone_and_those_that_do_not_fit_name_the_others_too(
    nets: Path, state: dict[str, Any], tmp_path: Path
) -> None:
    torch.save({"net": state, "ema": {n: v + 1 for n, v in state.items()}}, tmp_path / "two.pt")
    assert "those under ema fit as well" in cli("inspect", tmp_path / "two.pt").words
    torch.save({"net": {"x.weight": torch.ones(3)}, "ema": state}, tmp_path / "other.pt")
    with pytest.raises(PReLUToolsError, match=r"do not fit Net: .*those under ema fit: .*FILE\.py"):
        open_source(f"{nets}:Net@{tmp_path / 'other.pt'}", SourceOptions())


def test_what_is_in_many_places_is_looked_at_once(tmp_path: Path) -> None:
    held: dict[str, Any] = {"x": 1}
    for _ in range(12):
        held = {str(number): held for number in range(100)}
    torch.save(held, tmp_path / "wide.pt")
    found = cli("inspect", tmp_path / "wide.pt")
    assert found.code == 3
    assert "contains no named tensors" in found.words


@pytest.mark.parametrize("name", ["net.ckpt", "net.pth.tar", "net.tar"])
def test_checkpoints_are_shown_whatever_they_are_called(
    state: dict[str, Any], tmp_path: Path, name: str
) -> None:
    torch.save(state, tmp_path / name)
    assert open_for_inspection(str(tmp_path / name), SourceOptions()).layers()
