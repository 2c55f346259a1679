"""Known vulnerabilities of locked packages, from PyPI's advisories.

    python release/audit.py requirements/lock.txt

Exit code 0: none is known; 1: some are; 3: the advisories could not be read, so nothing is known.
pip-audit asks for them: this runs with the Python that it is installed for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

NONE, SOME, UNKNOWN = 0, 1, 3


def audit(lock: Path) -> tuple[int, list[str]]:
    """Ask for the advisories: the exit code, and a line for each thing to know.

    Args:
        lock: the packages, each with its version.
    """
    options = ("--disable-pip", "--no-deps", "--progress-spinner", "off", "-f", "json", "-r", lock)
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *options], capture_output=True, text=True, check=False
    )
    return judged(done.stdout, done.stderr)


def judged(out: str, err: str) -> tuple[int, list[str]]:
    """What pip-audit's answer means; one that is not complete means nothing.

    Args:
        out: its JSON.
        err: what it said besides.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    skipped = [one for one in packages if "skip_reason" in one]
    if skipped or not packages:
        said = [one["skip_reason"] for one in skipped] or err.strip().splitlines()[-1:]
        why = "".join(said[:1]).strip()[:200] or "no answer"
        return UNKNOWN, [
            f"PyPI's advisories could not be read ({why}): run `make audit` where pypi.org can be "
            "reached"
        ]
    lines = [
        f"{one['name']} {one['version']}: {weak['id']}"
        + (f", fixed in {', '.join(weak['fix_versions'])}" if weak.get("fix_versions") else "")
        for one in packages
        for weak in one.get("vulns", ())
    ]
    return (SOME if lines else NONE), lines


def main() -> int:
    """Print what is known."""
    code, lines = audit(Path(sys.argv[1]))
    print("\n".join(lines) or "no vulnerability of the locked packages is known")
    return code


if __name__ == "__main__":
    sys.exit(main())
