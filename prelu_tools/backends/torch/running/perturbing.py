"""Run a torch module with the result of every operator perturbed at random, as rounding may.

A dispatch mode sees the ATen operators that modules, functions, attention and norms consist of, not
only the tensors that modules pass to each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils import _pytree as pytree

from prelu_tools.backends.torch.running.modes import OperatorMode
from prelu_tools.backends.torch.running.rounding import (
    ADDED,
    EXACT,
    GATES,
    GRIDS,
    INTERPOLATED,
    KERNELS,
    LINEAR,
    LOGARITHMS,
    LOGS,
    NORMS,
    RELATIVE_TO_ONE,
    ROUNDED_ONCE,
    RUNNING,
    STATISTICS,
    SUMS,
    TIES,
    UNARY,
)
from prelu_tools.backends.torch.running.rows import Norm, axes_of, groups_of, norm_of, rows_of
from prelu_tools.core.rounding.noise import (
    ALIKE,
    MANY,
    SCALES,
    SINGLE,
    Noise,
    one_by_one,
    plain_sum_growth,
    sum_growth,
    term_growth,
)

_POOL = (1 << 20) + 7  # random numbers that are drawn once and reused from other offsets

_SMALLEST_HALF = 2.0**-14  # the smallest normal number of float16


class Perturbing(OperatorMode):  # type: ignore[no-untyped-call]
    """Perturbs the results of operators while it is entered."""

    def __init__(self, noise: Noise) -> None:
        """Draw the random numbers; those of torch itself stay as they are."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._noise = noise
        self._generator = torch.Generator().manual_seed(noise.seed)
        self._pool = torch.rand(_POOL, generator=self._generator).mul_(2).sub_(1)

    def operator(self, func: Any, args: Any, kwargs: Any) -> Any:
        """See `OperatorMode.operator`: perturbed by what is known of it."""
        schema = func._schema
        name = schema.name.partition("::")[2].rstrip("_")
        if name in TIES:
            return self._shuffled(func, args, kwargs)
        if name in EXACT or any(r.alias_info and not r.alias_info.is_write for r in schema.returns):
            return func(*args, **kwargs)
        if name in LINEAR:
            return self._linear(func, LINEAR[name](args), args, kwargs)
        if name in SUMS:
            return self._long_sum(name, args[0], args, self._sum(func, args, kwargs))
        if name in RUNNING:
            return self._running(func, args, kwargs)
        norm = norm_of(name, args) if name in NORMS else None
        if norm is not None:
            return self._normalise(func, args, norm)
        if name in STATISTICS:
            growth = plain_sum_growth(_largest_axis(args[0]))
            result = self._around(func, args, kwargs, 2.0, growth)
            return self._long_sum(name, args[0], args, result)
        if name in RELATIVE_TO_ONE:
            result = self._relative_to_one(func, args, kwargs)
            return self._long_sum(name, args[0], args, result)
        if name in GRIDS:
            return self._grid(func, args, kwargs)
        if name in INTERPOLATED:
            return self._around(func, args, kwargs, _places(args), 1.0)
        if name in ROUNDED_ONCE:
            return self._perturb(func(*args, **kwargs), 1.0)
        if name in LOGS:
            return self._around(func, args, kwargs, 1.0, KERNELS)
        if name in GATES:
            return self._gate(func, args, kwargs)
        if name in UNARY:
            return self._perturb(func(*args, **kwargs), KERNELS)
        return self._around(func, args, kwargs, 2.0, sum_growth(_largest_axis(*args)))

    def _shuffled(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Reorders the input of sorts, so that ties are resolved differently."""
        named = {argument.name: argument.default_value for argument in func._schema.arguments}
        named |= dict(zip(named, args, strict=False)) | kwargs
        x = named["self"]
        if named.get("stable") or "out" in kwargs or "values" in kwargs or not x.ndim:
            return func(*args, **kwargs)
        order = torch.randperm(x.shape[named["dim"]], generator=self._generator)
        values, places = func(x.index_select(named["dim"], order), *args[1:], **kwargs)
        return values, order[places]

    def _around(self, func: Any, args: Any, kwargs: Any, before: float, growth: float) -> Any:
        """An operator that rounds inside too: what goes in is perturbed, and what comes out."""
        written = _written(func, args, kwargs)
        args, kwargs = pytree.tree_map(
            lambda x: x if id(x) in written else self._perturbed(x, before), (args, kwargs)
        )
        return self._perturb(func(*args, **kwargs), 1.0, growth)

    def _linear(self, func: Any, terms: float, args: Any, kwargs: Any) -> Any:
        """The terms of a product are perturbed by way of one factor."""
        place = 1 if func._schema.name.startswith(("aten::add", "aten::badd")) else 0
        perturbed = self._perturbed(args[place], 1.0, term_growth(terms))
        args = (*args[:place], perturbed, *args[place + 1 :])
        return self._perturb(func(*args, **kwargs), 1.0, sum_growth(terms))

    def _sum(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if not isinstance(args[0], torch.Tensor) or not args[0].is_floating_point():
            return self._perturb(result, 1.0)
        terms = args[0].numel() / max(result.numel(), 1)
        information = torch.finfo(result.dtype)
        size = func(args[0].abs(), *args[1:], **kwargs).clamp_(max=information.max)
        unit = information.eps
        result.addcmul_(size, self._draw(size), value=self._noise.amount(unit, 0.0, 1.0))
        return self._perturb(result, 1.0, plain_sum_growth(terms))

    def _long_sum(self, name: str, x: Any, args: Any, result: Any) -> Any:
        """What adds up many terms is off by how these round, which is measured."""
        made, power, place = ADDED.get(name, (None, 0.0, 0))
        value = result[0] if isinstance(result, tuple) else result
        if made is None or not isinstance(x, torch.Tensor) or value.dtype != x.dtype:
            return result
        axes, is_variance = axes_of(x, args, place), name.startswith(("var", "std"))
        is_long = math.prod(x.shape[axis] for axis in axes) > MANY
        if x.dtype == torch.float64 or not (is_long or is_variance):
            return result
        rows, shape = rows_of(x, axes)
        if is_variance:
            off = self._off_by(rows).square().reshape(value.shape)
            value.copy_((value.square() + off).sqrt()) if power < 1 else value.add_(off)
        if is_long:
            off = self._one_by_one(made(rows), shape)
            off = off if value.ndim == x.ndim else off.reshape(value.shape)
            off = power * off
            value.add_(off) if name in LOGARITHMS else value.mul_(1 + off)
        return result

    def _off_by(self, rows: torch.Tensor) -> torch.Tensor:
        """How far the mean of each row is off: of equal values that is all their variance."""
        terms = rows.shape[-1]
        mean = rows.mean(-1)
        share = self._draw(mean) * self._noise.amount(SINGLE, 0.0, plain_sum_growth(terms) / 2)
        if terms > MANY:
            share = share + self._one_by_one(rows, mean.shape)
        return mean * share

    def _one_by_one(
        self, rows: torch.Tensor, shape: Sequence[int], running: bool = False
    ) -> torch.Tensor:
        """Shares by which sums of rows are perturbed, in their shape: see `one_by_one`."""
        scales = 1 + torch.rand(SCALES, generator=self._generator)
        found = torch.from_numpy(one_by_one(rows.detach().numpy(), scales.tolist(), running))
        drawn = self._draw(
            found[..., :1] if running else found
        )  # never near 0: a squared value shows a border
        return (found * (drawn + drawn.sign()) * (ALIKE / 2)).reshape(tuple(shape))

    def _running(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Round each partial sum of a running sum: what follows it has that error too."""
        result = func(*args, **kwargs)
        if not result.is_floating_point() or args[0].dtype != result.dtype:
            return result
        terms = result.shape[args[1]] if result.ndim else 1
        unit = torch.finfo(result.dtype).eps
        at_random = self._noise.amount(unit, 0.0, 1.0)
        perturbed = func(result * self._draw(result) * at_random, *args[1:])
        alike = self._noise.amount(unit, 0.0, 2 * plain_sum_growth(terms))
        if terms > MANY and result.dtype == torch.float32:
            rows = args[0].movedim(args[1], -1)
            share = self._one_by_one(rows, rows.shape, running=True)
            result = result * (1 + share.movedim(-1, args[1]))
        ramp = torch.linspace(0, alike, terms, dtype=result.dtype)
        if result.ndim:
            ramp = ramp.view([-1 if axis == args[1] % result.ndim else 1
                              for axis in range(result.ndim)])  # fmt: skip
        return self._perturb((result + perturbed).addcmul_(result * ramp, self._draw(result)), 1.0)

    def _relative_to_one(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What subtracts a logarithm of a sum of 1 and more is off by a unit of 1."""
        result = self._around(func, args, kwargs, 1.0, KERNELS)
        unit = torch.finfo(result.dtype).eps
        return result.add_(self._draw(result), alpha=self._noise.amount(unit, 1.0))

    def _grid(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Places run from -1 to 1, and 1 is added to them."""
        grid = args[1]
        unit = torch.finfo(grid.dtype).eps
        perturbed = grid + (1 + grid.abs()) * self._draw(grid) * self._noise.amount(unit, 1.0, 3.0)
        return self._perturb(func(args[0], perturbed, *args[2:], **kwargs), 1.0, 2.0)

    def _gate(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A factor times a value from 0 to 1, which kernels make of 1 and what is near -1."""
        largest = torch.finfo(args[0].dtype).max
        size = args[0].clamp(-largest, largest)
        result = self._perturb(func(*args, **kwargs), KERNELS)
        unit = torch.finfo(result.dtype).eps
        return result.addcmul_(size, self._draw(size), value=self._noise.amount(unit, 1.0))

    def _normalise(self, func: Any, args: Any, norm: Norm) -> Any:
        """Mean and variance are off for all of a group at once: more where it is far from 0."""
        places = dict(zip(norm.places, (None, None), strict=True))
        x = self._perturbed(args[0], 1.0)
        bare = [places.get(place, value) for place, value in enumerate(args)]
        result, mean, scale, *rest = func(x, *bare[1:])
        unit = torch.finfo(result.dtype).eps
        amount = self._noise.amount(unit, 0.0, plain_sum_growth(norm.terms) / 2)
        away = (mean * scale).reshape(norm.shape)
        off = amount * self._draw(away)
        wide = amount * (1 + away.abs()) * self._draw(away)
        if norm.terms > MANY and result.dtype != torch.float64:
            rows, squares = (groups_of(y.float(), norm.shape) for y in (args[0], result))
            off = off + self._one_by_one(rows, norm.shape)
            wide = wide + self._one_by_one(squares.square(), norm.shape) / 2
        grouped = result.reshape((*norm.shape[:2], -1)) if len(norm.shape) == 3 else result
        grouped = grouped * (1 + wide) + off * away
        result = self._perturb(grouped.reshape(result.shape).to(result.dtype), 1.0)
        weight, bias = (args[place] for place in norm.places)
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        if func._schema.name == "aten::native_layer_norm":
            shape = tuple(args[1])
        for factor, apply in ((weight, torch.mul), (bias, torch.add)):
            if factor is not None:
                result = self._perturb(apply(result, factor.reshape(shape)), 1.0)
        return (result, mean, scale, *rest)

    def _perturb(self, result: Any, once: float, growth: float = 0.0) -> Any:
        """Perturb results in place: an operator may have written into its arguments."""
        for tensor in pytree.tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                self._perturb_in_place(tensor, once, growth)
            elif isinstance(tensor, torch.Tensor) and tensor.is_complex():
                tensor.mul_(1 + self._complex(tensor, once, growth))
        return result

    def _perturb_in_place(self, tensor: torch.Tensor, once: float, growth: float) -> None:
        information = torch.finfo(tensor.dtype)
        amount = self._noise.amount(information.eps, once, growth)
        size = tensor.clamp(information.min, information.max)  # infinity - infinity would be NaN
        if self._noise.unit > information.eps:  # subnormal numbers have a fixed spacing
            size = size.abs_().clamp_(min=_SMALLEST_HALF)
        tensor.addcmul_(size, self._draw(tensor), value=amount)

    def _complex(self, tensor: torch.Tensor, once: float, growth: float) -> torch.Tensor:
        parts = torch.view_as_real(tensor)
        amount = self._noise.amount(torch.finfo(parts.dtype).eps, once, growth)
        return torch.view_as_complex(self._draw(parts).contiguous() * amount)

    def _perturbed(self, value: Any, once: float, growth: float = 0.0) -> Any:
        """A perturbed copy of what goes in."""
        if not isinstance(value, torch.Tensor) or not (
            value.is_floating_point() or value.is_complex()
        ):
            return value
        return self._perturb(value.clone(), once, growth)

    def _draw(self, like: torch.Tensor) -> torch.Tensor:
        """Random numbers from -1 to 1 in the shape and type of a tensor."""
        n = like.numel()
        if n > _POOL // 2:
            drawn = torch.rand(n, generator=self._generator).mul_(2).sub_(1)
        else:
            start = int(torch.randint(0, _POOL - n, (), generator=self._generator))
            drawn = self._pool[start : start + n]
        return drawn.view(like.shape).to(like.dtype)


def _written(func: Any, args: Any, kwargs: Any) -> set[int]:
    """The ids of the arguments that an operator writes into."""
    places = enumerate(func._schema.arguments)
    given = [
        args[place] if place < len(args) else kwargs.get(argument.name)
        for place, argument in places
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return {id(value) for value in given}


def _places(args: Sequence[Any]) -> float:
    """How far places between pixels are off, in half units: they are as large as the picture."""
    sizes = [*args[0].shape[2:], *(args[1] or ())]
    return max(2.0, max(sizes, default=1))


def _largest_axis(*values: Any) -> float:
    shapes = [value.shape for value in values if isinstance(value, torch.Tensor)]
    return float(max((size for shape in shapes for size in shape), default=1))
