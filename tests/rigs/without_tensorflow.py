"""Runs commands in a process in which TensorFlow is not installed, as far as Python can tell.

Standard input has a JSON list of the commands' arguments, standard output gets one of their exit
codes and of what they wrote. `-c` and a text of Python runs that: 1 where it raises.
"""

from __future__ import annotations

import json
import sys
import traceback

for name in ("tensorflow", "tf2onnx"):
    sys.modules[name] = None  # type: ignore[assignment]

from one_registry import share_registry  # noqa: E402 - after TensorFlow is gone
from running import Outcome, cli  # noqa: E402


def _run(command: str, *arguments: str) -> Outcome:
    if command != "-c":
        return cli(command, *arguments)
    try:
        exec(arguments[0], {})
    except Exception:
        return Outcome(1, "", traceback.format_exc())
    return Outcome(0, "", "")


if __name__ == "__main__":
    sys.path.insert(0, "")
    share_registry()
    outcomes = [_run(*arguments) for arguments in json.load(sys.stdin)]
    json.dump([[found.code, found.out, found.err] for found in outcomes], sys.stdout)
