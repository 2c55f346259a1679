"""Build the sdist and the wheel: the same bytes from the same source, wherever and whenever.

    python release/build_dist.py FOLDER

Times are those of `SOURCE_DATE_EPOCH`, or else of the last commit. setuptools itself writes the
times, owners and rights of the moment into an sdist, so that one is packed anew; the wheel is built
from it. Needs `build` and `setuptools` (requirements/dist.txt).
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "prelu_tools")
EARLIEST = 315532800  # 1980: a zip file knows no time before


def source_date() -> int:
    """The time of everything in both files, in seconds since 1970: of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        given = done.stdout.strip() or str(EARLIEST)
    return max(int(given), EARLIEST)


def _copy(folder: Path) -> None:
    """The source alone: what earlier builds left in the tree would be packed, too."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copyfile(ROOT / name, folder / name)


def _build(what: str, source: Path, out: Path, epoch: int) -> Path:
    subprocess.run(
        [sys.executable, "-m", "build", f"--{what}", "--no-isolation", "--outdir", out, source],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    (built,) = out.iterdir()
    return built


def _packed_anew(path: Path, epoch: int) -> bytes:
    """An sdist in the order of its names, with one time, one owner, and plain rights."""
    content = io.BytesIO()
    with (
        tarfile.open(path) as old,
        gzip.GzipFile("", "wb", mtime=epoch, fileobj=content) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            plain = tarfile.TarInfo(member.name)
            plain.type, plain.size, plain.mtime = member.type, member.size, epoch
            plain.mode = 0o755 if member.isdir() else 0o644
            new.addfile(plain, old.extractfile(member))
    return content.getvalue()


def build(folder: Path) -> list[Path]:
    """Build both into a folder, in the place of what is there; returns their paths."""
    os.umask(0o022)
    epoch = source_date()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as made:
        source, packed, wheels = (Path(made, name) for name in ("source", "sdist", "wheel"))
        source.mkdir()
        _copy(source)
        sdist = _build("sdist", source, packed, epoch)
        whole = folder / sdist.name
        whole.write_bytes(_packed_anew(sdist, epoch))
        with tarfile.open(whole) as archive:
            archive.extractall(Path(made, "again"), filter="data")
        (again,) = Path(made, "again").iterdir()
        wheel = _build("wheel", again, wheels, epoch)
        shutil.copyfile(wheel, folder / wheel.name)
    return [whole, folder / wheel.name]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    for built in build(parser.parse_args().folder):
        print(f"{built}  {built.stat().st_size:,} bytes")
