"""Calls that one run showed to be PReLUs, in other runs of the same module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from prelu_tools.backends.protocol.calls import PReLUCall, Tally
from prelu_tools.backends.protocol.runners import Observer
from prelu_tools.backends.torch.files.weights import to_numpy
from prelu_tools.backends.torch.regions import CallSignature
from prelu_tools.backends.torch.running.watch import Seen, Teller


class Known:
    """What the slopes of each signature are called, in another run of the same module."""

    def __init__(self, names: Mapping[CallSignature, str]) -> None:
        """Take what a `CallFinder` found."""
        self._names = names
        self._loose: dict[CallSignature, set[str]] = {}
        for signature, name in names.items():
            self._loose.setdefault(_without_numbers(signature), set()).add(name)

    def name(self, signature: CallSignature) -> str | None:
        """The name of the slopes of a call; None if it is not a PReLU.

        Sizes may differ from run to run, and are symbols for an exporter.
        """
        if signature in self._names:
            return self._names[signature]
        names = self._loose.get(_without_numbers(signature), set())
        return next(iter(names)) if len(names) == 1 else None


def _without_numbers(signature: CallSignature) -> CallSignature:
    return signature._replace(constants=re.sub(r"\b[a-z]?\d+\b", "_", signature.constants))


def knowing(known: Mapping[CallSignature, str], seen: Teller) -> Teller:
    """A `Teller` that only receives the calls that a `CallFinder` found to be PReLUs."""
    names = Known(known)

    def told(call: Seen) -> bool:
        name = names.name(call.signature)
        return name is not None and seen(call._replace(parameter=name))

    return told


def telling(calls: Iterable[PReLUCall], observe: Observer) -> Teller:
    """A `Teller` that reports the known calls of one run to an observer."""
    tally = Tally(calls, observe)

    def seen(call: Seen) -> bool:
        return tally(call.parameter, to_numpy(call.x), to_numpy(call.y))

    return seen
