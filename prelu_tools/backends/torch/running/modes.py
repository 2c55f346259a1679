"""Modes that see every ATen operator, without the cost of importing torch's compiler."""

from __future__ import annotations

from typing import Any

from torch._C._dynamo import eval_frame
from torch._ops import HigherOrderOperator
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class OperatorMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A dispatch mode that does not import `torch._dynamo`, which takes seconds, when it is used.

    torch hides the code of a mode from its compiler; nothing is compiled here. What `torch.cond`,
    `torch.while_loop` and their like run is seen too.
    """

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def operator(self, func: Any, args: Any, kwargs: Any) -> Any:
        """Run an operator of ATen, in this mode's way."""
        raise NotImplementedError

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not isinstance(func, HigherOrderOperator):
            return self.operator(func, args, kwargs)
        args, kwargs = pytree.tree_map(
            lambda part: self._seen(part) if callable(part) else part, (args, kwargs)
        )
        return func(*args, **kwargs)

    def _seen(self, body: Any) -> Any:
        """A branch, or a loop's body, that runs in this mode, which torch left for its operator."""

        def call(*args: Any) -> Any:
            with self:
                return body(*args)

        return call


_SKIP = eval_frame._FrameExecStrategy(eval_frame._FrameAction.SKIP, eval_frame._FrameAction.SKIP)
# torch runs these operators by its compiler, which must not look into the mode itself.
eval_frame.set_code_exec_strategy(OperatorMode.__torch_dispatch__.__code__, _SKIP)
