"""The layers in the configuration of a Keras model, and their variables in its file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prelu_tools.backends.files.keras.hdf5 import Group, Variable
from prelu_tools.core.prelu.slopes import Shape

Entry = Mapping[str, Any]
"""A layer as Keras serializes it: `class_name`, `config`, and often `build_config`."""

_LISTS = ("layers", "_layer_checkpoint_dependencies")  # the second name up to TensorFlow 2.13
_GENERATED_PRELU = re.compile(r"^p_re_lu(_\d+)?$")


@dataclass(frozen=True)
class Leaf:
    """A layer without layers inside."""

    names: tuple[str, ...]
    """Its name, after the names of the models that it is in."""
    kind: str | None
    """Its class; None if the file does not say."""
    is_builtin: bool
    """Whether that is a class of Keras."""
    input_shape: Shape | None
    """The shape that it was built for, None for the batch; None if the file does not say."""
    n_calls: int
    """How often the model uses it."""
    variables: tuple[Variable, ...]
    """Its variables, in the layer's order."""
    place: str = ""
    """Where it is in the file."""
    is_ordered: bool = True
    """Whether it is at the place where the model calls it."""
    hidden_in: str | None = None
    """The custom class that contains it, if only the weights show it."""

    @property
    def is_prelu(self) -> bool:
        """Whether it is Keras' own PReLU."""
        return self.kind == "PReLU" and self.is_builtin


def leaves_of(root: Entry, groups: Sequence[Group], ordered: bool = False) -> list[Leaf]:
    """The layers of a model in the order of its configuration.

    Where a custom class hides what is inside, these are the variables in the weights, in the order
    of the file.

    Args:
        root: the model as Keras serializes it; empty for weights alone.
        groups: the variables that the file has.
        ordered: whether the variables' positions are in the model's order.
    """
    return list(_Walk(groups, ordered).below(root, "", (), 1))


def children_of(entry: Entry) -> list[Entry]:
    """The layers of a Sequential or a Functional; none for any other."""
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, Mapping) else None
    if not isinstance(layers, list) or not all(is_entry(layer) for layer in layers):
        return []
    return layers


def is_entry(value: object) -> bool:
    """Whether this is a layer as Keras serializes it."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("class_name"), str)
        and isinstance(value.get("config"), Mapping)
    )


def name_of(entry: Entry) -> str:
    """The name of a layer."""
    return str(entry["config"].get("name") or entry.get("name") or "")


def is_state(group: Group) -> bool:
    """Whether the variables are the optimizer's or a random generator's, and no weights."""
    types = {variable.dtype for variable in group.variables}
    return _split(group.path)[:1] == ["optimizer"] or types == {"uint32"}


class _Walk:
    """Walks configuration and weights side by side."""

    def __init__(self, groups: Sequence[Group], ordered: bool) -> None:
        self._ordered = ordered
        self._groups = {group.path: group for group in groups if not is_state(group)}
        self._above = {"/".join(parts[:i]) for parts in map(_split, self._groups)
                       for i in range(len(parts))}  # fmt: skip
        self._named: dict[str | None, list[str]] = {}
        for path, group in self._groups.items():
            self._named.setdefault(group.name, []).append(path)

    def below(self, entry: Entry, path: str, names: tuple[str, ...], calls: int) -> Iterator[Leaf]:
        """Every leaf inside a model that is at a path of the file."""
        children = children_of(entry)
        if not children:
            yield from self._hidden(entry, path, names, calls)
            return
        for child, place in zip(children, self._places(children, path), strict=True):
            inner = (*names, name_of(child))
            times = calls * max(1, len(child.get("inbound_nodes") or ()))
            if children_of(child) or place in self._above:
                yield from self.below(child, place, inner, times)
            else:
                group = self._groups.get(place)
                yield _leaf(child, inner, times, group)

    def _hidden(
        self, entry: Entry, path: str, names: tuple[str, ...], calls: int
    ) -> Iterator[Leaf]:
        """The leaves inside a custom class: the variables in the weights."""
        known = {name_of(inner): inner for inner in _entries_in(entry.get("config"))}
        prefix = f"{path}/" if path else ""
        groups = [g for p, g in self._groups.items() if p.startswith(prefix) and p]
        leaves = [group for group in groups if group.path not in self._above]
        for group in sorted(leaves, key=_position):
            inner = self._names_between(path, group.path)
            leaf = _leaf(known.get(inner[-1]), (*names, *inner), calls, group)
            tells = leaf.kind is not None or not entry or _is_builtin(entry)
            yield replace(
                leaf,
                is_ordered=self._ordered or len(leaves) == 1,
                hidden_in=None if tells else _class_of(entry),
            )

    def _names_between(self, path: str, place: str) -> tuple[str, ...]:
        parts = _split(place)
        steps = ["/".join(parts[: i + 1]) for i in range(len(_split(path)), len(parts))]
        groups = [self._groups[step] for step in steps if step in self._groups]
        return tuple(group.name or _split(group.path)[-1] for group in groups)

    def _places(self, children: Sequence[Entry], path: str) -> Iterator[str]:
        """Where each layer is in the file: Keras numbers them per class."""
        numbers: Counter[str] = Counter()
        bases = [f"{path}/{name}" if path else name for name in _LISTS]
        base = next((base for base in bases if base in self._above), bases[0])
        for child in children:
            kind = _snake_case(_class_of(child))
            place = f"{base}/{kind}_{numbers[kind]}" if numbers[kind] else f"{base}/{kind}"
            numbers[kind] += 1
            yield self._checked(place, path, name_of(child))

    def _checked(self, place: str, path: str, name: str) -> str:
        """The place, unless the file says that another layer is there."""
        group = self._groups.get(place)
        if group is not None and group.name in (None, name):
            return place
        prefix = f"{path}/" if path else ""
        named = [p for p in self._named.get(name, ()) if p.startswith(prefix)]
        depth = min((p.count("/") for p in named), default=0)
        nearest = [p for p in named if p.count("/") == depth]
        return nearest[0] if len(nearest) == 1 else place


def _leaf(entry: Entry | None, names: tuple[str, ...], calls: int, group: Group | None) -> Leaf:
    variables = group.variables if group else ()
    place = group.path if group else ""
    if entry is None:
        told = _GENERATED_PRELU.match(_split(place)[-1])
        return Leaf(names, "PReLU" if told else None, bool(told), None, calls, variables, place)
    kind, builtin = _class_of(entry), _is_builtin(entry)
    return Leaf(names, kind, builtin, _built_for(entry), calls, variables, place)


def _is_builtin(entry: Entry) -> bool:
    """Whether this is a class of Keras, as far as the entry says: files of Keras 2 do not."""
    module = entry.get("module")
    if not module:
        return bool(entry["class_name"] == "PReLU")
    return str(module).split(".")[0] == "keras"


def _class_of(entry: Entry) -> str:
    return str(entry["class_name"]).split(">")[-1]  # "package>Class" where it was registered


def _built_for(entry: Entry) -> Shape | None:
    build = entry.get("build_config")
    shape = build.get("input_shape") if isinstance(build, Mapping) else None
    if not isinstance(shape, list) or len(shape) < 2:
        return None
    sizes = shape[1:]
    if not all(size is None or isinstance(size, int) for size in sizes):
        return None
    return (None, *sizes)


def _entries_in(value: object) -> Iterator[Entry]:
    """Every layer that is serialized somewhere inside a configuration."""
    if isinstance(value, Mapping):
        if is_entry(value):
            yield value
        for inner in value.values():
            yield from _entries_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries_in(inner)


def _snake_case(name: str) -> str:
    """As `keras.src.utils.naming.to_snake_case`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _split(path: str) -> list[str]:
    return path.split("/") if path else []


def _position(group: Group) -> int:
    return min((variable.position for variable in group.variables), default=-1)
