"""The models of a folder, and which of them belong together."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from prelu_tools.batch.init.options import toml, valid_options
from prelu_tools.batch.init.references import MODELS, OnnxFile, References
from prelu_tools.batch.init.stated import stated
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.export import InitCheck, LeftOut
from prelu_tools.graph.io.inputs import tensor_inputs
from prelu_tools.graph.io.metadata import stated_options, stated_source
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.quantized.noticing import located_layers
from prelu_tools.graph.quantized.operators import is_quantizing

_SKIPPED = ("__pycache__", "node_modules", "site-packages")
_FAITHFUL = ("fast", "opt", "optimized", "sim", "simplified", "slim", "clean", "portable")
_ENOUGH_FOR_A_GLOB = 4
_NARROW = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


@dataclass(frozen=True)
class Found:
    """What a folder holds."""

    checks: tuple[InitCheck, ...]
    """Those that can be run as they are, and those that need arguments filled in."""
    left_out: tuple[LeftOut, ...]
    """Models that belong to none, and why."""
    pairs: tuple[InitCheck, ...]
    """The same checks, expanded so that none stands for many."""


def search(folder: Path) -> Found:
    """Find pairs of a source and its ONNX files, by their recorded sources or by names.

    Nothing is imported: Python sources are parsed, ONNX files and records skimmed.

    Args:
        folder: where to look; the sources are spelled as seen from it.
    """
    files = sorted(_walk(folder))
    left_out: list[LeftOut] = []
    models = list(_onnx_files(folder, files, left_out))
    references = References(folder, files, [model.path for model in models])
    families = list(_families(models))
    checks = []
    for base, variants in families:
        check = _check(base, variants, references, len(families) == 1)
        if check is not None:
            checks.append(check)
            continue
        why = "no source has this name"
        if base.stated is not None:
            why = f"it was exported from {base.stated.label}, which was not found here"
        left_out += [LeftOut(model.path.as_posix(), why) for model in (base, *variants)]
    used = {check.reference for check in checks}
    unpaired = tuple(one for one in left_out if one.path not in used)
    return Found(tuple(_as_globs(folder, checks)), unpaired, tuple(checks))


def _walk(folder: Path) -> Iterator[Path]:
    """Files and SavedModels below a folder, except hidden and installed ones."""
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


def _onnx_files(folder: Path, files: Iterable[Path], left_out: list[LeftOut]) -> Iterator[OnnxFile]:
    for path in files:
        if path.suffix != ".onnx":
            continue
        try:
            model = read_model(folder / path)
            if located_layers(model):
                yield _opened(path, model.proto)
            else:
                left_out.append(LeftOut(path.as_posix(), "it has no PReLU"))
        except PReLUToolsError as error:
            left_out.append(LeftOut(path.as_posix(), f"it cannot be read: {error}"))


def _opened(path: Path, proto: onnx.ModelProto) -> OnnxFile:
    source, sha256 = stated_source(proto)
    types = {value.type.tensor_type.elem_type for value in proto.graph.input}
    is_narrow = bool(types & _NARROW) or any(map(is_quantizing, proto.graph.node))
    options = valid_options(stated_options(proto))
    return OnnxFile(path, _shapes(proto.graph), is_narrow, stated(source), sha256, options)


def _shapes(graph: onnx.GraphProto) -> tuple[str, ...] | None:
    """NAME:DIMS of each input, as `--input` has it; None if a rank is not known."""
    found = tensor_inputs(graph)
    return tuple(one.text for one in found) if all(one.shape for one in found) else None


def _families(models: Sequence[OnnxFile]) -> Iterator[tuple[OnnxFile, list[OnnxFile]]]:
    """Each file that is not a variant of another one; and its variants.

    A variant is called after the other file next to it, or was made from the same source.
    """
    by_path = {model.path: model for model in models}
    first: dict[object, Path] = {}
    variants: dict[Path, list[OnnxFile]] = {}
    for model in sorted(models, key=lambda one: (one.is_narrow, len(one.path.stem), one.path)):
        base = _base(model, models)
        base = first.setdefault(model.made_from or base, base)
        variants.setdefault(base, [])
        if base != model.path:
            variants[base].append(model)
    for base in sorted(variants):
        yield by_path[base], sorted(variants[base], key=lambda one: one.path)


def _base(model: OnnxFile, models: Iterable[OnnxFile]) -> Path:
    path = model.path
    near = [
        other.path
        for other in models
        if other.path.parent == path.parent
        and re.match(re.escape(other.path.stem) + r"[-_.]", path.stem)
        and (model.stated is None or other.stated is None or model.options == other.options)
    ]
    return min(near, key=lambda other: len(other.stem), default=path)


def _check(
    base: OnnxFile, variants: Sequence[OnnxFile], references: References, is_only: bool
) -> InitCheck | None:
    """The check of an ONNX file and its variants, where something is there to compare them with."""
    faithful = [v.path.as_posix() for v in variants if _is_faithful(v, base)]
    others = tuple(v.path.as_posix() for v in variants if v.path.as_posix() not in faithful)
    label = base.path.as_posix()
    found = references.of(base, is_only)
    if found is not None:
        candidates = (label, *faithful)
        return InitCheck(
            base.path.stem,
            found.label,
            candidates,
            others,
            found.inputs,
            needed=found.needed,
            options=found.options,
            withheld=found.withheld,
        )
    if faithful:
        return InitCheck(base.path.stem, label, tuple(faithful), others)
    return None


def _is_faithful(variant: OnnxFile, base: OnnxFile) -> bool:
    """Whether it computes the same in the same type, as far as its name and operators say."""
    if variant.is_narrow and not base.is_narrow:
        return False
    words = re.split(r"[-_.]", variant.path.stem[len(base.path.stem) :].lower())
    is_named = all(word in _FAITHFUL for word in words if word)
    return is_named or (variant.made_from is not None and variant.made_from == base.made_from)


def _as_globs(folder: Path, checks: Sequence[InitCheck]) -> Iterator[InitCheck]:
    """Many pairs that are alike as one check with a glob, where it finds these and no more."""
    groups: dict[tuple[str, ...], list[InitCheck]] = {}
    for check in checks:
        groups.setdefault((*_alike(check), *_options(check)), []).append(check)
    for (place, suffix, target, *_), group in groups.items():
        pattern = f"{glob.escape(place)}*{suffix}"
        if suffix and len(group) >= _ENOUGH_FOR_A_GLOB:
            found = glob.glob(pattern, root_dir=folder)  # noqa: PTH207 -- as `verify` does
            if sorted(found) == sorted(check.reference for check in group):
                name = f"{place or target}models" if not (place or target) else place or target
                candidates = (f"{target}{{stem}}.onnx",)
                yield replace(
                    group[0],
                    name=name.rstrip("/"),
                    reference=pattern,
                    candidates=candidates,
                    n_models=len(group),
                )
                continue
        yield from (replace(check, n_models=1) for check in group)


def _options(check: InitCheck) -> tuple[str, ...]:
    return tuple(map(toml, (check.inputs, check.options, check.withheld)))


def _alike(check: InitCheck) -> tuple[str, str, str]:
    """The folder and suffix of the reference, and the folder of its candidate; or none of these."""
    reference, candidate = Path(check.reference), Path(check.candidates[0])
    plain = reference.suffix in MODELS and not check.variants
    same = reference.stem == candidate.stem and len(check.candidates) == 1
    if not plain or not same or "{" in candidate.parent.as_posix():
        return "", "", check.reference
    return _folder(reference), reference.suffix, _folder(candidate)


def _folder(path: Path) -> str:
    return "" if path.parent == Path() else f"{path.parent.as_posix()}/"
