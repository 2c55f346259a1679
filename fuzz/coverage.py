"""Coverage-guided fuzzing of the ONNX reader and the recogniser: `make fuzz FUZZ_SECONDS=600`.

libFuzzer keeps each file that reaches a line or a branch that none did before, and changes it
further; half of the changes are its own, half know protobuf's fields. What ends in anything but a
result or a sentence is kept in `build/fuzz/coverage/`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["prelu_tools"]):
    from prelu_tools.core.errors import PReLUToolsError
    from prelu_tools.graph.facts.survey import survey
    from prelu_tools.graph.io.model import all_tensors
    from prelu_tools.graph.io.reader import read_model

from fuzz.corpus import SEEDS
from fuzz.protobuf import change_message

_TARGETS = ("onnxruntime-cpu", "onnxruntime-cuda", "tensorrt", "openvino")
_OUTPUT = Path("build/fuzz/coverage")
_FOLDER = Path(tempfile.mkdtemp(prefix="prelu-tools-fuzz-"))


def one_input(data: bytes) -> None:
    """Read a file, its layers, its near misses, and the values of all its tensors."""
    path = _FOLDER / "net.onnx"
    path.write_bytes(data)
    try:
        model = read_model(path)
        survey(model, explain=True, target=_TARGETS[len(data) % len(_TARGETS)])
        for tensor in all_tensors(model.proto):
            with contextlib.suppress(PReLUToolsError):
                model.values(tensor)
    except PReLUToolsError:
        pass
    except Exception as error:
        _keep(data, error)


def _keep(data: bytes, error: Exception) -> None:
    """One file for each place where an error came from."""
    places = traceback.extract_tb(error.__traceback__)
    place = next(p for p in reversed(places) if "prelu_tools" in p.filename)
    name = f"found-{Path(place.filename).stem}-{place.lineno}-{type(error).__name__}.onnx"
    target = _OUTPUT / name
    if not target.exists():
        target.write_bytes(data)
        traceback.print_exception(error)


def changed(data: bytes, max_size: int, seed: int) -> bytes:
    """Another file: by libFuzzer's own changes, or by one that knows protobuf."""
    if seed % 2 or not data:
        return bytes(atheris.Mutate(data, max_size))
    return change_message(data, random.Random(seed))[:max_size]


def fuzz(seconds: int) -> None:
    """Fuzz for so long; ends the process."""
    flags = [
        f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2000", "-max_len=50000",
        f"-artifact_prefix={_OUTPUT}/found-", "-print_final_stats=1", "-verbosity=1",
        str(_OUTPUT / "corpus"),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *flags], one_input, custom_mutator=changed)
    atheris.Fuzz()


def main() -> int:
    """The command line: 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args()
    (_OUTPUT / "corpus").mkdir(parents=True, exist_ok=True)
    for seed in SEEDS.glob("*.onnx"):
        (_OUTPUT / "corpus" / seed.name).write_bytes(seed.read_bytes())
    (_FOLDER / "outside.bin").write_bytes((SEEDS / "outside.bin").read_bytes())
    until = time.monotonic() + given.seconds
    while (left := int(until - time.monotonic())) > 0:  # a hang or a crash ends the fuzzer
        child = os.fork()
        if child == 0:
            fuzz(left)
        os.waitpid(child, 0)
    shutil.rmtree(_FOLDER)
    found = sorted(path.name for path in _OUTPUT.glob("found-*"))
    print(f"{given.seconds} s of fuzzing; {len(found)} files in {_OUTPUT} that should not be: "
          f"{', '.join(found) or 'none'}")  # fmt: skip
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
