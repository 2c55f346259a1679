"""The functions that a torch module called, as nodes with their arguments and results."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakIdKeyDictionary

from prelu_tools.backends.torch.functions import (
    MOVES,
    PRODUCTS,
    emptied,
    is_elementwise,
    is_repeatable,
    label_of,
    setitem,
)


@dataclass(eq=False)
class Node:
    """The result of a function."""

    index: int
    """Its number, in the order of the calls."""
    held: Callable[[], torch.Tensor | None]
    """The tensor, as long as it lives."""
    version: int | None
    """How often it had been written over, itself or by way of a view, when it was given; None if
    that is not known, as below PyTorch's views."""
    is_constant: bool
    """Whether no input of the model took part in it."""
    name: str = ""
    """The parameter's own name, if it is one."""
    number: int = 0
    """The number of a constant without a name that no function returned, in the order of
    discovery."""
    function: Any = None
    """What was called; None if nothing after it matters."""
    arguments: Any = ()
    """`(args, kwargs)`, with nodes in the place of tensors."""
    inputs: tuple[Node, ...] = ()
    """The nodes among them."""
    is_in_place: bool = False
    """Whether the function wrote it over one of its arguments."""
    is_layer: bool = False
    """Whether it was found to be the output of a PReLU."""

    def tensor(self) -> torch.Tensor | None:
        """The tensor, as long as it exists and holds the function's result."""
        tensor = self.held()
        return None if tensor is None or self.is_older(tensor) else tensor

    def hold(self, tensor: torch.Tensor, strongly: bool = False) -> None:
        """Replace the function's result with another tensor."""
        self.held = (lambda: tensor) if strongly else weakref.ref(tensor)
        self.version = None if self.version is None else _version(tensor)

    def is_older(self, tensor: torch.Tensor, times: int = 0) -> bool:
        """Whether its tensor has been overwritten since, more than a number of times."""
        return self.version is not None and self.version + times < _version(tensor)

    @property
    def label(self) -> str:
        """The function's name, without the underscores that say how it was called."""
        return label_of(self.function)


def _may_scale(label: str, given: Sequence[Node], result: torch.Tensor) -> bool:
    """Whether a product may multiply each element by one number, and do nothing else.

    Its constant has then no more numbers but 0 than the input has places.
    """
    live = [node for node in given if not node.is_constant]
    factors = [node.tensor() for node in given if node.is_constant]
    x = live[0].tensor() if len(live) == 1 else None
    if label not in PRODUCTS or x is None or not factors or factors[0] is None:
        return False
    if not same_shape(x.shape, result.shape):
        return False
    if type(factors[0]) not in (torch.Tensor, nn.Parameter):
        return True  # an exporter's, which has no values
    most = x[:1].numel() if label == "einsum" else max(x.shape, default=1)
    return factors[0].numel() <= most or int(torch.count_nonzero(factors[0])) <= most


def same_shape(left: Sequence[Any], right: Sequence[Any]) -> bool:
    """Whether two shapes are equal, without asking an exporter that has symbols for sizes."""
    return len(left) == len(right) and all(map(_same_size, left, right))


def _same_size(left: Any, right: Any) -> bool:
    if isinstance(left, int) and isinstance(right, int):
        return left == right
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # slow to load

    return bool(statically_known_true(left == right))


@dataclass
class Tracer:
    """Keeps the nodes of the tensors that are alive."""

    names: Mapping[int, str]
    """The names of parameters by the ids of their tensors."""
    knows_versions: bool = True
    """Whether a tensor knows how often it was written over: not below PyTorch's views."""
    n_unknown: int = 0
    """The number of tensors of unknown origin: the functions that made them were not seen."""
    _nodes: Any = field(default_factory=WeakIdKeyDictionary)
    _made: dict[Any, Node] = field(default_factory=dict)
    _count: int = 0
    _count_unnamed: int = 0

    def take_inputs(self, given: Any) -> None:
        """Take what the model is called with: no constant, as any other tensor that is not made.

        Args:
            given: tensors in any nesting.
        """
        for tensor in pytree.tree_leaves(given):
            if isinstance(tensor, torch.Tensor):
                self._new(tensor, is_constant=False)

    def take_outputs(self, returned: Any) -> None:
        """Take the model's outputs: tensors of unknown origin count as unknown too."""
        for tensor in pytree.tree_leaves(returned):
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                self._node(tensor)

    def overwritten(self, function: Any, args: Any, kwargs: Any) -> torch.Tensor | None:
        """A copy of what a call will write over, where the two may make a PReLU.

        For that it takes another tensor that an elementwise function gave: a mask, or a product.
        """
        raw = str(getattr(function, "__name__", ""))
        tensor = _changed_in_place(raw, args, kwargs)
        if not isinstance(tensor, torch.Tensor) or not is_elementwise(label_of(function)):
            return None
        node = self._nodes.get(tensor)
        if node is None or node.is_constant:
            return None
        leaves = pytree.tree_leaves(args[1:])
        others = (self._nodes.get(v) for v in leaves if isinstance(v, torch.Tensor))
        if not any(other is not None and other.inputs for other in others):
            return None
        return tensor.detach().clone()

    def note(
        self,
        function: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        overwritten: torch.Tensor | None = None,
    ) -> Node | None:
        """Take a call; the node of its result, if that is one tensor."""
        raw = str(getattr(function, "__name__", ""))
        changed = _changed_in_place(raw, args, kwargs)
        kwargs = {key: value for key, value in kwargs.items() if key != "out"}
        if raw == "__setitem__":
            function, result = setitem, changed
        elif "empty" in raw:
            function = emptied(function)
        found: list[Node] = []

        def node_for(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            node = self._node(value, once_more=value is changed)
            found.append(node)
            return node

        arguments = pytree.tree_map(node_for, (args, kwargs))
        if changed is not None and isinstance(changed, torch.Tensor):
            if not self.knows_versions:
                self._made.clear()  # it is not known which tensors are views of it
            before = self._nodes.get(changed)
            if before is not None and overwritten is not None:
                before.hold(overwritten, strongly=True)
            self._new(changed, is_constant=False)
        constant = all(node.is_constant for node in found)
        label = label_of(function)
        if not isinstance(result, torch.Tensor):
            self._note_parts(function, arguments, result, found)
            return None
        if result is not changed and (result in self._nodes or id(result) in self.names):
            return self._node(result)  # returned as it was given
        moves = label in MOVES and changed is None
        if (
            changed is None
            and (known := self._made_before(function, arguments, result)) is not None
        ):
            return known
        node = self._new(result, constant)
        node.is_in_place = result is changed
        if constant or moves or is_elementwise(label) or _may_scale(label, found, result):
            self._take(node, function, arguments, found)
        elif changed is None and is_repeatable(label):
            self._made[_spelled(function, arguments)] = node
        return node

    def _note_parts(self, function: Any, arguments: Any, result: Any, found: list[Node]) -> None:
        """Take a call that returns several tensors, or none."""
        constant, label = all(node.is_constant for node in found), label_of(function)
        for place, part in enumerate(pytree.tree_leaves(result)):
            if isinstance(part, torch.Tensor) and part not in self._nodes:
                picked = _Picked(function, place)
                if self._made_before(picked, arguments, part) is None:
                    node = self._new(part, constant)
                    if label in MOVES or label == "where":  # of one argument: `nonzero`
                        self._take(node, picked, arguments, found)

    def _take(self, node: Node, function: Any, arguments: Any, given: list[Node]) -> None:
        node.function, node.arguments, node.inputs = function, arguments, tuple(given)
        if is_repeatable(node.label) and not (node.is_constant or node.is_in_place):
            self._made[_spelled(function, arguments)] = node

    def _made_before(self, function: Any, arguments: Any, tensor: torch.Tensor) -> Node | None:
        """The node of the same, computed in the same way once more; none for a PReLU."""
        node = self._made.get(_spelled(function, arguments))
        if node is None or node.is_layer:
            return None
        self._nodes[tensor] = node
        if node.tensor() is None:
            # What is computed again and again may be gone each time when it comes to the next.
            node.hold(tensor, strongly=node.label not in MOVES)
        return node

    def move(self, node: Node, tensor: torch.Tensor) -> None:
        """Replace the result of a function with another tensor."""
        node.hold(tensor)
        self._nodes[tensor] = node

    def _node(self, tensor: torch.Tensor, once_more: bool = False) -> Node:
        """The node of a tensor; of one that no function gave, a constant: it was there before.

        Args:
            tensor: the tensor.
            once_more: whether the call that is looked at has written over it just now.
        """
        node: Node | None = self._nodes.get(tensor)
        if node is not None and node.is_older(tensor, times=once_more):
            return self._new(tensor, is_constant=False)  # overwritten through a view
        if node is None:
            node = self._new(tensor, is_constant=True)
            node.name = self.names.get(id(tensor), "")
            if not node.name:
                self._count_unnamed += 1
                node.number = self._count_unnamed
                self.n_unknown += tensor.is_floating_point()
        return node

    def _new(self, tensor: torch.Tensor, is_constant: bool) -> Node:
        self._count += 1
        node = Node(self._count, _gone, 0 if self.knows_versions else None, is_constant)
        # Results that depend on inputs are not kept alive, because feature maps would pile up.
        node.hold(tensor, strongly=is_constant)
        self._nodes[tensor] = node
        return node


class _Picked:
    """A function with several results, as the one that returns one of them."""

    def __init__(self, function: Any, place: int) -> None:
        self.__name__ = str(getattr(function, "__name__", ""))
        self.function, self.place = function, place

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return pytree.tree_leaves(self.function(*args, **kwargs))[self.place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Picked) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.function, self.place))


def shown(value: Any) -> str:
    """An argument as a text; of an array all numbers count, which a text has the first few of."""
    return f"{value.shape}{hash(value.tobytes())}" if isinstance(value, np.ndarray) else str(value)


def _spelled(function: Any, arguments: Any) -> tuple[Any, ...]:
    """A call with its arguments, such that equal calls are equal."""
    leaves, structure = pytree.tree_flatten(arguments)
    given = (one.index if isinstance(one, Node) else shown(one) for one in leaves)
    return function, str(structure), *given


def _changed_in_place(name: str, args: Any, kwargs: Any) -> Any:
    in_place = (name.endswith("_") and not name.endswith("__")) or name in ("__setitem__",)
    in_place = in_place or name in ("__iadd__", "__isub__", "__imul__", "__itruediv__")
    in_place = in_place or kwargs.get("inplace") is True
    return args[0] if in_place and args else kwargs.get("out")


def _gone() -> None:
    return None


def _version(tensor: torch.Tensor) -> int:
    with torch._C.DisableTorchFunction():
        return 0 if tensor.is_inference() else tensor._version
