"""Modes that see every operator of ATen, without the price of torch's compiler."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that does not import `torch._dynamo`, which takes seconds, when it is used.

    torch hides the code of a mode from its compiler; nothing is compiled here.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
