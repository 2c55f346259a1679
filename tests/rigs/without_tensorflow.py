"""Runs commands in a process in which TensorFlow is not installed, as far as Python can tell.

Standard input has a JSON list of the commands' arguments, standard output gets one of their exit
codes and of what they wrote. `-c` and a text of Python runs that.
"""

from __future__ import annotations

import json
import sys

for name in ("tensorflow", "tf2onnx"):
    sys.modules[name] = None  # type: ignore[assignment]

from running import Outcome, cli  # noqa: E402 - after TensorFlow is gone


def _run(command: str, *arguments: str) -> Outcome:
    if command != "-c":
        return cli(command, *arguments)
    exec(arguments[0], {})
    return Outcome(0, "", "")


if __name__ == "__main__":
    sys.path.insert(0, "")
    outcomes = [_run(*arguments) for arguments in json.load(sys.stdin)]
    json.dump([[found.code, found.out, found.err] for found in outcomes], sys.stdout)
