"""The models of a folder, and which of them belong together."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from prelu_tools.backends.recorded import is_record
from prelu_tools.batch.init.python_files import PythonModel, python_models
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.export import InitCheck, LeftOut
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.match.layers import read_layers

_SUFFIXES = (".keras", ".pt2", ".h5")
_WEIGHTS = (".pt", ".pth", ".safetensors", ".weights.h5")
_SKIPPED = ("__pycache__", "node_modules", "site-packages")
_FAITHFUL = ("fast", "opt", "optimized", "sim", "simplified", "slim", "clean", "portable")
_ENOUGH_FOR_A_GLOB = 4


@dataclass(frozen=True)
class _Onnx:
    """An ONNX file with PReLU."""

    path: Path
    inputs: tuple[str, ...] | None
    """NAME:DIMS of each input; None where a shape is not known."""


@dataclass(frozen=True)
class Found:
    """What a folder holds."""

    checks: tuple[InitCheck, ...]
    """Those that can be run as they are."""
    left_out: tuple[LeftOut, ...]
    """Models that belong to none, and why."""


def search(folder: Path) -> Found:
    """Look for pairs of a source and the ONNX files made of it, by their names.

    Nothing is imported and no weights are read: Python sources are parsed, ONNX files skimmed.

    Args:
        folder: where to look; the sources are spelled as seen from it.
    """
    files = sorted(_walk(folder))
    left_out: list[LeftOut] = []
    models = list(_onnx_files(folder, files, left_out))
    stems = {model.path.stem for model in models}
    named = [path for path in files if path.suffix == ".npz" and path.stem in stems]
    sources = _file_sources(files) + [path for path in named if is_record(folder / path)]
    written = python_models(folder, [path for path in files if path.suffix == ".py"], left_out)
    families = list(_families(models))
    only = len(families) == 1
    checks = [
        check
        for base, variants in families
        if (check := _check(base, variants, sources, written, files, left_out, only)) is not None
    ]
    return Found(tuple(_as_globs(folder, checks)), tuple(left_out))


def _walk(folder: Path) -> Iterator[Path]:
    """Files and SavedModels below a folder, but for what is hidden or installed."""
    for place, names, files in os.walk(folder):
        here = Path(place)
        if "saved_model.pb" in files and here != folder:
            names.clear()
            yield here.relative_to(folder)
            continue
        names[:] = sorted(n for n in names if not _is_skipped(here / n))
        for name in files:
            path = (here / name).relative_to(folder)
            if not name.startswith(".") and str(path).isprintable():
                yield path


def _is_skipped(folder: Path) -> bool:
    hidden = folder.name.startswith(".") or folder.name in _SKIPPED
    return hidden or (folder / "pyvenv.cfg").exists()


def _onnx_files(folder: Path, files: Iterable[Path], left_out: list[LeftOut]) -> Iterator[_Onnx]:
    for path in files:
        if path.suffix != ".onnx":
            continue
        try:
            model = read_model(folder / path)
            if read_layers(model):
                yield _Onnx(path, _shapes(model.proto.graph))
            else:
                left_out.append(LeftOut(path.as_posix(), "it has no PReLU"))
        except PReLUToolsError as error:
            left_out.append(LeftOut(path.as_posix(), f"it cannot be read: {error}"))


def _shapes(graph: onnx.GraphProto) -> tuple[str, ...] | None:
    """NAME:DIMS of each input, as `--input` has it."""
    weights = {tensor.name for tensor in graph.initializer}
    found = []
    for value in graph.input:
        if value.name in weights:
            continue
        if not value.type.tensor_type.HasField("shape"):
            return None
        dims = value.type.tensor_type.shape.dim
        sizes = [_size(number, dim.dim_value, dim.dim_param) for number, dim in enumerate(dims)]
        found.append(f"{value.name}:{','.join(sizes)}")
    return tuple(found)


def _size(number: int, value: int, name: str) -> str:
    if value > 0:
        return str(value)
    return name if name.isidentifier() else ("batch" if number == 0 else f"d{number}")


def _file_sources(files: Iterable[Path]) -> list[Path]:
    """Models that need no Python, the best of each stem first."""
    suffixes = (*_SUFFIXES[:2], "", _SUFFIXES[2])  # SavedModels are folders
    found = [path for path in files if path.suffix in _SUFFIXES or not path.suffix]
    models = [path for path in found if not path.name.endswith(".weights.h5")]
    return sorted(models, key=lambda path: (suffixes.index(path.suffix), path))


def _families(models: Sequence[_Onnx]) -> Iterator[tuple[_Onnx, list[_Onnx]]]:
    """Each file that is not a variant of another one beside it; and its variants."""
    paths = {model.path for model in models}
    bases: dict[Path, list[_Onnx]] = {}
    for model in models:
        base = _base(model.path, paths)
        bases.setdefault(base, [])
        if base != model.path:
            bases[base].append(model)
    by_path = {model.path: model for model in models}
    for base, variants in bases.items():
        yield by_path[base], variants


def _base(path: Path, paths: Iterable[Path]) -> Path:
    near = [
        other
        for other in paths
        if other.parent == path.parent and re.match(re.escape(other.stem) + r"[-_.]", path.stem)
    ]
    return min(near, key=lambda other: len(other.stem), default=path)


def _check(
    base: _Onnx,
    variants: Sequence[_Onnx],
    sources: Sequence[Path],
    written: Sequence[PythonModel],
    files: Sequence[Path],
    left_out: list[LeftOut],
    is_only: bool,
) -> InitCheck | None:
    """The check of an ONNX file and its variants, where something is there to compare them with.

    The only ONNX file belongs to the only Python model, and the only weights, by whatever names.
    """
    faithful = [v.path.as_posix() for v in variants if _is_faithful(v.path, base.path)]
    others = tuple(v.path.as_posix() for v in variants if v.path.as_posix() not in faithful)
    spelled = base.path.as_posix()
    source = _nearest(base.path, [path for path in sources if path.stem == base.path.stem])
    if source is not None:
        return InitCheck(base.path.stem, source.as_posix(), (spelled, *faithful), others)
    named = [model for model in written if model.fits(base.path.stem)]
    nearest = _nearest(base.path, [model.path for model in named])
    python = [model for model in named if model.path == nearest]
    if not named and is_only and len(written) == 1:
        python = [*written]
    if python:
        weights = _weights(base.path, python[0].path, files, any_name=not named)
        reference = python[0].spelled + (f"@{weights.as_posix()}" if weights else "")
        given = python[0].shapes(base.inputs)
        return InitCheck(base.path.stem, reference, (spelled, *faithful), others, given)
    if faithful:
        return InitCheck(base.path.stem, spelled, tuple(faithful), others)
    why = "no source has this name"
    left_out += [LeftOut(model.path.as_posix(), why) for model in (base, *variants)]
    return None


def _is_faithful(variant: Path, base: Path) -> bool:
    """Whether its name says that it computes the same in the same type."""
    words = re.split(r"[-_.]", variant.stem[len(base.stem) :].lower())
    return all(word in _FAITHFUL for word in words if word)


def _nearest(path: Path, others: Sequence[Path]) -> Path | None:
    """The one in the same folder, else the only one there is."""
    here = [other for other in others if other.parent == path.parent]
    if here:
        return here[0]
    return others[0] if len({other.parent for other in others}) == 1 else None


def _weights(model: Path, source: Path, files: Sequence[Path], any_name: bool) -> Path | None:
    """Weights called after the model, beside it or beside its source; or the only ones there."""
    names = [f"{model.stem}{suffix}" for suffix in _WEIGHTS]
    places = [folder / name for folder in (model.parent, source.parent) for name in names]
    found = next((path for path in places if path in set(files)), None)
    there = [path for path in files if path.name.endswith(_WEIGHTS)] if any_name else []
    return there[0] if found is None and len(there) == 1 else found


def _as_globs(folder: Path, checks: Sequence[InitCheck]) -> Iterator[InitCheck]:
    """Many pairs that are alike as one check with a glob, where it finds these and no more."""
    groups: dict[tuple[str, str, str], list[InitCheck]] = {}
    for check in checks:
        groups.setdefault(_alike(check), []).append(check)
    for (place, suffix, target), group in groups.items():
        pattern = f"{glob.escape(place)}*{suffix}"
        if suffix and len(group) >= _ENOUGH_FOR_A_GLOB:
            found = glob.glob(pattern, root_dir=folder)  # noqa: PTH207 -- as `verify` does
            if sorted(found) == sorted(check.reference for check in group):
                name = f"{place or target}models" if not (place or target) else place or target
                candidates = (f"{target}{{stem}}.onnx",)
                yield InitCheck(name.rstrip("/"), pattern, candidates, n_models=len(group))
                continue
        yield from (replace(check, n_models=1) for check in group)


def _alike(check: InitCheck) -> tuple[str, str, str]:
    """The folder and suffix of the reference, and the folder of its candidate; or none of these."""
    reference, candidate = Path(check.reference), Path(check.candidates[0])
    plain = reference.suffix in _SUFFIXES and not (check.variants or check.inputs)
    same = reference.stem == candidate.stem and len(check.candidates) == 1
    if not plain or not same or "{" in candidate.parent.as_posix():
        return "", "", check.reference
    return _folder(reference), reference.suffix, _folder(candidate)


def _folder(path: Path) -> str:
    return "" if path.parent == Path() else f"{path.parent.as_posix()}/"
