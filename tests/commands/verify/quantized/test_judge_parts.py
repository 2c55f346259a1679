"""How a quantized candidate is measured: what is run, how often, and what is compared with what."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from prelu_tools.commands.verify.quantized import judge as module
from prelu_tools.core.arrays import Array
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.rounding.tolerance import Limit

ONES = np.ones((2, 3), np.float32)
SIGNS = np.float32([[1, -1, 1], [-1, 1, -1]])


@pytest.mark.parametrize(
    ("effort", "draws"), [(0.0, 16), (1.25, 16), (1.4, 14), (2.5, 8), (3.3, 6), (100.0, 6)]
)
def test_noise_is_drawn_less_often_for_a_large_model(
    effort: float, draws: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(module, "_runs", lambda *given: ran.append(given) or [{"y": ONES}])
    plan: Any = SimpleNamespace(meaning="m", reference=SimpleNamespace(effort=effort))
    found = module._drawn(plan, lambda meaning, seed: (meaning, seed))  # type: ignore[arg-type,return-value]
    assert len(found) == draws
    assert ran == [(plan, ("m", seed), "what it means") for seed in range(draws)]


def _plan(kind: str = "QDQ", rounded: tuple[str, ...] = ("q",), **fields: Any) -> Any:
    meaning = SimpleNamespace(kind=kind, rounded=rounded, words="to int8")
    return SimpleNamespace(meaning=meaning, label="net.onnx", **fields)


def _parities(**verdicts: str) -> Any:
    return [SimpleNamespace(name=name, verdict=verdict) for name, verdict in verdicts.items()]


class _Outputs:
    """Outputs that are the reference's turned round, and may be off by a little."""

    def to_reference(self, expected: Array, values: Array, name: str) -> Array:
        """Turned."""
        assert expected.shape == (2, 3)
        assert name in ("y", "z")
        return values.T

    def limit(self, mine: str, run: int, values: Array) -> Limit:
        """Of each run its own."""
        assert values.shape == (2, 3)
        return Limit(0.001 * run, np.full((2, 3), 0.0625 if mine == "y" else 0.0))


def _measured(monkeypatch: pytest.MonkeyPatch, off: float, runs: int = 1, **verdicts: str) -> Any:
    """Of outputs that are off by so much, where moved weights move them by an eighth."""
    outputs = {"y": ONES, "z": ONES * 2}
    meant = [{name: (values + off).T for name, values in outputs.items()} for _ in range(runs)]
    draws = [
        [{name: values + sign * 0.125 * SIGNS.T for name, values in run.items()} for run in meant]
        for sign in (1, -1, 1, -1, 1, -1)
    ]
    asked: list[Any] = []
    monkeypatch.setattr(module, "_drawn", lambda *given: asked.append(given) or draws)
    plan = _plan(outputs=_Outputs(), reference=SimpleNamespace(outputs=[outputs] * runs))
    found = module._closeness_of_weights(plan, meant, _parities(**verdicts))
    assert asked in ([], [(plan, module.with_perturbed_weights)])
    assert bool(asked) == ("fail" in verdicts.values())
    return found


def test_weights_are_measured_where_an_output_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _measured(monkeypatch, 0.5, y="fail", z="pass")
    assert found["z"] is None
    assert found["y"].worst == pytest.approx((0.5 - 0.0625) / 0.125 / 8.5)
    assert found["y"].directed is True
    assert found["y"].n_draws == 6
    assert found["y"].alike > 0
    both = _measured(monkeypatch, 0.5, z="fail", y="fail")
    assert both["z"].worst == pytest.approx(0.5 / 0.125 / 8.5)
    last = _measured(monkeypatch, 0.5, y="pass", z="fail")
    assert (last["y"], last["z"].worst) == (None, both["z"].worst)
    assert _measured(monkeypatch, 0.5, y="pass", z="inconclusive") == {"y": None, "z": None}


def test_each_run_has_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _measured(monkeypatch, 0.5, runs=3, y="fail", z="pass")["y"]
    off = [0.5 - 0.0625 - 0.001 * run for run in range(3)]
    assert found.worst == pytest.approx(np.sqrt(np.mean(np.square(off))) / 0.125 / 8.5)
    twice = _measured(monkeypatch, 0.5, runs=3, y="pass", z="fail")["z"]
    off = [0.5 - 0.002 * run for run in range(3)]
    assert twice.worst == pytest.approx(np.sqrt(np.mean(np.square(off))) / 0.125 / 8.5)


@pytest.mark.parametrize(("kind", "rounded"), [("dynamic", ("q",)), ("QDQ", ())])
def test_kernels_are_not_measured_where_ranges_are_not_known(
    kind: str, rounded: tuple[str, ...]
) -> None:
    assert module._closeness_of_kernels(_plan(kind, rounded)) == {}


def test_kernels_are_compared_with_the_ends_of_ranges_and_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = [{"y": ONES * 4, "e": ONES[:0]}, {"y": ONES * -8, "e": ONES[:0]}]
    asked: list[Any] = []
    monkeypatch.setattr(module, "with_rounding", with_rounding := lambda *given: given)
    monkeypatch.setattr(module, "_runs", lambda *given: asked.append(given) or base)
    draws = [
        [{"y": run["y"] + sign * 0.125 * SIGNS, "e": run["e"]} for run in base]
        for sign in (1, -1, 1, -1, 1, -1)
    ]
    monkeypatch.setattr(module, "_drawn", lambda *given: asked.append(given) or draws)
    plan = _plan(results=[{"y": run["y"] + np.float32(0.25), "e": run["e"]} for run in base])
    both = module._closeness_of_kernels(plan)
    assert asked == [(plan, (plan.meaning, None), "what it means"), (plan, with_rounding)]
    found = both["y"]
    assert both["e"].worst == 0.0
    off = [0.25 - 4e-5, 0.25 - 8e-5]
    assert found.worst == pytest.approx(np.sqrt(np.mean(np.square(off))) / 0.125 / 8.5, rel=1e-6)
    assert (found.directed, found.alike, found.n_draws) == (False, 0.0, 6)
    base = [{"y": ONES / 8}]
    draws = [[{"y": ONES / 8 + sign * 2**-20 * SIGNS}] for sign in (1, -1, 1, -1, 1, -1)]
    alone = module._closeness_of_kernels(_plan(results=[{"y": ONES / 8 + np.float32(2**-18)}]))
    assert alone["y"].worst == pytest.approx((2**-18 - 1.25e-6) / 2**-20 / 8.5, rel=1e-4)


def _factor(factor: float | None) -> Any:
    return SimpleNamespace(least_factor=factor)


COUNTED = (
    "net.onnx: 1,234 of 5,678 quantized tensors match a tensor of the reference to within half a "
    "step in every value"
)


@pytest.mark.parametrize(
    ("weights", "close", "words"),
    [
        ({}, 1234, COUNTED),
        ({"y": None}, 1234, COUNTED),
        ({"y": _factor(None)}, 1234, COUNTED),
        (
            {"x": None, "y": _factor(0.01), "z": _factor(0.02), "a": _factor(None)},
            1234,
            f"{COUNTED}; the others (equalized, or folded differently) are compared by "
            "their effect on each output, which would show a factor of 1.0200 on 'z'",
        ),
        ({"z": _factor(0.02)}, 5678, COUNTED.replace("1,234", "5,678")),
    ],
)
def test_what_would_be_seen_of_the_weights_is_said(weights: Any, close: int, words: str) -> None:
    note = module._note_of_weights(_plan(), weights, close, 5678)
    assert (note, note.code) == (words, "int8_weights_compared")


# All of it


class _Layers:
    """Stands in for the layers: says what it was asked."""

    seen: list[Any]

    def __init__(self, *given: Any) -> None:
        self.seen.append(given)

    def parities(self, placement: Any, agreed: bool) -> tuple[Any, ...]:
        """What it was given."""
        return ("layers", placement, agreed)

    def notes(self, label: str) -> tuple[str, ...]:
        """Of which model they are."""
        return (Reason(label, "layers_noted"),)

    def power(self) -> str:
        """Some."""
        return "power"


@pytest.mark.parametrize(
    ("layers", "located", "close", "worst", "verdict"),
    [
        (True, True, 3, 0.5, "pass"),
        (True, True, 2, 0.5, "fail"),
        (True, True, 3, 2.0, "fail"),
        (True, False, 3, 0.5, "pass"),
        (False, True, 3, 0.5, "pass"),
    ],
)
def test_the_three_answers_are_put_together(
    layers: bool, located: bool, close: int, worst: float, verdict: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    watched: list[Any] = []
    _Layers.seen = []
    monkeypatch.setattr(module, "QuantizedLayers", _Layers)
    monkeypatch.setattr(module, "_watch", lambda *given: watched.append(given))
    asked: list[Any] = []
    monkeypatch.setattr(module, "_runs", lambda *given: given)
    monkeypatch.setattr(module, "weights_within_half_a_step",
                        lambda *given: asked.append(given) or (close, 3))  # fmt: skip
    measured = SimpleNamespace(worst=0.5, alike=9.0, decibels=30.0, directed=True,
                               least_factor=0.01)  # fmt: skip
    kernel = SimpleNamespace(worst=worst, decibels=30.0)
    monkeypatch.setattr(
        module,
        "_closeness_of_weights",
        lambda *given: asked.append(given) or {"y": measured, "z": None},
    )
    monkeypatch.setattr(
        module, "_closeness_of_kernels", lambda *given: asked.append(given) or {"y": kernel}
    )
    from test_judged_outputs import _output

    compared: list[Any] = []
    parities = [_output()]
    outputs = SimpleNamespace(compare=lambda results: compared.append(results) or parities)
    meaning = SimpleNamespace(model=SimpleNamespace(proto="proto"), kind="QDQ", words="to int8",
                              steps={"w": SimpleNamespace(is_coarse=True)})  # fmt: skip
    source = SimpleNamespace(located=("one",) if located else ())
    reference = SimpleNamespace(source=SimpleNamespace(graph="graph"))
    plan: Any = SimpleNamespace(
        reference=reference, source=source, meaning=meaning, layers=layers, outputs=outputs,
        results="results", given=False, is_limited=False, label="net.onnx",
    )  # fmt: skip
    found = module.judge_quantized(plan, {"n": "cpu"})
    meant = (plan, "proto", "what it means")
    assert compared == [meant, "results"]
    assert asked == [(plan, meant, parities), (plan,), (meaning, "graph")]
    assert [(given[0], type(given[1])) for given in watched] == [(plan, _Layers)] * len(watched)
    assert _Layers.seen == [(reference, source.located, meaning)]
    assert len(watched) == int(layers and located)
    assert measured.directed is (close < 3)
    assert [each.verdict for each in found.outputs] == [verdict]
    agreed = verdict == "pass"
    assert found.layers == (("layers", {"n": "cpu"}, agreed) if layers else ())
    assert found.power == ("power" if layers else None)
    assert [note.code for note in found.notes if isinstance(note, Reason)] == [
        "quantized_candidate", "int8_random_inputs", "layers_noted", "int8_weights_compared"
    ]  # fmt: skip
    assert found.notes[2] == "net.onnx"
    assert [getattr(doubt, "code", None) for doubt in found.doubts] == ["int8_scales_too_wide"]


class _Session:
    """Gives what it is asked for, and says how it was opened."""

    opened: list[Any]

    def __init__(self, *given: Any) -> None:
        self.opened.append(given)

    def fetch(self, feed: Any, names: list[str]) -> dict[str, Any]:
        """The names of what is asked for."""
        return {name: (name, feed["x"]) for name in names}

    def run(self, feed: Any) -> dict[str, Any]:
        """The outputs."""
        return {"y": feed["x"]}


@pytest.mark.parametrize("names", [("x", "t"), ("t",), ("x",), ()])
@pytest.mark.parametrize("runs", [1, 2])
def test_layers_are_watched_as_the_candidate_runs(
    names: tuple[str, ...], runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Session.opened = []
    monkeypatch.setattr(module, "Session", _Session)
    monkeypatch.setattr(module, "tapped", lambda proto, inside: ("tapped", proto, inside))
    node = SimpleNamespace(output=["t", "u"])
    graph = SimpleNamespace(node=[node], input=[SimpleNamespace(name="x")])
    proto = SimpleNamespace(graph=graph)
    model = SimpleNamespace(proto=proto, folder="folder")
    plan: Any = SimpleNamespace(
        source=SimpleNamespace(model=model), feeds=[{"x": 1}, {"x": 2}][:runs],
        provider="cuda", label="net.onnx",
    )  # fmt: skip
    seen: list[Any] = []

    def tensors(known: Any) -> tuple[str, ...]:
        assert set(known) == {"t", "u", "x"}
        return names

    layers: Any = SimpleNamespace(tensors=tensors, observe=lambda *given: seen.append(given))
    module._watch(plan, layers)
    if "t" not in names:
        assert (_Session.opened, seen) == ([], [])
        return
    assert _Session.opened == [(("tapped", proto, ["t"]), "cuda", "net.onnx", "folder")]
    fed = [{"x": 1}, {"x": 2}] if "x" in names else [{}, {}]
    assert seen == [(0, {**fed[0], "t": ("t", 1)}), (1, {**fed[1], "t": ("t", 2)})][:runs]


def test_what_a_file_means_runs_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _Session.opened = []
    monkeypatch.setattr(module, "Session", _Session)
    meaning = SimpleNamespace(model=SimpleNamespace(folder="folder"))
    plan: Any = SimpleNamespace(meaning=meaning, feeds=[{"x": 1}, {"x": 2}], provider="cuda",
                                label="net.onnx")  # fmt: skip
    proto: Any = "proto"
    assert module._runs(plan, proto, "what") == [{"y": 1}, {"y": 2}]
    assert _Session.opened == [("proto", "cpu", "what of net.onnx", "folder")]
