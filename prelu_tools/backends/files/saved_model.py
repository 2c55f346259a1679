"""A TensorFlow SavedModel: the variables of its checkpoint, by the names that it kept."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prelu_tools.backends.files.naming import NamedSlope, Tensor, find_slopes, natural, says_slope
from prelu_tools.backends.files.source import BY_NAME, Contents, FileSource, input_of, told_by_names
from prelu_tools.backends.interface import Source
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import frozen
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.slopes import PReLULayer, align

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet(show=False):
    import tensorflow as tf
    from tensorflow.core.framework import variable_pb2
    from tensorflow.core.protobuf import saved_model_pb2, trackable_object_graph_pb2

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_UNNAMED = re.compile(r"^(Variable(_\d+)?)?$")


@dataclass(frozen=True)
class _Stored:
    """A variable of the checkpoint."""

    key: str
    """Its key there."""
    name: str
    """Its name in the model: `conv1/kernel`."""


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read the folder of a SavedModel.

    Raises:
        PReLUToolsError: it holds no checkpoint, or is damaged.
    """
    checkpoint = path / "variables" / "variables"
    if not checkpoint.with_suffix(".index").is_file():
        raise PReLUToolsError(
            f"{path} is a SavedModel without variables: expected "
            f"{checkpoint.relative_to(path)}.index in it, as tf.saved_model.save writes it"
        )
    try:
        with quiet(options.show_chatter):
            reader = tf.train.load_checkpoint(str(checkpoint))
            return FileSource(spelled, _contents(reader, path))
    except Exception as error:
        detail = " ".join(str(error).split())
        raise PReLUToolsError(
            f"{path} cannot be read as a SavedModel: it is damaged "
            f"({type(error).__name__}: {detail})"
        ) from error


def _contents(reader: Any, path: Path) -> Contents:
    stored = _variables(reader) if reader.has_tensor(_GRAPH) else _first_variables(reader, path)
    shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    tensors = [
        Tensor(*_split(v.name), tuple(shapes[v.key]), types[v.key].is_floating) for v in stored
    ]
    slopes = find_slopes(tensors, ordered=True)
    names = _layer_names(tensors, slopes)
    layers = tuple(
        _layer(reader, stored[slope.index].key, tensors[slope.index], name, slope.preceding)
        for slope, name in zip(slopes, names, strict=True)
    )
    return Contents(
        framework="keras",
        producer=_producer(path),
        n_parameters=sum(tensor.size for tensor in tensors if tensor.is_float),
        layers=layers,
        notes=(told_by_names(names, "a SavedModel names its variables, and not its layers"),),
        has_model=True,
    )


def _variables(reader: Any) -> list[_Stored]:
    """The weights of the model: in its order as Keras 3 exports it, else by their keys."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(_GRAPH))
    names = {
        attribute.checkpoint_key: attribute.full_name
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.checkpoint_key.endswith(_VALUE)
    }
    found = [key for key in sorted(names, key=natural) if not _is_other(key)]
    model = [key for key in found if key.startswith("variables/")]
    keys = model or found  # Keras 3 lists its model's variables there, and keeps a copy
    count = Counter(names[key] for key in keys)
    return [_Stored(key, _best_name(key, names[key], count[names[key]])) for key in keys]


def _first_variables(reader: Any, path: Path) -> list[_Stored]:
    """The weights of a model of TensorFlow 1, whose checkpoint has names alone: in its order."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    known = reader.get_variable_to_shape_map()
    collections = model.meta_graphs[0].collection_def if model.meta_graphs else {}
    names: dict[str, None] = {}
    for key in ("trainable_variables", "variables"):
        if key in collections and not names:
            for text in collections[key].bytes_list.value:
                variable = variable_pb2.VariableDef()
                variable.ParseFromString(text)
                names[variable.variable_name.partition(":")[0]] = None
    kept = [name for name in names if name in known]
    return [_Stored(name, name) for name in kept or sorted(known, key=natural)]


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
    """A layer's own name where no other has it, else the path: as Keras files have it."""
    last = Counter(owner.rpartition("/")[2] for owner in {tensor.owner for tensor in tensors})
    taken: Counter[str] = Counter()
    found = []
    for slope in slopes:
        tensor = tensors[slope.index]
        short = tensor.owner.rpartition("/")[2]
        name = short if last[short] == 1 else tensor.owner
        if not slope.alone or not tensor.owner:
            name = f"{tensor.owner}/{tensor.name}".lstrip("/")
        taken[name] += 1
        found.append(name if taken[name] == 1 else f"{name}#{taken[name]}")
    return found


def _layer(reader: Any, key: str, tensor: Tensor, name: str, preceding: int | None) -> PReLULayer:
    values = reader.get_tensor(key)
    shape = input_of(values.shape)
    return PReLULayer(
        name=name,
        nodes=(name,),
        parameter=f"{tensor.owner}/{tensor.name}".lstrip("/"),
        form=BY_NAME,
        slopes=frozen(align(values, len(shape) if shape else None)),
        input_shape=shape,
        stored_shape=tensor.shape,
        preceding_parameters=preceding,
        same_instance=True,
    )


def _producer(path: Path) -> str:
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((path / "saved_model.pb").read_bytes())
    versions = {graph.meta_info_def.tensorflow_version for graph in model.meta_graphs}
    return f"tensorflow {' '.join(sorted(versions - {''}))}".strip()
