"""Models that are a chain of PReLU layers in numpy: sources of no framework at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from prelu_tools.backends.protocol.defaults import SourceDefaults
from prelu_tools.backends.protocol.inputs import SearchLimits, TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.commands.verify.command import verify_source
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import Dim
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.core.results.verification.candidate import CandidateReport
from prelu_tools.core.results.verification.result import VerifyResult
from prelu_tools.core.rounding.noise import Noise

SLOPES = np.array([[0.25, -0.5, 0.125]], np.float32)
REQUEST = VerifyRequest("r", ("c",), search_seconds=0.0)
Change = Callable[[str, Array], Array]


def unchanged(_layer: str, y: Array) -> Array:
    """What a layer gives, as it is."""
    return y


@dataclass
class NumpyModel(SourceDefaults):
    """`y` is what the last layer gives; each layer takes what the one before it gave."""

    slopes: Mapping[str, Array] = field(default_factory=lambda: {"a": SLOPES})
    change: Change = unchanged
    shape: tuple[Dim, ...] = ("batch", 3)
    dtype: str = "float32"
    outputs: tuple[str, ...] = ("y",)
    notes: tuple[str, ...] = ()
    parameters: bool = True
    is_wide: bool = True
    can_perturb: bool = True
    form: str = "prelu"
    n_parameters: int = 3
    found: Sequence[Mapping[str, Array]] = ()
    limits: list[SearchLimits] = field(default_factory=list)
    fed: list[Mapping[str, Array]] = field(default_factory=list)
    framework: str = "numpy"
    label: str = "a live model"

    def inputs(self) -> Sequence[TensorSpec]:
        """One, `x`."""
        example = tuple(d if isinstance(d, int) else 1 for d in self.shape)
        return [TensorSpec("x", self.dtype, self.shape, example)]

    def layers(self) -> tuple[PReLULayer, ...]:
        """One for each of `slopes`."""
        return tuple(
            PReLULayer(
                name=name,
                nodes=(f"{name}_node",),
                parameter=f"{name}.weight" if self.parameters else None,
                form=self.form,
                slopes=slopes,
                input_shape=tuple(d if isinstance(d, int) else None for d in self.shape),
                stored_shape=slopes.shape,
                preceding_parameters=None,
                same_instance=True,
            )
            for name, slopes in self.slopes.items()
        )

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """PReLU, and what the change makes of it."""

        def compute(x: Array) -> Array:
            with np.errstate(all="ignore"):
                y = np.where(x > 0, x, self.slopes[layer] * x)
            return self.change(layer, y.astype(x.dtype))

        return compute

    @contextmanager
    def runner(self, observe: Observer | None = None) -> Iterator[Any]:
        """In its own type."""
        yield _Runner(self, observe, self.dtype)

    @contextmanager
    def wide_runner(self, observe: Observer | None = None) -> Iterator[Any]:
        """In float64, unless it is not `is_wide`."""
        if not self.is_wide:
            raise PReLUToolsError("it stays narrow")
        yield _Runner(self, observe, "float64")

    @contextmanager
    def perturbed_runner(self, noise: Noise, observe: Observer | None = None) -> Iterator[Any]:
        """What each layer gives is perturbed, unless it cannot be (`can_perturb`)."""
        if not self.can_perturb:
            raise PReLUToolsError("it has no operators")
        random = np.random.default_rng(noise.seed)

        def move(name: str, y: Array) -> Array:
            drawn = random.uniform(-1, 1, y.shape).astype(y.dtype)
            unit = float(np.finfo(y.dtype).eps)
            return self.change(name, y) * (1 + y.dtype.type(noise.amount(unit, 1.0)) * drawn)

        yield _Runner(replace(self, change=move, fed=[]), observe, self.dtype)

    def seek(
        self, _targets: object, _start: object, limits: SearchLimits
    ) -> Iterator[Mapping[str, Array]]:
        """Gives `found`, whatever is looked for."""
        self.limits.append(limits)
        yield from self.found


@dataclass
class _Runner:
    model: NumpyModel
    observe: Observer | None
    dtype: str

    @property
    def stayed_narrow(self) -> Sequence[str]:
        return ()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.model.fed.append(feeds)
        x = feeds["x"].astype(self.dtype)
        for name in self.model.slopes:
            y = self.model.activation(name)(x)
            if self.observe:
                self.observe(name, 0, x, y)
            x = y
        return dict.fromkeys(self.model.outputs, x)


def verified(
    reference: NumpyModel,
    *candidates: NumpyModel,
    request: VerifyRequest = REQUEST,
    told: list[str] | None = None,
    **changes: Any,
) -> VerifyResult:
    """What verify says of these models."""
    names = ("c", "d", "e")[: len(candidates)]
    ready = {name: cast(Source, model) for name, model in zip(names, candidates, strict=True)}
    wanted = replace(request, candidates=names, **changes)
    note = [].append if told is None else told.append
    return verify_source(cast(Source, reference), wanted, ready, note)


def the_one(result: VerifyResult) -> CandidateReport:
    """What is said of the candidate, where there is one."""
    (report,) = result.candidates
    return report
