"""Dynamic sizes of one model that the other fixes: only one of them could be checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prelu_tools.backends.protocol.inputs import TensorSpec
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.commands.verify.inputs.drawing import known_shapes
from prelu_tools.commands.verify.inputs.sizes import in_words
from prelu_tools.commands.verify.linked import Linked
from prelu_tools.core.options import InputOption
from prelu_tools.core.results.reasons import Reason, are

_REFERENCE = "the reference"


def unchecked_sizes(
    source: Source, opened: Sequence[Linked], given: Sequence[InputOption]
) -> Iterator[Reason]:
    """A sentence for each input of a candidate with sizes that another model or the user fixes.

    Args:
        source: the reference.
        opened: all candidates.
        given: the inputs that the user gave.
    """
    own = {spec.name: spec for spec in source.inputs()}
    shapes = known_shapes([*own.values()], [(o.source.inputs(), o.links) for o in opened])
    for item in opened:
        specs = {spec.name: spec for spec in item.source.inputs()}
        for link in item.links:
            free = specs[link.candidate].shape
            known = shapes[link.reference]
            axes = {
                name: axis
                for axis, name in zip(link.permutation, free, strict=True)
                if isinstance(name, str) and isinstance(known[axis], int)
            }
            fixed = {name: int(known[axis]) for name, axis in axes.items()}
            if not fixed:
                continue
            who = _who_fixes(source, own[link.reference], [*axes.values()], opened, given)
            cure = _cure(source, own[link.reference], axes) if who == _REFERENCE else ""
            names, verb = " and ".join(fixed), "is" if len(fixed) == 1 else "are"
            fixes = f"{who} fixes {'it' if len(fixed) == 1 else 'them'}"
            yield Reason(
                f"{item.label}: {names} of input {link.candidate!r} {verb} dynamic, but only "
                f"{in_words(fixed)} was checked: {fixes}{cure}",
                "sizes_not_checked",
            )


def _who_fixes(
    source: Source,
    spec: TensorSpec,
    axes: Sequence[int],
    opened: Sequence[Linked],
    given: Sequence[InputOption],
) -> str:
    """What fixes sizes of an input of the reference, which may have them from elsewhere."""
    asked = next((one for one in given if one.name == spec.name), None)
    sizes = () if asked is None else asked.shape
    is_asked = len(sizes) == len(spec.shape) and all(isinstance(sizes[x], int) for x in axes)
    if asked is not None and is_asked and source.recording is None:
        return f"--input {asked.text}"
    if not spec.is_assumed and all(isinstance(spec.shape[axis], int) for axis in axes):
        return _REFERENCE
    for item in opened:
        specs = {one.name: one.shape for one in item.source.inputs()}
        for link in item.links:
            found = dict(zip(link.permutation, specs[link.candidate], strict=True))
            if link.reference == spec.name and all(isinstance(found[axis], int) for axis in axes):
                return item.label
    return _REFERENCE


def _cure(source: Source, spec: TensorSpec, axes: Mapping[str, int]) -> str:
    """What frees the sizes that the reference states; nothing if nothing does."""
    if not source.frees_sizes:
        return ""
    names = {axis: name for name, axis in axes.items()}
    shape = tuple(names.get(axis, size) for axis, size in enumerate(spec.shape))
    return f"; --input {InputOption(spec.name, shape).text} checks others if it can run at them"


def fixed_sizes(source: Source, opened: Sequence[Linked]) -> Iterator[Reason]:
    """A sentence for each input of a candidate that fixes sizes which the reference leaves dynamic.

    Only where the reference or the user says that they are dynamic: an example does not.

    Args:
        source: the reference.
        opened: all candidates.
    """
    for item in opened:
        for link in item.links:
            stated, found = _input(source, link.reference), _input(item.source, link.candidate)
            if stated.is_assumed:
                continue
            sizes = zip((stated.shape[axis] for axis in link.permutation), found.shape, strict=True)
            fixed = {n: size for n, size in sizes if isinstance(n, str) and isinstance(size, int)}
            if fixed:
                yield Reason(
                    f"{item.label}: input {link.candidate!r} accepts {in_words(fixed)} only, but "
                    f"{' and '.join(fixed)} {are(len(fixed))} dynamic in the reference: other "
                    "sizes were not checked; --strict-interface makes this a failure",
                    "size_fixed",
                )


def _input(source: Source, name: str) -> TensorSpec:
    return next(spec for spec in source.inputs() if spec.name == name)
