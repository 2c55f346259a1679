"""The models of a folder, and which of them belong together."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from prelu_tools.backends.source_spec import base_name
from prelu_tools.batch.init.doubts import doubts_of, mentions_prelu
from prelu_tools.batch.init.options import toml, valid_options
from prelu_tools.batch.init.references import MODELS, OnnxFile, Reference, References
from prelu_tools.batch.init.stated import stated
from prelu_tools.batch.init.strict import STRICT, reasons_against
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.results.export import InitCheck, LeftOut
from prelu_tools.graph.io.inputs import tensor_inputs
from prelu_tools.graph.io.metadata import properties, stated_options, stated_source
from prelu_tools.graph.io.reader import read_model
from prelu_tools.graph.quantized.noticing import located_layers
from prelu_tools.graph.quantized.operators import is_quantizing

_SKIPPED = ("__pycache__", "node_modules", "site-packages")
_FAITHFUL = ("fast", "opt", "optimized", "sim", "simplified", "slim", "clean", "portable")
_ENOUGH_FOR_A_GLOB = 4
_NARROW = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}

Family = tuple[OnnxFile, list[OnnxFile]]
"""A file and its variants."""


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
    families = _families([model for model in models if model.has_prelu])
    checks = []
    for base, variants in (*families, *_without_prelu(models, families)):
        is_only = len(families) == 1 if base.has_prelu else len(models) == 1
        found = references.of(base, is_only)
        if not base.has_prelu and found is not None:
            is_lost = not base.is_narrow and mentions_prelu(found, folder)
            found = found if is_lost else None
        check = _check(base, variants, found)
        if check is not None:
            checks.append(check)
        else:
            why = _why_left_out(base)
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
            yield replace(_opened(path, model.proto), has_prelu=bool(located_layers(model)))
        except PReLUToolsError as error:
            left_out.append(LeftOut(path.as_posix(), f"it cannot be read: {error}"))


def _opened(path: Path, proto: onnx.ModelProto) -> OnnxFile:
    source, sha256 = stated_source(proto)
    types = {value.type.tensor_type.elem_type for value in proto.graph.input}
    is_narrow = bool(types & _NARROW) or any(map(is_quantizing, proto.graph.node))
    options = valid_options(stated_options(proto))
    shapes, said = _shapes(proto.graph), properties(proto)
    return OnnxFile(path, shapes, is_narrow, stated(source), sha256, options, said)


def _shapes(graph: onnx.GraphProto) -> tuple[str, ...] | None:
    """NAME:DIMS of each input, as `--input` has it; None if a rank is not known."""
    found = tensor_inputs(graph)
    return tuple(one.text for one in found) if all(one.shape for one in found) else None


def _why_left_out(model: OnnxFile) -> str:
    if not model.has_prelu:
        return "it has no PReLU"
    if model.stated is not None:
        return f"it was exported from {model.stated.label}, which was not found here"
    return "no source has this name"


def _without_prelu(models: Sequence[OnnxFile], families: Sequence[Family]) -> list[Family]:
    """Files without PReLU as families of their own, except copies, which are added to theirs."""
    alone: list[Family] = []
    for model in models:
        if not model.has_prelu:
            near = (
                f for f in families if _base(model, [f[0]]) == f[0].path or _is_twin(model, f[0])
            )
            family = next((f for f in near if _is_faithful(model, f[0])), None)
            if family is not None:
                family[1].append(model)
            else:
                alone.append((model, []))
    return alone


def _is_twin(model: OnnxFile, other: OnnxFile) -> bool:
    return model.made_from is not None and model.made_from == other.made_from


def _families(models: Sequence[OnnxFile]) -> list[Family]:
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
    return [
        (by_path[base], sorted(variants[base], key=lambda one: one.path))
        for base in sorted(variants)
    ]


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
    base: OnnxFile, variants: Sequence[OnnxFile], found: Reference | None
) -> InitCheck | None:
    """The check of an ONNX file and its variants, where something is there to compare them with."""
    faithful = [variant for variant in variants if _is_faithful(variant, base)]
    if found is None and not faithful:
        return None
    if found is None:  # the file is compared with its variants
        found, candidates = Reference(base.path.as_posix()), faithful
    else:
        candidates = [base, *faithful]
    made, lax = found.recording, list(reasons_against(found, candidates))
    strict = {STRICT: True} if made is not None and not lax else {}
    recorded = None if made is None else made.source_file
    return InitCheck(
        base.path.stem,
        found.label,
        tuple(model.path.as_posix() for model in candidates),
        tuple(model.path.as_posix() for model in variants if model not in faithful),
        found.inputs,
        needed=found.needed,
        options={**found.options, **strict},
        withheld=found.withheld,
        paired_by=found.paired_by,
        record_of=None if made is None else base_name(made.source),
        recorded_file=None if recorded is None else recorded.path,
        notes=(*doubts_of(found, candidates), *lax),
    )


def _is_faithful(variant: OnnxFile, base: OnnxFile) -> bool:
    """Whether it computes the same in the same type, as far as its name and operators say."""
    if variant.is_narrow and not base.is_narrow:
        return False
    words = re.split(r"[-_.]", variant.path.stem[len(base.path.stem) :].lower())
    is_named = all(word in _FAITHFUL for word in words if word)
    return is_named or _is_twin(variant, base)


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
                    paired_by=max(check.paired_by for check in group),
                    notes=tuple(one for check in group for one in check.notes),
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
