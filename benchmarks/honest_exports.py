"""No false alarm: honest exports of many nets, each of which has to pass with the defaults.

    python benchmarks/honest_exports.py [COUNT]

Random nets (`random_nets.py`), exported by this tool, by torch's older exporter at opsets 13 to 17,
and rewritten by onnxruntime's optimizer at each of its levels; with a fixed or a free batch, other
seeds and other numbers of samples. Prints how many passed, what did not, and how near the limits
the outputs came.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import warnings
from pathlib import Path

import onnxruntime
import torch
from random_nets import Net

from prelu_tools.backends.quiet import quiet
from prelu_tools.cli.main import run

NETS = Path(__file__).parent / "random_nets.py"
LEVELS = ("ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED")


def write(seed: int, path: Path) -> str:
    """Export the net of this seed in one of the ways; which one."""
    way = seed % 8
    source = f"{NETS}:Net({seed})"
    if way in (0, 1):
        if run(["export", source, "-o", str(path), "-q", "--no-verify"]) != 0:
            raise SystemExit(f"{source} could not be exported")
        return "prelu-tools"
    net = Net(seed).eval()
    batch = torch.zeros(1 if way == 2 else 2, 3, net.size, net.size)
    axes = None if way == 3 else {"x": {0: "batch"}}
    with quiet(show=False, logger="torch.onnx"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (batch,),
            path,
            dynamo=False,
            input_names=["x"],
            dynamic_axes=axes,
            opset_version=17,
        )
    if way < 5:
        return f"torch, {'fixed' if axes is None else 'free'} batch"
    options = onnxruntime.SessionOptions()
    level = LEVELS[seed % 3]
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    optimized = path.with_suffix(".optimized.onnx")
    options.optimized_model_filepath = str(optimized)
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    optimized.replace(path)
    return f"onnxruntime's optimizer, {level}"


def main() -> None:
    """Export, verify, and print what came out."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    passed, nearest, searched = 0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        for seed in range(count):
            path.unlink(missing_ok=True)
            way = write(seed, path)
            out = io.StringIO()
            arguments = ["verify", f"{NETS}:Net({seed})", str(path), "--format", "json"]
            arguments += ["--seed", str(seed), "--samples", str(4 + seed % 20)]
            with contextlib.redirect_stdout(out):
                code = run(arguments)
            result = json.loads(out.getvalue())
            searched += result["n_searched"]
            for output in result["candidates"][0]["outputs"]:
                if output["limit"]:
                    nearest = max(nearest, output["max_abs_diff"] / output["limit"])
            passed += code == 0
            if code:
                print(f"seed {seed} ({way}): exit {code}: {'; '.join(result['reasons'])[:500]}")
            elif seed % 20 == 0:
                print(f"{seed + 1} of {count}", file=sys.stderr, flush=True)
    print(f"{passed} of {count} honest exports passed; the nearest output was at {nearest:.2f} of "
          f"its limit; the search found {searched} rows of input")  # fmt: skip


if __name__ == "__main__":
    main()
