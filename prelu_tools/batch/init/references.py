"""Choose what an ONNX file is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from prelu_tools.backends.protocol.recording import Recording
from prelu_tools.backends.recorded.format import read_recording
from prelu_tools.batch.init.options import INPUT, settled, toml
from prelu_tools.batch.init.python_files import PythonModel, python_models
from prelu_tools.batch.init.stated import Stated, StatedSources, nearest, stated
from prelu_tools.core.errors import PReLUToolsError

MODELS = (".keras", ".pt2", ".h5")
"""The suffixes of models that need no Python."""
_WEIGHTS = (".pt", ".pth", ".safetensors", ".weights.h5")


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file."""

    path: Path
    """The file."""
    inputs: tuple[str, ...] | None
    """NAME:DIMS of each input; None if a shape is not known."""
    is_narrow: bool
    """Whether it computes with integer codes or in float16."""
    stated: Stated | None
    """What it says that it was exported from."""
    sha256: str
    """The hash of that file, or of its own weights, as far as it says."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """With which options, by their keys in a check."""
    said: Mapping[str, str] = field(default_factory=dict)
    """All of its metadata."""
    has_prelu: bool = True
    """Whether a PReLU was found in it."""

    @property
    def made_from(self) -> tuple[Stated, str, str] | None:
        """A key shared by all files with the same origin; None if unknown."""
        return None if self.stated is None else (self.stated, self.sha256, toml(self.options))


@dataclass(frozen=True)
class Reference:
    """A source to compare a model with."""

    label: str
    """The source."""
    inputs: tuple[str, ...] = ()
    """NAME:DIMS of inputs that it does not know."""
    needed: tuple[str, ...] = ()
    """Its arguments that have to be filled in."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Other options that a check with it needs, by their keys."""
    withheld: Mapping[str, Any] = field(default_factory=dict)
    """Those that only the user can switch on."""
    paired_by: str = "name"
    """See `InitCheck`."""
    recording: Recording | None = None
    """What is in it, if it is a record."""


class References:
    """The sources of a folder."""

    def __init__(self, folder: Path, files: Sequence[Path], models: Sequence[Path]) -> None:
        """Parse the Python files, and read what the records next to the models are records of.

        Args:
            folder: the folder.
            files: all files in it, as seen from it.
            models: the ONNX files among these.
        """
        self._folder, self._files, self._named_by_models = (
            folder,
            files,
            StatedSources(folder, files),
        )
        self._models = _file_sources(files)
        self._records = dict(_records(folder, files, models))
        self._python = python_models(folder, [path for path in files if path.suffix == ".py"])

    def of(self, model: OnnxFile, is_only: bool) -> Reference | None:
        """The reference for a model: the source that it records, or one found by name.

        A record comes before the model that it stands for: it needs no framework.

        Args:
            model: the ONNX file.
            is_only: whether it is the only ONNX file: it belongs to the only Python model and to
                the only weights, or else to the only model file, by whatever names.
        """
        if (found := self._stated(model)) is not None:
            return found
        same = [path for path in (*self._records, *self._models) if path.stem == model.path.stem]
        if (file := nearest(model.path, same)) is not None:
            return self._file(file, "name")
        named = self._named(model, is_only)
        models = [path for path in self._models if path.suffix or (self._folder / path).is_dir()]
        if named is None and is_only and len(models) == 1:
            return self._file(models[0], "only_pair")
        lacks_weights = model.stated and model.stated.weights and named and "@" not in named.label
        return None if lacks_weights else named

    def _stated(self, model: OnnxFile) -> Reference | None:
        """The source that the model records, or a record of that source."""
        said, place = model.stated, model.path
        if said is None:
            return None
        found = nearest(
            place, [path for path, made in self._records.items() if stated(made.source) == said]
        )
        if found is not None:
            return self._file(found, "metadata")
        source = self._stated_model(said, model)
        if source is None:
            return None
        source = replace(source, paired_by="metadata")
        if not model.options:
            return source
        used, withheld = settled(model.options, partial(self._named_by_models.custom, beside=place))
        inputs = tuple(used.pop(INPUT, source.inputs))
        return replace(source, inputs=inputs, options=used, withheld=withheld)

    def _file(self, path: Path, paired_by: str) -> Reference:
        """A record, or a model that needs no Python."""
        return Reference(path.as_posix(), paired_by=paired_by, recording=self._records.get(path))

    def _stated_model(self, said: Stated, model: OnnxFile) -> Reference | None:
        place = model.path
        if not said.call:
            found = self._named_by_models.model(said, model.sha256, place)
            return None if found is None else Reference(found.as_posix())
        python = self._named_by_models.python(said, place)
        if python is None or not said.weights:
            return None if python is None else _reference(python, None, model.inputs)
        weights = self._named_by_models.weights(said, model.sha256, (place, python.path))
        return None if weights is None else _reference(python, weights, model.inputs)

    def _named(self, model: OnnxFile, is_only: bool) -> Reference | None:
        named = [one for one in self._python if one.fits(model.path.stem)]
        place = nearest(model.path, [one.path for one in named])
        python = [one for one in named if one.path == place]
        paired_by = "name"
        if not named and is_only and len(self._python) == 1:
            python, paired_by = [*self._python], "only_pair"
        if not python:
            return None
        weights = _weights(model.path, python[0].path, self._files, any_name=is_only)
        return replace(_reference(python[0], weights, model.inputs), paired_by=paired_by)


def _reference(
    python: PythonModel, weights: Path | None, inputs: tuple[str, ...] | None
) -> Reference:
    label = python.label + (f"@{weights.as_posix()}" if weights else "")
    return Reference(label, python.shapes(inputs), python.needed)


def _file_sources(files: Iterable[Path]) -> list[Path]:
    """Models that need no Python, the best of each stem first."""
    suffixes = (*MODELS[:2], "", MODELS[2])  # SavedModels are folders
    found = [path for path in files if path.suffix in MODELS or not path.suffix]
    models = [path for path in found if not path.name.endswith(".weights.h5")]
    return sorted(models, key=lambda path: (suffixes.index(path.suffix), path))


def _records(
    folder: Path, files: Iterable[Path], models: Sequence[Path]
) -> Iterator[tuple[Path, Recording]]:
    """The records next to a model, or called after one."""
    folders, stems = {path.parent for path in models}, {path.stem for path in models}
    for path in files:
        if path.suffix == ".npz" and (path.parent in folders or path.stem in stems):
            with suppress(PReLUToolsError):
                yield path, read_recording(folder / path, path.as_posix())


def _weights(model: Path, source: Path, files: Sequence[Path], any_name: bool) -> Path | None:
    """Weights called after the model, next to it or next to its source; or the only ones there."""
    names = [f"{model.stem}{suffix}" for suffix in _WEIGHTS]
    places = [folder / name for folder in (model.parent, source.parent) for name in names]
    found = next((path for path in places if path in set(files)), None)
    there = [path for path in files if path.name.endswith(_WEIGHTS)] if any_name else []
    return there[0] if found is None and len(there) == 1 else found
