"""What a program that runs a model depends on: names, types and sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.commands.verify.inputs.linking import InputLink
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.results.verification.parity import InterfaceDifference

Outputs = Mapping[str, Array]


def compare_inputs(
    reference: Sequence[TensorSpec],
    candidate: Sequence[TensorSpec],
    links: Sequence[InputLink],
) -> Iterator[InterfaceDifference]:
    """The differences of a candidate's inputs; none of them fails by itself.

    Axes that were moved are no difference, and a size that is dynamic where it was fixed is none.
    """
    own = {spec.name: spec for spec in reference}
    theirs = {spec.name: spec for spec in candidate}
    linked = {link.reference for link in links}
    for name in own:
        if name not in linked:
            yield InterfaceDifference("input", name, "input_missing", name, "none")
    for link in links:
        left, right = own[link.reference], theirs[link.candidate]
        if left.name != right.name:
            yield InterfaceDifference("input", left.name, "input_renamed", left.name, right.name)
        if left.dtype != right.dtype:
            yield InterfaceDifference("input", left.name, "input_type", left.dtype, right.dtype)
        sizes = [right.shape[axis] for axis in inverse(link.permutation)]
        for axis, (wanted, found) in enumerate(zip(left.shape, sizes, strict=True)):
            if isinstance(wanted, str) and isinstance(found, int):
                place = f"{left.name}[{axis}]"
                yield InterfaceDifference("input", place, "input_size_fixed", wanted, str(found))


def compare_outputs(
    reference: Outputs, kinds: Mapping[str, str], results: Outputs, pairs: Sequence[tuple[str, str]]
) -> Iterator[InterfaceDifference]:
    """The differences of a candidate's outputs.

    A missing or additional output fails, and so does a change between integer and float: a program
    that reads a class or an index does not accept 3.0 for 3.

    Args:
        reference: the outputs of its first run; those in float64 where that is what is compared.
        kinds: the types that they have in its own run.
        results: the candidate's, of its first run.
        pairs: which is which.
    """
    linked, others = {mine for mine, _ in pairs}, {theirs for _, theirs in pairs}
    for name in reference:
        if name not in linked:
            yield InterfaceDifference("output", name, "output_missing", name, "none", fails=True)
    for name in results:
        if name not in others:
            yield InterfaceDifference("output", name, "output_additional", "none", name, fails=True)
    for mine, theirs in pairs:
        if mine != theirs:
            yield InterfaceDifference("output", mine, "output_renamed", mine, theirs)
        wanted = kinds.get(mine, reference[mine].dtype.name)
        found = results[theirs].dtype.name
        if wanted != found:
            fails = _is_real(wanted) != _is_real(found)
            yield InterfaceDifference("output", mine, "output_type", wanted, found, fails=fails)


def _is_real(kind: str) -> bool:
    """Whether a type, by its name, holds fractions; numpy does not know onnx's own small floats."""
    return "float" in kind or "complex" in kind
