"""The arguments of a torch module: tensors by name, and how they are nested."""

from __future__ import annotations

import inspect as python_inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from prelu_tools.backends.protocol.failures import from_other, from_user
from prelu_tools.backends.protocol.freeing import taken_from
from prelu_tools.backends.protocol.inputs import TensorSpec, one_size_a_name, stated_spec
from prelu_tools.backends.torch.calling import (
    argument_name,
    as_call,
    has_position,
    names_itself,
    placed,
)
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import UsageError
from prelu_tools.core.options import Dim, InputOption, SourceOptions, example_sizes

_TRACED = 2  # torch.export treats a dimension of size 1 as constant
_VARIADIC = (python_inspect.Parameter.VAR_POSITIONAL, python_inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a forward: its tensors in order, and what they are nested in."""

    specs: tuple[TensorSpec, ...]
    """The tensors."""
    structure: pytree.TreeSpec
    """The structure of `(args, kwargs)`."""
    leaves: tuple[Any, ...]
    """Every leaf of that; a tensor's is its `TensorSpec.name`, wrapped in `_Slot`."""
    unnamed: frozenset[str] = frozenset()
    """The tensors without a name in the model: of `*args`, in a list, or called otherwise there."""
    notes: tuple[str, ...] = ()
    """Notes on them for the user."""
    is_assumed: bool = False
    """Whether the batch is dynamic by default."""
    is_of_example: bool = False
    """Whether the sizes are those of the example, and no others were tried."""
    origin: str = ""
    """Where the sizes are from, if not from the module, and what to do if it rejects them."""

    def build(self, tensors: Mapping[str, torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """`(args, kwargs)` of a call with these tensors."""
        filled = [tensors[leaf.name] if isinstance(leaf, _Slot) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(filled, self.structure)
        return args, kwargs

    def with_fixed_batch(self, why: str) -> Arguments:
        """The same for the batch of the examples alone."""
        specs = tuple(
            replace(spec, shape=(spec.example[0], *spec.shape[1:])) if spec.shape else spec
            for spec in self.specs
        )
        size = next((spec.example[0] for spec in self.specs if spec.shape), 1)
        notes = (*self.notes, f"the batch size is fixed at {size}, as in example_inputs(): {why}")
        return replace(self, specs=specs, is_assumed=False, notes=notes)

    @property
    def is_of_one_row(self) -> bool:
        """Whether the first tensor of the examples has one row."""
        return next((spec.example[0] == 1 for spec in self.specs if spec.shape), True)

    def with_another_row(self) -> Arguments:
        """The same with one row more in the examples."""
        free = next((size for spec in self.specs for size in spec.shape[:1]), None)
        more = (
            tuple(n + (size == free) for n, size in zip(spec.example, spec.shape, strict=True))
            for spec in self.specs
        )
        specs = tuple(replace(s, example=e) for s, e in zip(self.specs, more, strict=True))
        return replace(self, specs=specs)

    def with_rows_inside(self) -> Arguments | None:
        """The same with the rows of all but the first tensor on their second axis; None if none is.

        The states of an LSTM are [layers, batch, features]: if there is one layer and the example
        has one row, that cannot be told from the sizes.
        """
        first = next((spec for spec in self.specs if spec.shape), None)
        specs = tuple(spec if spec is first else _rows_inside(spec, first) for spec in self.specs)
        return None if specs == self.specs else replace(self, specs=specs)

    def widened(self) -> Arguments:
        """The same with float32 in the place of float16."""
        specs = (replace(s, dtype="float32") if s.dtype == "float16" else s for s in self.specs)
        return replace(self, specs=tuple(specs))


@dataclass(frozen=True)
class _Slot:
    """Where a tensor goes."""

    name: str


def arguments_of(
    forward: Callable[..., Any], make: Callable[[], Any] | None, options: SourceOptions,
    label: str,
) -> Arguments:  # fmt: skip
    """The arguments of a module: from its examples, and what the user said of their shapes.

    Where neither is there, the inputs of the model that it is compared with are taken.

    Args:
        forward: what is called.
        make: the module's `example_inputs`; None if it has none.
        options: with the shapes from the command line, which beat those of the examples.
        label: what to call the module.

    Raises:
        UsageError: the shapes are not known, or do not fit `forward`.
    """
    signature = python_inspect.signature(forward)
    given = options.inputs
    if make is not None:
        return _overridden(_from_examples(signature, make(), label), given, label)
    if given:
        _refuse_unknown(signature, given, label)
        return replace(_from_options(signature, given, label), origin=from_user(given))
    if options.other is not None and (other := options.other()) is not None:
        taken = _from_options(signature, _renamed(signature, other.inputs), label)
        assumed = tuple(replace(spec, is_assumed=True) for spec in taken.specs)
        return replace(taken, specs=assumed, notes=(taken_from(other),), origin=from_other(other))
    names = [p.name for p in signature.parameters.values() if p.kind not in _VARIADIC] or ["x"]
    wanted = " ".join(f"--input {name}:batch,..." for name in names)
    likely = _likely_sizes(forward if len(names) == 1 else None)
    raise UsageError(
        f"the input shapes of {label} are not known. Give them as {wanted}, for example --input "
        f"{names[0]}:{likely} (a name such as batch makes that size dynamic), or add to the module "
        "a method example_inputs() that returns tensors"
    )


_SIZES = {"Conv1d": ",1000", "Conv2d": ",112,112", "Conv3d": ",16,112,112", "Linear": ""}


def _likely_sizes(forward: Callable[..., Any] | None) -> str:
    """Sizes of an input for the first layer that says how many channels it takes; of an image.

    If there are several inputs, the first layer may take more than one.
    """
    module = getattr(forward, "__self__", None)
    for layer in module.modules() if isinstance(module, torch.nn.Module) else ():
        sizes = _SIZES.get(type(layer).__name__)
        if sizes is not None:
            channels = getattr(layer, "in_channels", None) or getattr(layer, "in_features", 3)
            return f"batch,{channels}{sizes}"
    return "batch,3,112,112"


@dataclass(frozen=True)
class Constant:
    """An argument that is not a tensor."""

    value: Any
    """It."""


def from_structure(
    structure: pytree.TreeSpec, leaves: Sequence[TensorSpec | Constant]
) -> Arguments:
    """The arguments of a program: the structure of `(args, kwargs)`, and its leaves in order."""
    call = pytree.tree_unflatten(leaves, structure)
    paths = pytree.tree_flatten_with_path(call)[0]
    specs = [(path, leaf) for path, leaf in paths if isinstance(leaf, TensorSpec)]
    return Arguments(
        specs=tuple(spec for _, spec in specs),
        unnamed=frozenset(spec.name for path, spec in specs if has_position(path)),
        structure=structure,
        leaves=tuple(
            leaf.value if isinstance(leaf, Constant) else _Slot(leaf.name) for leaf in leaves
        ),
    )


def zeros_for(specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """Inputs of the sizes that a model is traced with: zeros; integers the example's smallest.

    Lengths of 0 are no lengths.
    """
    return {
        spec.name: np.full(traced_sizes(spec), _least(spec), np.dtype(spec.dtype)) for spec in specs
    }


def _least(spec: TensorSpec) -> int:
    whole = np.issubdtype(np.dtype(spec.dtype), np.integer)
    return int(spec.seen[0]) if whole and spec.seen is not None else 0


def traced_sizes(spec: TensorSpec) -> tuple[int, ...]:
    """The sizes of an input that a model is traced with: none of 1 if it is dynamic."""
    return tuple(
        max(_TRACED, size) if isinstance(dim, str) else size
        for dim, size in zip(spec.shape, spec.example, strict=True)
    )


def _refuse_unknown(
    signature: python_inspect.Signature, given: Sequence[InputOption], label: str
) -> None:
    """Reject a shape under a name that is not an argument's; `*args` take any."""
    parameters = signature.parameters.values()
    unknown = [one.name for one in given if one.name not in signature.parameters]
    if unknown and not any(p.kind in _VARIADIC for p in parameters):
        raise UsageError(
            f"--input {unknown[0]}: {label} has no such input; it takes "
            f"{', '.join(signature.parameters)}"
        )


def _renamed(
    signature: python_inspect.Signature, others: Sequence[InputOption]
) -> Sequence[InputOption]:
    """The inputs of another model, with the names of the arguments in their places."""
    own = [p.name for p in signature.parameters.values() if p.kind not in _VARIADIC]
    if len(others) > len(own) or {one.name for one in others} <= set(own):
        return others
    return [replace(one, name=name) for one, name in zip(others, own, strict=False)]


def _from_options(
    signature: python_inspect.Signature, given: Sequence[InputOption], label: str
) -> Arguments:
    """Tensors by name: at their places in the signature, or in order under other names."""
    specs = [stated_spec(option.name, option.dtype, option.shape, None) for option in given]
    slots = {spec.name: _Slot(spec.name) for spec in specs}
    names = set(signature.parameters)
    calls: tuple[tuple[Any, ...], dict[str, Any]] = (tuple(slots.values()), {})
    if set(slots) <= names or any(
        p.kind is python_inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values()
    ):
        calls = ((), slots)
    return _arguments(placed(signature, *calls, label), specs, signature)


def _from_examples(signature: python_inspect.Signature, given: Any, label: str) -> Arguments:
    args, kwargs = as_call(signature, given)
    args, kwargs = placed(signature, args, kwargs, label)
    found: dict[str, torch.Tensor] = {}
    fixed: list[str] = []

    def slot(path: Any, leaf: Any) -> Any:
        name = argument_name(path, signature)
        if isinstance(leaf, torch.Tensor):
            found[name] = leaf
            return _Slot(name)
        if leaf is not None:
            fixed.append(f"{name}={textwrap.shorten(repr(leaf), 40)}")
        return leaf

    slots = pytree.tree_map_with_path(slot, (args, kwargs))
    sizes = [tuple(tensor.shape) for tensor in found.values()]
    batch = next((shape[0] for shape in sizes if shape), None)
    specs = [_spec(name, tensor, batch) for name, tensor in found.items()]
    notes = (f"fixed in the graph: {', '.join(fixed)}",) if fixed else ()
    made = _arguments(slots, specs, signature)
    return replace(made, notes=notes, is_assumed=True, is_of_example=True)


def _spec(name: str, tensor: torch.Tensor, batch: int | None) -> TensorSpec:
    """A tensor's first dimension is the batch where it is as long as that of the first tensor."""
    sizes = tuple(tensor.shape)
    shape: tuple[Dim, ...] = ("batch", *sizes[1:]) if sizes and sizes[0] == batch else sizes
    kind = str(tensor.dtype).removeprefix("torch.")
    extremes = _extremes(tensor)
    is_mask = extremes == (0, 1) and bool(((tensor == 0) | (tensor == 1)).all())
    return TensorSpec(name, kind, shape, sizes, extremes, is_mask, is_assumed=True)


def _extremes(tensor: torch.Tensor) -> tuple[float, float] | None:
    if tensor.dtype == torch.bool or tensor.is_complex() or not tensor.numel():
        return None
    low, high = float(tensor.min()), float(tensor.max())
    return (low, high) if np.isfinite((low, high)).all() else None


def _rows_inside(spec: TensorSpec, first: TensorSpec | None) -> TensorSpec:
    """Rows on the second axis where that is as long as the first tensor's first."""
    if first is None or len(spec.shape) < 3 or spec.example[1] != first.example[0]:
        return spec
    return replace(spec, shape=(spec.example[0], first.shape[0], *spec.shape[2:]))


def _overridden(known: Arguments, given: Sequence[InputOption], label: str) -> Arguments:
    """The examples, with the user's shapes in place of theirs."""
    if not given:
        return known
    shapes = {option.name: option.shape for option in given}
    names = [spec.name for spec in known.specs]
    if unknown := [name for name in shapes if name not in names]:
        raise UsageError(
            f"--input {unknown[0]}: {label} has no such input; its example_inputs() have "
            f"{', '.join(names)}"
        )
    specs = [
        replace(spec, shape=shape, example=_sizes_like(shape, spec.example), is_assumed=False)
        if (shape := shapes.get(spec.name)) is not None
        else spec
        for spec in known.specs
    ]
    known = replace(known, is_assumed=False, is_of_example=False, origin=from_user(given))
    return replace(known, specs=tuple(one_size_a_name(specs)))


def _sizes_like(shape: Sequence[Dim], example: Sequence[int]) -> tuple[int, ...]:
    """The example's own size for each dimension that is dynamic."""
    if len(shape) != len(example):
        return example_sizes(shape)
    return tuple(
        size if isinstance(size, int) else known for size, known in zip(shape, example, strict=True)
    )


def _arguments(
    call: Any, specs: Sequence[TensorSpec], signature: python_inspect.Signature
) -> Arguments:
    paths, structure = pytree.tree_flatten_with_path(call)
    slots = [(path, leaf.name) for path, leaf in paths if isinstance(leaf, _Slot)]
    order = [name for _, name in slots]
    ordered = sorted(one_size_a_name(specs), key=lambda spec: order.index(spec.name))
    unnamed = frozenset(name for path, name in slots if not names_itself(path, name, signature))
    return Arguments(tuple(ordered), structure, tuple(leaf for _, leaf in paths), unnamed)
