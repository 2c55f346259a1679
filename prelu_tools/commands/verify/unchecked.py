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


def unchecked_sizes(source: Source, opened: Sequence[Linked]) -> Iterator[Reason]:
    """A sentence for each input of a candidate with sizes that another model fixes.

    Args:
        source: the reference.
        opened: all candidates.
    """
    own = {spec.name: spec for spec in source.inputs()}
    shapes = known_shapes([*own.values()], [(o.source.inputs(), o.links) for o in opened])
    for item in opened:
        specs = {spec.name: spec for spec in item.source.inputs()}
        for link in item.links:
            free = specs[link.candidate].shape
            stated, known = own[link.reference].shape, shapes[link.reference]
            axes = {
                name: axis
                for axis, name in zip(link.permutation, free, strict=True)
                if isinstance(name, str) and isinstance(known[axis], int)
            }
            fixed = {name: int(known[axis]) for name, axis in axes.items()}
            if not fixed:
                continue
            is_own = all(isinstance(stated[axis], int) for axis in axes.values())
            who = "the reference" if is_own else "another candidate"
            names, verb = " and ".join(fixed), "is" if len(fixed) == 1 else "are"
            yield Reason(
                f"{item.label}: {names} of input {link.candidate!r} {verb} dynamic, but only "
                f"{in_words(fixed)} was checked: {who} fixes {'it' if verb == 'is' else 'them'}"
                f"{_cure(source, own[link.reference], axes) if is_own else ''}",
                "sizes_not_checked",
            )


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
