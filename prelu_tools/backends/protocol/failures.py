"""Error messages for failures of a framework."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from prelu_tools.core.arrays import Array, shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, one_line
from prelu_tools.core.options import InputOption, OtherInputs

_LONGEST = 300  # characters of what a framework says
_CALLED = re.compile(r"Exception encountered when calling (\S+?)\.call\(\)\. ")
_NODE = re.compile(r"\{\{function_node .*?\}\} ?")


class FailedRunError(PReLUToolsError):
    """A model fails on inputs."""


class RefusedSizesError(FailedRunError):
    """A model fails on the first inputs of the sizes that the user, or another model, gave."""


def failed_on(label: str, feeds: Mapping[str, Array], error: Exception) -> FailedRunError:
    """A model failed on inputs of these shapes."""
    said = f"{type(error).__name__}: {said_by(error)}"
    return FailedRunError(f"{label} fails on inputs ({shapes_in_words(feeds)}) with {said}")


def said_by(error: Exception) -> str:
    """What a framework says, without where it was and what it was given."""
    text = one_line(error).replace(r"\x1b[1m", "").replace(r"\x1b[0m", "")
    text = _NODE.sub("", _CALLED.sub(r"\1: ", text)).partition(" Arguments received by")[0]
    return textwrap.shorten(text.rstrip("."), _LONGEST, placeholder=" ...")


def from_user(given: Sequence[InputOption]) -> str:
    """The origin of sizes that the user gave, and what to do if the model rejects them."""
    options = " ".join(f"--input {one.text}" for one in given)
    is_free = any(isinstance(size, str) for one in given for size in one.shape[1:])
    numbers = ", or give numbers for names" if is_free else ""
    return f"The sizes are those of {options}: check their number and order{numbers}"


def from_other(other: OtherInputs) -> str:
    """The origin of sizes that another model has, and what to do if the model rejects them."""
    advice = "correct --layout, or give --input" if other.is_turned else "give --input"
    return f"The sizes are those of {other.model} ({other.text}{other.order}): {advice}"


@contextmanager
def sizes_from(origin: str) -> Iterator[None]:
    """Within the block a model runs for the first time.

    Args:
        origin: where its sizes are from, if not from itself, and what to do; otherwise "".

    Raises:
        RefusedSizesError: it fails.
    """
    try:
        yield
    except FailedRunError as error:
        if not origin:
            raise
        raise RefusedSizesError(f"{error}. {origin}") from error
