"""A TensorFlow SavedModel: the variables of its checkpoint, by the names stored in it.

It is read without TensorFlow.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from prelu_tools.backends.files.naming import (
    NamedSlope,
    Tensor,
    find_slopes,
    natural,
    numbered,
    says_slope,
)
from prelu_tools.backends.files.source import (
    Contents,
    FileSource,
    input_of,
    slopes_layer,
    told_by_names,
)
from prelu_tools.backends.files.tensor_bundle import TensorBundle, parts_of, values_of
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.core.errors import PReLUToolsError, explaining
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer
from prelu_tools.graph.io.wire import FileBytes

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_META_GRAPHS, _META_INFO, _COLLECTIONS, _VERSION, _BYTES = 2, 1, 4, 5, 2  # meta_graph.proto
_ATTRIBUTES = 2  # trackable_object_graph.proto
_UNNAMED = re.compile(r"^(Variable(_\d+)?)?$")


@dataclass(frozen=True)
class _Stored:
    """A variable of the checkpoint."""

    key: str
    """Its key there."""
    name: str
    """Its name in the model: `conv1/kernel`."""


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read the folder of a SavedModel.

    Raises:
        PReLUToolsError: it holds no checkpoint, or is damaged.
    """
    del options  # none of it could run
    checkpoint = path / "variables" / "variables"
    if not checkpoint.with_suffix(".index").is_file():
        raise PReLUToolsError(
            f"{path} is a SavedModel without variables: expected "
            f"{checkpoint.relative_to(path)}.index in it, as tf.saved_model.save writes it"
        )
    with explaining(f"{path} cannot be read as a SavedModel: it is damaged"):
        return FileSource(label, _contents(TensorBundle(checkpoint), path))


def _contents(bundle: TensorBundle, path: Path) -> Contents:
    model = _ModelFile(path / "saved_model.pb")
    stored = _variables(bundle) if _GRAPH in bundle.entries else _first_variables(bundle, model)
    entries = [bundle.entries[v.key] for v in stored]
    tensors = [
        Tensor(*_split(v.name), entry.shape, entry.is_float)
        for v, entry in zip(stored, entries, strict=True)
    ]
    slopes = find_slopes(tensors, ordered=True)
    names = _layer_names(tensors, slopes)
    layers = tuple(
        _layer(bundle, stored[slope.index].key, tensors[slope.index], name, slope.preceding)
        for slope, name in zip(slopes, names, strict=True)
    )
    return Contents(
        framework="keras",
        producer=f"tensorflow {' '.join(sorted(model.versions - {''}))}".strip(),
        n_parameters=sum(tensor.size for tensor in tensors if tensor.is_float),
        layers=layers,
        notes=(told_by_names(names, "a SavedModel names its variables, not its layers"),),
        has_model=True,
    )


class _ModelFile:
    """`saved_model.pb`: who wrote it, and the names of variables as TensorFlow 1 lists them."""

    def __init__(self, path: Path) -> None:
        """Read these parts of it, and none of its graphs."""
        self.versions: set[str] = set()
        self.variables: dict[str, None] = {}
        descriptor = os.open(path, os.O_RDONLY)
        try:
            file = FileBytes(descriptor)
            for count, graph in enumerate(parts_of(file, 0, file.size, _META_GRAPHS)):
                self._read(file, graph, is_first=count == 0)
        finally:
            os.close(descriptor)

    def _read(self, file: FileBytes, graph: tuple[int, int], is_first: bool) -> None:
        for begin, end in parts_of(file, *graph, _META_INFO):
            for number, value in values_of(file.read(begin, end)):
                if number == _VERSION:
                    self.versions.add(value.decode(errors="replace"))
        collections = [
            dict(values_of(file.read(begin, end)))
            for begin, end in (parts_of(file, *graph, _COLLECTIONS) if is_first else ())
        ]
        for key in ("trainable_variables", "variables"):
            held = [one.get(2, b"") for one in collections if one.get(1) == key.encode()]
            if held and not self.variables:
                lists = [value for number, value in values_of(held[0]) if number == _BYTES]
                texts = [text for value in lists for number, text in values_of(value)]
                names = [dict(values_of(text)).get(1, b"").decode() for text in texts]
                self.variables = dict.fromkeys(name.partition(":")[0] for name in names)


def _variables(bundle: TensorBundle) -> list[_Stored]:
    """The weights of the model: in its order as Keras 3 exports it, otherwise by their keys."""
    names: dict[str, str] = {}
    for number, node in values_of(bundle.text(_GRAPH)):
        attributes = values_of(node) if number == 1 else ()
        for kind, attribute in attributes:
            found = dict(values_of(attribute)) if kind == _ATTRIBUTES else {}
            key = found.get(3, b"").decode()
            if key.endswith(_VALUE):
                names[key] = found.get(2, b"").decode()
    known = [key for key in sorted(names, key=natural) if not _is_other(key)]
    model = [key for key in known if key.startswith("variables/")]
    keys = model or known  # Keras 3 lists its model's variables there, and keeps a copy
    count = Counter(names[key] for key in keys)
    return [_Stored(key, _best_name(key, names[key], count[names[key]])) for key in keys]


def _first_variables(bundle: TensorBundle, model: _ModelFile) -> list[_Stored]:
    """The weights of a TensorFlow 1 model, whose checkpoint has only names: in its order."""
    kept = [name for name in model.variables if name in bundle.entries]
    return [_Stored(name, name) for name in kept or sorted(bundle.entries, key=natural)]


def _is_other(key: str) -> bool:
    return key.split("/")[0] in ("optimizer", "save_counter") or "/.OPTIMIZER_SLOT/" in key


def _best_name(key: str, name: str, count: int) -> str:
    """The variable's own name, unless its place in the model says more."""
    place = key.removesuffix(_VALUE)
    if _UNNAMED.match(name) or (count > 1 and says_slope(place.rpartition("/")[2])):
        return place
    return name.partition(":")[0]


def _split(name: str) -> tuple[str, str]:
    owner, _, own = name.rpartition("/")
    return owner, own


def _layer_names(tensors: list[Tensor], slopes: list[NamedSlope]) -> list[str]:
    """A layer's own name where no other has it, otherwise the path: as Keras files have it."""
    last = Counter(owner.rpartition("/")[2] for owner in {tensor.owner for tensor in tensors})
    found = []
    for slope in slopes:
        tensor = tensors[slope.index]
        short = tensor.owner.rpartition("/")[2]
        name = short if last[short] == 1 else tensor.owner
        if not slope.alone or not tensor.owner:
            name = f"{tensor.owner}/{tensor.name}".lstrip("/")
        found.append(name)
    return numbered(found)


def _layer(
    bundle: TensorBundle, key: str, tensor: Tensor, name: str, preceding: int | None
) -> PReLULayer:
    values = bundle.read(key)
    parameter = f"{tensor.owner}/{tensor.name}".lstrip("/")
    return slopes_layer(name, values, parameter, preceding, input_of(values.shape))
