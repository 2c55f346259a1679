"""PRelu nodes against the forms for onnxruntime's CPU kernels, on OpenVINO's execution provider.

    python -m benchmarks.openvino PRELU.onnx FAST.onnx      (or: make bench-openvino)

Both files in turns, on OpenVINO's provider and on the default CPU provider of the same build: the
median time of the second against the first. It runs in the environment of `make test-openvino`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from prelu_tools.core.inputs import Wanted, pictures
from prelu_tools.core.process.timing import ratio_of

PROVIDERS = ("OpenVINOExecutionProvider", "CPUExecutionProvider")
ROUNDS = 60


def session(path: Path, provider: str) -> onnxruntime.InferenceSession:
    """A file on one provider, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    extra = {"num_of_threads": "1"} if provider.startswith("OpenVINO") else {}
    return onnxruntime.InferenceSession(str(path), options, providers=[(provider, extra)])


def main(arguments: list[str]) -> None:
    """Print a row for each provider."""
    paths = [Path(argument) for argument in arguments]
    print(
        f"onnxruntime {onnxruntime.__version__}, 1 thread; {paths[1].name} against {paths[0].name}"
    )
    for provider in PROVIDERS:
        sessions = [session(path, provider) for path in paths]
        given = sessions[0].get_inputs()[0]
        feeds = pictures({given.name: Wanted("float32", tuple(given.shape[1:]))}, 1, seed=0)
        outputs = [one.run(None, feeds)[0] for one in sessions]
        times: list[list[float]] = [[], []]
        for number in range(ROUNDS):
            for which in (0, 1) if number % 2 else (1, 0):
                start = time.perf_counter()
                sessions[which].run(None, feeds)
                times[which].append(time.perf_counter() - start)
        ratio = ratio_of(times[1], times[0])
        apart = float(np.abs(outputs[1] - outputs[0]).max())
        first = sorted(times[0])[ROUNDS // 2]
        print(
            f"{provider:<26} {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}), "
            f"PRelu {1e3 * first:.1f} ms, outputs {apart:.1e} apart"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
