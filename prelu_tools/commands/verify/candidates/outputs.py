"""Compare the outputs of a candidate with the reference's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prelu_tools.commands.verify.inputs.linking import Layouts
from prelu_tools.core.arrays import Array
from prelu_tools.core.prelu.alignment import AxisAlignment
from prelu_tools.core.prelu.layout import Permutation, inverse
from prelu_tools.core.results.reasons import are, counted
from prelu_tools.core.results.verification.candidate import Tolerance
from prelu_tools.core.results.verification.parity import OutputParity
from prelu_tools.core.rounding.figures import times
from prelu_tools.core.rounding.parity import Comparison, Top1
from prelu_tools.core.rounding.spread import Spread
from prelu_tools.core.rounding.tolerance import FACTOR, Extent, Limit, limit_of

Results = Sequence[Mapping[str, Array]]


class OutputLink(NamedTuple):
    """Which output of a candidate is which of the reference."""

    reference: str
    """The reference's name of it."""
    candidate: str
    """The candidate's name of it."""
    permutation: Permutation
    """From the reference's axis order to the candidate's."""


class OutputJudge:
    """Knows which output of a candidate is which of the reference, and in which layout."""

    def __init__(
        self,
        references: Results,
        extents: Mapping[str, Extent],
        layouts: Layouts,
        moved: Collection[int],
        tolerance: Tolerance,
        spreads: Sequence[Mapping[str, Spread]] | None = None,
        stated: Mapping[str, Permutation] | None = None,
    ) -> None:
        """Take the reference's side.

        Args:
            references: its outputs by name, for each run.
            extents: what is known of them.
            layouts: the user's axis orders.
            moved: the ranks of the inputs that had to be moved to another layout.
            tolerance: what they may differ by.
            spreads: the spread in the perturbed runs, for each run; None if there were none.
            stated: how the candidate's outputs were moved, as far as the files state it.
        """
        self._references = references
        self._extents = extents
        self._layouts = layouts
        self._moved = moved
        self._orders: dict[str, Permutation] = {}
        self._tolerance = tolerance
        self._spreads = spreads
        self._stated = stated or {}

    def limit(self, name: str, run: int, candidate: Array) -> Limit:
        """The limit for the candidate's output that corresponds to this output, in a run."""
        spread = None if self._spreads is None else self._spreads[run].get(name)
        values = self._references[run][name]
        extent = self._extents[name]
        return limit_of(self._tolerance, extent, candidate.dtype, spread, values)

    def compare(self, results: Results) -> tuple[OutputParity, ...]:
        """Compare every output over all runs.

        Those that only one side has are missing here: see `interface`.
        """
        pairs = pair_outputs(self._references[0], results[0])
        return tuple(self._parity(reference, candidate, results) for reference, candidate in pairs)

    def notices(self, results: Mapping[str, Array], run: int) -> bool:
        """Whether any output of one run is beyond its limit."""
        pairs = pair_outputs(self._references[run], results)
        for reference, candidate in pairs:
            left = self._references[run][reference]
            right = self.to_reference(left, results[candidate], candidate)
            if left.shape != right.shape:
                return True
            comparison = Comparison(self.limit(reference, run, right))
            comparison.add(left, right)
            if comparison.verdict == "fail":
                return True
        return False

    def _parity(self, reference: str, name: str, results: Results) -> OutputParity:
        extent = self._extents[reference]
        comparison, top1 = Comparison(self.limit(reference, 0, results[0][name])), Top1()
        first = results[0][name].shape
        for run, (references, found) in enumerate(zip(self._references, results, strict=True)):
            left = references[reference]
            right = self.to_reference(left, found[name], name)
            if left.shape != right.shape:
                return _other_shape(name, left, right)
            first = right.shape if run == 0 else first
            comparison.add(left, right, self.limit(reference, run, right))
            top1.add(left, right)
        rounding = extent.own_error
        return OutputParity(
            name=name,
            shape=first,
            max_abs_diff=comparison.max_abs,
            max_rel_diff=comparison.deviation.max_rel,
            n_mismatched=comparison.n_mismatched,
            n_nonfinite_mismatch=comparison.n_nonfinite_mismatch,
            verdict=comparison.verdict,
            deviation=comparison.deviation,
            top1_agreement=top1.agreement,
            limit=comparison.at_worst,
            of_rounding=comparison.max_abs / rounding if rounding else None,
            difference=_words(name, comparison),
            worst_of_rounding=None if comparison.worst is None else FACTOR * comparison.worst,
            n_values=comparison.n_values,
            n_border=comparison.n_border,
            remark=_remark(comparison),
        )

    def links(
        self, results: Mapping[str, Array], parities: Iterable[OutputParity]
    ) -> list[OutputLink]:
        """The outputs that both sides have, each with the axis order in which it agrees.

        Where it does not, no order is known.

        Args:
            results: those of the first run.
            parities: what `compare` found.
        """
        failed = {parity.name for parity in parities if parity.verdict == "fail"}
        reference, links = self._references[0], []
        for mine, theirs in pair_outputs(reference, results):
            same, found = tuple(range(results[theirs].ndim)), results[theirs]
            order = same if theirs in failed else self._order(reference[mine], found, theirs)
            links.append(OutputLink(mine, theirs, order))
        return links

    def to_reference(self, reference: Array, candidate: Array, name: str) -> Array:
        """The candidate's output in the reference's axis order."""
        return candidate.transpose(inverse(self._order(reference, candidate, name)))

    def _order(self, reference: Array, candidate: Array, name: str) -> Permutation:
        """From the reference's axis order to the candidate's; the same one where none fits.

        An output is moved where an input of its rank was, or a file or the user says so: a head of
        a detector ([N, boxes, 4]) has no channels first or last, whatever becomes of the picture.
        Where its shape leaves several orders open, the first run that tells them apart decides.
        """
        fitting = AxisAlignment.between(reference.shape, candidate.shape)
        same, given = tuple(range(candidate.ndim)), self._layouts.permutation(reference.ndim)
        if reference.ndim < 3 or not fitting:
            return same
        may_move = reference.ndim in self._moved or self._stated.get(name) in fitting
        if not may_move and (same in fitting or given not in fitting):
            return same
        fitting = fitting.only(given)
        if len(fitting) == 1:
            return fitting[0]
        order = self._orders.get(name)
        if order is None or order not in fitting:
            distances = fitting.distances(reference, candidate)
            order = min(distances, key=distances.__getitem__)
            if distances[order] < max(distances.values()):
                self._orders[name] = order
        return order


def pair_outputs(
    references: Mapping[str, Array], results: Mapping[str, Array]
) -> list[tuple[str, str]]:
    """Pair outputs by name; those left over by order, unless their shapes say another order.

    Where the one has more of them than the other, those of the same name only.
    """
    pairs = {name: name for name in references if name in results}
    if len(references) != len(results):
        return list(pairs.items())
    left = [name for name in references if name not in pairs]
    right = [name for name in results if name not in pairs]
    shapes = [sorted(references[name].shape) for name in left]
    others = [sorted(results[name].shape) for name in right]
    if shapes != others and sorted(shapes) == sorted(others) and not _repeats(shapes):
        right = [right[others.index(shape)] for shape in shapes]
    pairs |= dict(zip(left, right, strict=True))
    return [(name, pairs[name]) for name in references]


def _repeats(shapes: Sequence[list[int]]) -> bool:
    return any(shape in shapes[:i] for i, shape in enumerate(shapes))


def _other_shape(name: str, reference: Array, candidate: Array) -> OutputParity:
    return OutputParity(
        name=name,
        shape=candidate.shape,
        max_abs_diff=float("nan"),
        max_rel_diff=float("nan"),
        n_mismatched=candidate.size,
        n_nonfinite_mismatch=0,
        verdict="fail",
        difference=f"output {name!r} has shape {list(candidate.shape)}, expected "
        f"{list(reference.shape)}",
    )


def _remark(comparison: Comparison) -> str | None:
    known = [_border_words(comparison) or _rough_words(comparison), _chance_words(comparison)]
    return "; ".join(filter(None, known)) or None


def _border_words(comparison: Comparison) -> str | None:
    if not comparison.n_border:
        return None
    return (
        f"{comparison.n_border:,} of {comparison.n_values:,} values are on a border that "
        "rounding error crosses (of a comparison, round, index or nearest neighbour) and differ: "
        f"{comparison.border.where}"
    )


def _chance_words(comparison: Comparison) -> str | None:
    """What a few runs cannot measure for each of very many values."""
    count = comparison.n_by_chance
    if not count:
        return None
    return (
        f"{count:,} of {comparison.n_values:,} values {'is' if count == 1 else 'are'} beyond "
        f"{'its' if count == 1 else 'their'} own limit, but within the typical rounding error of "
        f"{'its' if count == 1 else 'their'} row"
    )


def _rough_words(comparison: Comparison) -> str | None:
    if not comparison.n_rough:
        return None
    return (
        f"nothing can be proven for {comparison.n_rough:,} of {comparison.n_values:,} values: "
        "the model's own rounding error is about as large as the values"
    )


def _words(name: str, comparison: Comparison) -> str | None:
    if comparison.verdict == "pass":
        return None
    if comparison.doubt:
        return f"output {name!r} {comparison.doubt}, so nothing is proven"
    words = f"output {name!r}: {'; '.join(_mismatches(comparison))}"
    if comparison.border.n_wrong:
        words += (
            f"; {comparison.border.n_wrong:,} of them are on a border that rounding error crosses"
        )
    return words


def _mismatches(comparison: Comparison) -> Iterator[str]:
    """How many values differ, and by how much, as far as that is a number."""
    count, strange = comparison.n_mismatched, comparison.n_nonfinite_mismatch
    if count or not strange:
        of_all = f"{count:,} of {counted(comparison.n_values, 'value')}"
        differ = f"{of_all} {'differs' if count == 1 else 'differ'} by up to"
        worst = ""
        if comparison.worst is not None and comparison.worst > 1:
            rounding = times(FACTOR * comparison.worst)
            worst = f", and by up to {rounding} the model's own rounding error"
        yield f"{differ} {comparison.max_abs:.3g}{worst}"
    if strange:
        are_so = f"{counted(strange, 'value')} {are(strange)}"
        yield f"{are_so} NaN or infinite on one side only"


def differences(outputs: Iterable[OutputParity]) -> list[str]:
    """What is wrong with them, in words."""
    return [output.difference for output in outputs if output.difference is not None]
