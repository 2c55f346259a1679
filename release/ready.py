"""Say whether what is in dist/ may be uploaded: the last step of `make release-check`.

    python release/ready.py dist requirements/lock.txt

Exit code 1, and a line for each thing that is missing; 3 if nothing is, but the advisories of the
locked packages could not be read. Nothing is uploaded here.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from audit import UNKNOWN, audit

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = "example.invalid"


def version(root: Path) -> str:
    """The version that the package has."""
    text = (root / "prelu_tools/__init__.py").read_text(encoding="utf-8")
    return re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)[0]


def missing(root: Path, dist: Path) -> Iterator[str]:
    """What keeps a release from being uploaded, a sentence each.

    Args:
        root: the checkout.
        dist: the folder with the sdist and the wheel.
    """
    wanted = version(root)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if any(PLACEHOLDER in url for url in project["urls"].values()):
        yield "pyproject.toml: fill in the address of the repository under [project.urls]"
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[?{re.escape(wanted)}\b", changes, re.MULTILINE):
        yield f"CHANGELOG.md: no section for version {wanted}"
    for name in (f"prelu_tools-{wanted}.tar.gz", f"prelu_tools-{wanted}-py3-none-any.whl"):
        if not (dist / name).is_file():
            yield f"{dist}: {name} is not there: make dist"
    others = {path.name for path in dist.glob("*")} - {
        f"prelu_tools-{wanted}.tar.gz", f"prelu_tools-{wanted}-py3-none-any.whl"
    }  # fmt: skip
    if others:
        yield f"{dist}: {', '.join(sorted(others))} is of another version: remove it"
    yield from _of_git(root, wanted)


def _of_git(root: Path, wanted: str) -> Iterator[str]:
    try:
        changes = _git(root, "status", "--porcelain")
        tags = _git(root, "tag", "--list", f"v{wanted}")
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        yield f"git: the checkout could not be checked ({' '.join(said.split())})"
        return
    if changes:
        yield "git: the checkout has changes that are not committed"
    if tags:
        yield f"git: the tag v{wanted} exists already: raise the version"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> int:
    """Print what is missing, or how to upload."""
    dist, lock = map(Path, sys.argv[1:])
    found = list(missing(ROOT, dist))
    code, lines = audit(lock)
    for line in (*found, *lines):
        print(f"missing  {line}")
    if found or lines:
        return code if code == UNKNOWN and not found else 1
    wanted = version(ROOT)
    push = f"git tag v{wanted} && git push origin main v{wanted}"
    print(f"ready: {push} && .venv-dist/bin/twine upload {dist}/prelu_tools-{wanted}*")
    return 0


if __name__ == "__main__":
    sys.exit(main())
