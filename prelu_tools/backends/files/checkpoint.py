"""`.pt`, `.pth`: a torch state dict, read in a process where it can do no harm."""

from __future__ import annotations

from pathlib import Path

from prelu_tools.backends.files.source import FileSource, source_of
from prelu_tools.backends.protocol.interface import Source
from prelu_tools.core.files.plain_pickles import all_plain
from prelu_tools.core.options import SourceOptions


def from_file(path: Path, label: str, options: SourceOptions) -> Source:
    """Read a file that torch.save wrote, in its own process where it may run no code.

    Raises:
        MissingExtraError: torch is not installed.
        PReLUToolsError: it cannot be read, would run code, or holds no state dict.
    """
    if options.allow_unsafe_load:
        from prelu_tools.backends.files.state_dict import read_trusted

        return FileSource(label, read_trusted(path))
    if all_plain(path):  # nothing in it could do any harm
        from prelu_tools.backends.files.state_dict import read

        return FileSource(label, read(path))
    return source_of("prelu_tools.backends.files.state_dict:read", path, label, "torch")
