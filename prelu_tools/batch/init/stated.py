"""The source that a file made by prelu-tools records, as far as it is in the folder.

A model file is not trusted, and `verify` runs what a check names. So a Python source counts only if
it is a top-level class or function of a file in the folder that defines models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from prelu_tools.backends.source_spec import python_parts
from prelu_tools.batch.init.python_files import PythonModel, is_about_models, model_named
from prelu_tools.core.files.hashing import sha256_of
from prelu_tools.core.python_code import read_code


@dataclass(frozen=True)
class Stated:
    """The source that a file names, without folders."""

    file: str
    """A model, or a Python file, or the dotted name of a module."""
    call: str = ""
    """What is named in that module, with its arguments; "" for a model file."""
    weights: str = ""
    """The file after the @; "" for none."""

    @property
    def label(self) -> str:
        """The source."""
        call = f":{self.call}" if self.call else ""
        return f"{self.file}{call}{f'@{self.weights}' if self.weights else ''}"


def stated(text: str) -> Stated | None:
    """Parse the source that a file records; None if it cannot be written in a check."""
    if not text or not text.isprintable():
        return None
    parts = python_parts(text)
    if parts is None:
        return Stated(PurePath(text).name) if PurePath(text).name else None
    head, weights = parts
    module, _, call = head.partition(":")
    return Stated(PurePath(module).name, call, PurePath(weights).name)


class StatedSources:
    """The sources that the files of a folder record."""

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        """Nothing is read yet.

        Args:
            folder: the folder.
            files: all files in it, as seen from it.
        """
        self._folder, self._files = folder, files
        self._hashes: dict[Path, str] = {}

    def model(self, said: Stated, sha256: str, beside: Path) -> Path | None:
        """The model file that was named."""
        return self._file(said.file, sha256, [beside])

    def python(self, said: Stated, beside: Path) -> PythonModel | None:
        """The class or function that was named, with the arguments that were."""
        module = self._module(said.file, beside)
        return None if module is None else model_named(self._folder, module, said.call)

    def custom(self, text: str, beside: Path) -> str | None:
        """`MODULE_OR_FILE[:NAME]` as a file of the folder; None if that is not about models."""
        name, colon, member = text.partition(":")
        module = self._module(name, beside)
        code = None if module is None else read_code(self._folder / module)
        if module is None or code is None or not is_about_models(code):
            return None
        return f"{module.as_posix()}{colon}{member}" if member in ("", *code.names) else None

    def _module(self, name: str, beside: Path) -> Path | None:
        """The Python file of this name, or of this dotted name."""
        if name.endswith(".py"):
            return nearest(beside, [path for path in self._files if path.name == name])
        place = Path(*name.split("."))
        if not place.name:
            return None
        either = (place.with_suffix(".py"), place / "__init__.py")
        return next((path for path in either if path in self._files), None)

    def weights(self, said: Stated, sha256: str, beside: Sequence[Path]) -> Path | None:
        """The weights that were named."""
        return self._file(said.weights, sha256, beside)

    def _file(self, name: str, sha256: str, beside: Sequence[Path]) -> Path | None:
        """The file of this name next to one of these; of several elsewhere, that with this hash.

        Where there is none of this name, it may have been renamed: the one with this hash.
        """
        others = [path for path in self._files if path not in beside]
        named = [path for path in others if path.name == name]
        found = next((near for path in beside if (near := nearest(path, named))), None)
        if found is not None or not sha256:
            return found
        alike = named or [path for path in others if path.suffix == PurePath(name).suffix]
        return nearest(beside[0], [path for path in alike if self._sha256(path) == sha256])

    def _sha256(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = sha256_of(self._folder / path)
        return self._hashes[path]


def nearest(path: Path, others: Sequence[Path]) -> Path | None:
    """The one in the same folder, otherwise the only one there is."""
    here = [other for other in others if other.parent == path.parent]
    if here:
        return here[0]
    return others[0] if len({other.parent for other in others}) == 1 else None
