"""What a program that runs a model depends on: names, types, sizes and axis orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.candidates.outputs import OutputLink
from prelu_tools.commands.verify.inputs.linking import InputLink, Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.results.verification.parity import InterfaceDifference

Outputs = Mapping[str, Array]
Models = tuple[Source, Source]
"""The reference and the candidate; both have run."""


def compare_inputs(
    models: Models, links: Sequence[InputLink], layouts: Layouts
) -> Iterator[InterfaceDifference]:
    """The differences of a candidate's inputs; none of them fails by itself.

    A size that is dynamic where it was fixed is none, and neither is an order that the user states.

    Args:
        models: the reference and the candidate.
        links: which is which.
        layouts: the user's axis orders.
    """
    own, theirs = ({spec.name: spec for spec in model.inputs()} for model in models)
    linked = {link.reference for link in links}
    for name in own:
        if name not in linked:
            yield InterfaceDifference("input", name, "input_missing", name, "none")
    for link in links:
        left, right = own[link.reference], theirs[link.candidate]
        yield from _renamed("input", models, link)
        if left.dtype != right.dtype:
            yield InterfaceDifference("input", left.name, "input_type", left.dtype, right.dtype)
        yield from _permuted("input", link, layouts)
        sizes = [right.shape[axis] for axis in inverse(link.permutation)]
        for axis, (wanted, found) in enumerate(zip(left.shape, sizes, strict=True)):
            if isinstance(wanted, str) and isinstance(found, int):
                place = f"{left.name}[{axis}]"
                yield InterfaceDifference("input", place, "input_size_fixed", wanted, str(found))


def compare_outputs(
    models: Models,
    reference: Outputs,
    kinds: Mapping[str, str],
    results: Outputs,
    links: Sequence[OutputLink],
    layouts: Layouts,
) -> Iterator[InterfaceDifference]:
    """The differences of a candidate's outputs.

    A missing or additional output fails, and so does a change between integer and float: a program
    that reads a class or an index does not accept 3.0 for 3.

    Args:
        models: the reference and the candidate.
        reference: the outputs of its first run; those in float64 where that is what is compared.
        kinds: the types that they have in its own run.
        results: the candidate's, of its first run.
        links: which is which.
        layouts: the user's axis orders.
    """
    linked, others = {link.reference for link in links}, {link.candidate for link in links}
    for name in reference:
        if name not in linked:
            yield InterfaceDifference("output", name, "output_missing", name, "none", fails=True)
    for name in results:
        if name not in others:
            yield InterfaceDifference("output", name, "output_additional", "none", name, fails=True)
    for link in links:
        mine = link.reference
        yield from _renamed("output", models, link)
        wanted = kinds.get(mine, reference[mine].dtype.name)
        found = results[link.candidate].dtype.name
        if wanted != found:
            fails = _is_real(wanted) != _is_real(found)
            yield InterfaceDifference("output", mine, "output_type", wanted, found, fails=fails)
        yield from _permuted("output", link, layouts)


def _renamed(
    part: Literal["input", "output"], models: Models, link: InputLink | OutputLink
) -> Iterator[InterfaceDifference]:
    """Other names; one that a model does not have cannot differ."""
    names = link.reference, link.candidate
    is_own = (name not in model.unnamed for model, name in zip(models, names, strict=True))
    if link.reference != link.candidate and all(is_own):
        yield InterfaceDifference(part, link.reference, f"{part}_renamed", *names)


def _permuted(
    part: Literal["input", "output"], link: InputLink | OutputLink, layouts: Layouts
) -> Iterator[InterfaceDifference]:
    same = tuple(range(len(link.permutation)))
    if link.permutation not in (same, layouts.permutation(len(same))):
        orders = str(list(same)), str(list(link.permutation))
        yield InterfaceDifference(part, link.reference, f"{part}_axes", *orders)


def _is_real(kind: str) -> bool:
    """Whether a type, by its name, holds fractions; numpy does not know onnx's own small floats."""
    return "float" in kind or "complex" in kind
