"""Where a model's external data may be: in its folder, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from prelu_tools.core.errors import PReLUToolsError


def data_file(model: Path, tensor: str, location: str) -> Path:
    """The file that a tensor of a model's file is kept in.

    The location has to be a path below the model's own folder. A link there is followed as long as
    it stays below that folder; or, where the model itself is a link, if it leads to the folder that
    the model's file really is in. So the cache of Hugging Face is read, where
    `snapshots/x/model.onnx` and `snapshots/x/model.onnx_data` are links to files in `blobs/`, and a
    link that somebody put into an archive of a model leads nowhere else.

    Args:
        model: the path of the model.
        tensor: the tensor's name, for errors.
        location: as the graph has it.

    Raises:
        PReLUToolsError: it is anywhere else, or no path.
    """
    if not location:
        raise PReLUToolsError(f"tensor {tensor!r} is external data, but its file is not named")
    folder = model.parent.resolve()
    try:
        path = (folder / location).resolve()
    except (ValueError, OSError, RuntimeError) as error:
        raise PReLUToolsError(
            f"tensor {tensor!r} is stored at {location!r}, which is not a path"
        ) from error
    normal = PurePath(os.path.normpath(location))
    leaves = normal.is_absolute() or ".." in normal.parts
    allowed = [folder, *([model.resolve().parent] if model.is_symlink() else [])]
    if leaves or not any(path.is_relative_to(root) for root in allowed):
        raise PReLUToolsError(
            f"tensor {tensor!r} is stored at {location!r}, outside the model's own folder: rejected"
        )
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise PReLUToolsError(
            f"tensor {tensor!r} is stored at {location!r}, which is not a regular file: rejected"
        )
    return path


def refuse_odd_name(path: Path) -> None:
    """Reject a name that no ONNX file can hold, and that onnxruntime cannot be given.

    Raises:
        PReLUToolsError: it is not UTF-8.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise PReLUToolsError(
            f"{path} has a name that is not UTF-8, which ONNX does not support: rename the file"
        ) from error
