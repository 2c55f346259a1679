"""Build the sdist and the wheel in two places, and hold their bytes against each other.

    python release/check_same.py FOLDER

The second place is a copy of the tree with other times, other rights and an older build in it,
under another umask, locale and time zone; FOLDER has what `build_dist.py` made of the first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(Path(__file__).parent))
from build_dist import SOURCE, source_date  # noqa: E402


def _disturbed(tree: Path) -> None:
    for name in (*SOURCE, "release"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name)
        else:
            shutil.copyfile(ROOT / name, tree / name)
    for path in tree.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            os.utime(path, (10**9, 10**9))
    leftover = tree / "prelu_tools.egg-info"
    leftover.mkdir()
    (leftover / "SOURCES.txt").write_text("prelu_tools/nothing.py\n")


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def main(folder: Path) -> int:
    """Say whether both builds have the same bytes; the exit code."""
    with tempfile.TemporaryDirectory() as made:
        tree, out = Path(made, "tree"), Path(made, "out")
        tree.mkdir()
        _disturbed(tree)
        changes = {"SOURCE_DATE_EPOCH": str(source_date()), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
        os.umask(0o077)
        subprocess.run(
            [sys.executable, tree / "release" / "build_dist.py", out],
            check=True, cwd=made, env={**os.environ, **changes}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        first, second = _digests(folder), _digests(out)
    for name in sorted({*first, *second}):
        same = first.get(name) == second.get(name)
        print(f"{first.get(name, 'missing')[:16]}  {name}: {'the same' if same else 'DIFFERS'}")
    return 0 if first == second else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
