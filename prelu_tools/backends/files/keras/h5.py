"""`.h5`: a whole model of Keras' older format, or weights alone, of Keras 2 or 3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from prelu_tools.backends.files.keras.archive import count_parameters, describe
from prelu_tools.backends.files.keras.hdf5 import Group, Hdf5, Variable, opened
from prelu_tools.backends.files.keras.layers import Entry, children_of, is_entry, leaves_of, name_of
from prelu_tools.backends.files.keras.slopes import read_slopes
from prelu_tools.backends.files.source import Contents, source_of, told_by_names
from prelu_tools.core.errors import PReLUToolsError

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Source
    from prelu_tools.core.options import SourceOptions


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read an HDF5 file that Keras wrote, in its own process.

    Raises:
        PReLUToolsError: it is not such a file, or damaged.
    """
    return source_of("prelu_tools.backends.files.keras.h5:read", path, label, "keras")


def read(path: Path) -> Contents:
    """What an HDF5 file says about its slopes.

    Raises:
        MissingExtraError: h5py is not installed.
        PReLUToolsError: it is not such a file, or damaged.
    """
    with opened(path, str(path), path.stat().st_size) as file:
        config = file.attribute("/", "model_config")
        if config is not None:
            root = json.loads(config)
            if not is_entry(root):
                raise PReLUToolsError(
                    f"{path} is not a Keras model: its configuration does not contain one"
                )
            return _model(file, root)
        if file.texts("/", "layer_names"):
            return _weights(file, _legacy_groups(file, "", ()), ordered=True)
        groups = file.groups()
        if not groups:
            raise PReLUToolsError(
                f"{path} is an HDF5 file, but not one that Keras wrote: expected model.save's .h5 "
                "or model.save_weights' .weights.h5"
            )
        return _weights(file, groups, ordered=False)


def _model(file: Hdf5, root: Entry) -> Contents:
    containers = [name_of(child) for child in children_of(root) if children_of(child)]
    groups = _legacy_groups(file, "model_weights/", containers)
    return describe(file, groups, root, _version(file))


def _version(file: Hdf5) -> str:
    version = file.attribute("/", "keras_version")
    return "" if version is None else str(version)


def _weights(file: Hdf5, groups: Sequence[Group], ordered: bool) -> Contents:
    version = _version(file)
    found = read_slopes(file, leaves_of({}, groups, ordered))
    note = told_by_names([layer.name for layer in found.layers], "the file contains only weights")
    return Contents(
        framework="keras",
        producer=f"keras {version}" if version else "HDF5 weights",
        n_parameters=count_parameters(groups),
        layers=found.layers,
        notes=(note,),
    )


def _legacy_groups(file: Hdf5, base: str, containers: Sequence[str]) -> list[Group]:
    """The weights of each layer; the path of a group is the path of names.

    Args:
        file: the file.
        base: where the layers are in it; "" or ending in a slash.
        containers: the layers that are models themselves.
    """
    found: dict[str, list[Variable]] = {}
    position = 0
    for layer in file.texts(base or "/", "layer_names"):
        found.setdefault(layer, [])
        for weight in file.texts(f"{base}{layer}", "weight_names"):
            owner = _owner(layer, weight, layer in containers)
            own = weight.split("/")[-1].partition(":")[0]
            variable = file.variable(f"{base}{layer}/{weight}", own)
            if variable is None:
                raise ValueError(f"it names a weight {weight} that it does not contain")
            position += 1
            for above in _prefixes(owner):
                found.setdefault(above, [])
            found[owner].append(replace(variable, position=position))
    return [Group(path, path.split("/")[-1], tuple(variables)) for path, variables in found.items()]


def _owner(layer: str, weight: str, is_container: bool) -> str:
    """The path of names of a weight's layer: Keras 3 puts the model's name before it."""
    above = weight.split("/")[:-1]
    if layer in above:
        above = above[above.index(layer) + 1 :]
    elif not is_container:
        above = []
    return "/".join([layer, *above])


def _prefixes(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]
