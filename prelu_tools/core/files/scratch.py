"""Temporary files next to their final place, and locks that show their owner.

A run holds a lock on what it writes for as long as it lives, and the system takes the lock from a
run that was killed. So the next run that writes to the same path knows what was left behind, and
removes it. Where a file system has no locks, nothing is removed.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

PATIENCE = 30.0
"""Seconds that a run waits for another one which is putting something in place."""
_PAUSE = 0.01
_LONGEST = 40  # characters of the final name: a file system takes 255 bytes in all

Forget = Callable[[Path], None]


def _prefix(path: Path) -> str:
    return f".{path.name[:_LONGEST]}.prelu-tools-"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No other run puts anything in place in a folder meanwhile, where the system can lock it.

    Raises:
        OSError: another process does not let go of it.
    """
    descriptor = None
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        if descriptor is not None:
            _wait_for(descriptor)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    """Lock a folder, which others hold for as long as a few names take to change."""
    for _ in range(int(PATIENCE / _PAUSE)):
        try:
            _lock(descriptor)
            return
        except BlockingIOError:
            time.sleep(_PAUSE)
        except OSError:  # a file system without locks
            return
    raise TimeoutError(errno.ETIMEDOUT, "another process holds a lock on its folder")


def _lock(descriptor: int) -> None:
    """Lock a file, or raise OSError: it is locked, or this system or file system has no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOLCK, "no locks") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def scratch_folder(path: Path, forget: Forget | None = None) -> AbstractContextManager[Path]:
    """A new folder next to `path`, which is gone when the block ends.

    Args:
        path: of the file that is being made.
        forget: called with each folder that a killed run left, before it is removed.

    Raises:
        OSError: it cannot be made.
    """
    return _made(path, lambda prefix: tempfile.mkdtemp(dir=path.parent, prefix=prefix), forget)


def scratch_file(path: Path) -> AbstractContextManager[Path]:
    """A new empty file next to `path`, which is gone when the block ends, if it is still there.

    It has the permissions of any new file: the system applies the umask. Reading the umask, which
    is necessary after `tempfile.mkstemp`, changes it for all threads for a moment.

    Raises:
        OSError: it cannot be made.
    """

    def make(prefix: str) -> str:
        while True:
            name = path.parent.absolute() / f"{prefix}{os.urandom(6).hex()}"
            with suppress(FileExistsError):
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
                return str(name)

    return _made(path, make)


@contextmanager
def _made(path: Path, make: Callable[[str], str], forget: Forget | None = None) -> Iterator[Path]:
    made, descriptor = None, None
    try:
        with locked(path.parent):  # it cannot be found before it is locked
            _clear(path, forget)
            made = Path(make(_prefix(path)))
            descriptor = _opened(made)
            with suppress(OSError):
                _lock(descriptor)
        yield made
    finally:
        if made is not None:
            thoroughly(partial(_remove, made))
        if descriptor is not None:
            os.close(descriptor)


def _opened(made: Path) -> int:
    """Open the file that the run locks which made something: the file itself, or one in the folder.

    Raises:
        FileNotFoundError: it was removed in the meantime; no file of its name is created.
    """
    try:
        return os.open(made / ".owned", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW)
    except NotADirectoryError:
        return os.open(made, os.O_RDONLY | os.O_NOFOLLOW)


def thoroughly(tidy: Callable[[], None]) -> None:
    """Clean up; start over if Ctrl-C or a signal interrupts it."""
    try:
        tidy()
    except BaseException:
        tidy()
        raise


def clear(path: Path, forget: Forget | None) -> None:
    """Remove leftovers of killed runs next to a path.

    Raises:
        OSError: another process does not let go of its folder.
    """
    with locked(path.parent):
        _clear(path, forget)


def _clear(path: Path, forget: Forget | None) -> None:
    """Remove leftovers of killed runs next to a path; its folder is locked."""
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*"):
        with suppress(OSError):  # owned by another user, or in use
            descriptor = _opened(left)
            try:
                _lock(descriptor)
                if forget is not None:
                    forget(left)
                _remove(left)
            finally:
                os.close(descriptor)


def _remove(made: Path) -> None:
    if made.is_dir():
        shutil.rmtree(made, ignore_errors=True)
    else:
        with suppress(OSError):
            made.unlink(missing_ok=True)
