"""What a new user types, one line after the other, and what has to be on the screen."""

from __future__ import annotations

from dataclasses import dataclass

QUICK, CHECK, EXPORT = 2.0, 5.0, 14.0
"""Times the framework's own import: a mistake, a comparison, an export, for which PyTorch loads its
exporter."""
LIGHT = "light"
"""Counts times the import of onnxruntime, numpy and onnx, where no framework may be loaded."""


@dataclass(frozen=True)
class Step:
    """One command."""

    line: str
    """As it is typed; what is not `python` is an argument of prelu-tools."""
    words: tuple[str, ...] = ()
    """What has to be on the screen, in this order, wherever lines are broken."""
    code: int = 0
    """The exit code."""
    limit: float = QUICK
    """How long it may take, in imports of its framework."""
    framework: str = "torch"
    """Whose import is the measure."""
    absent: tuple[str, ...] = ()
    """What may not be there."""


STEPS = (
    Step("--help", ("Export models with PReLU to ONNX", "export", "verify"), limit=0.5),
    Step("-V", ("prelu-tools, version",), limit=0.5),
    Step("doctor", ("onnxruntime", "ok", "torch", "ok", "cuda", "missing"), limit=8.0),
    Step("inspct net.onnx", ("did you mean inspect?",), 2, limit=0.5),
    Step("export nets.py -o net.onnx",
         ("nets.py:FaceNet, 'nets.py:Deep(depth=DEPTH)' or nets.py:upscaler",), 2),
    Step("export nets.py:FaceNt -o net.onnx", ("has no 'FaceNt': did you mean FaceNet?",), 2),
    Step("export nets.py:Deep -o net.onnx", ("its argument", "'nets.py:Deep(depth=DEPTH)'"), 2),
    Step("export nets.py:FaceNet@weights.pt -o net.onnx", ("weights.pt cannot be read",), 3),
    Step("export nets.py:FaceNet -o net.onnx",
         ("2 PReLU layers in 2 PRelu nodes", "verified", "warning",
          "initial value (0.25): did you forget the", "nets.py:FaceNet@WEIGHTS.pt"),
         limit=EXPORT),
    Step("python train.py", limit=CHECK),
    Step("export nets.py:FaceNet@weights.pt -o net.onnx",
         ("net.onnx already exists: use --force",), 2),
    Step("export nets.py:FaceNet@other.pt -o other.onnx",
         ("do not fit FaceNet",
          "with 'backbone.' removed from its names, 17 of 18 names match"), 3, CHECK),
    Step("export nets.py:FaceNet@weights.pt -o net.onnx --force",
         ("2 PReLU layers", "verified", "equal bit for bit"), limit=EXPORT, absent=("forgotten",)),
    Step("export nets.py:upscaler -o up.onnx", ("--input input:batch,",), 2, CHECK),
    Step("verify nets.py:FaceNet@weights.pt net.onnx --input nothing:1,3,32,32",
         ("--input nothing",), 2, CHECK),
    Step("export nets.py:upscaler -o up.onnx --input input:batch,1,h,w --quick",
         ("verified", "quick check"), limit=EXPORT),
    Step("verify nets.py:FaceNet@weights.pt net.onnx",
         ("output", "features.2", "features.5", "power 1.00", "PASS"), limit=CHECK),
    Step("verify nets.py:FaceNet@weights.pt net.onnx -q", absent=("PASS",), limit=CHECK),
    Step("verify nets.py:FaceNet@weights.pt net.onnx --quick", ("PASS quick check",), limit=CHECK),
    Step("verify nets.py:FaceNet net.onnx", ("FAIL", "slopes differ"), 1, CHECK),
    Step("verify nets.py:FaceNet@weights.pt net.onnx --provider cuda",
         ("INCONCLUSIVE nothing was run", "cuda is not in this build", "pip install"), 3),
    Step("verify nets.py:FaceNet@weights.pt gone.onnx", ("gone.onnx cannot be read",), 3),
    Step("verify nets.py:FaceNet@weights.pt net.onnx --samples none", ("--samples",), 2, 0.7),
    Step("inspect net.onnx",
         ("2 PReLU layers, 16 slopes", "features.2", "features.5"), limit=QUICK, framework=LIGHT),
    Step("inspect net.onnx --plot slopes.png --report html=slopes.html", ("2 PReLU layers",),
         limit=CHECK),
    Step("inspect weights.pt", ("features.2",), limit=QUICK),
    Step("inspect nets.py:FaceNet nets.py:FaceNet@weights.pt", ("features.2", "features.5"),
         limit=CHECK),
    Step("python swap.py", limit=QUICK, framework=LIGHT),
    Step("verify nets.py:FaceNet@weights.pt swapped.onnx",
         ("FAIL", "features.2: channels 1 and 4 swapped"), 1, CHECK),
    Step("verify nets.py:FaceNet@weights.pt swapped.onnx -q",
         ("FAIL", "channels 1 and 4 swapped"), 1, CHECK),
    Step("verify nets.py:FaceNet@weights.pt net.onnx swapped.onnx",
         ("[1]", "[2]", "FAIL"), 1, CHECK),
    Step("optimize net.onnx -o fast.onnx --no-tune",
         ("2 of 2 PReLU layers rewritten", "verified"), limit=CHECK, framework=LIGHT),
    Step("verify net.onnx fast.onnx", ("PASS",), limit=CHECK, framework=LIGHT),
    Step("record nets.py:FaceNet@weights.pt -o net.npz", ("net.npz",), limit=CHECK),
    Step("verify net.npz net.onnx", ("PASS",), limit=CHECK, framework=LIGHT),
    Step("verify net.npz swapped.onnx", ("FAIL",), 1, CHECK, LIGHT),
    Step("inspect net.onnx fast.onnx up.onnx --jobs 2", ("net.onnx", "fast.onnx", "up.onnx"),
         limit=4 * CHECK, framework=LIGHT),
    Step("python use.py", ("pass", "already exists: use force=True"), limit=EXPORT),
    Step("python -m pytest -q check_nets.py",
         ("test_the_swapped_one - AssertionError: FAIL swapped", "1 failed, 1 passed"), 1,
         limit=2 * CHECK),
    Step("export knets.py:classifier -o keras.onnx --input-layout nchw",
         ("1 PReLU layer in 1 PRelu node", "verified"), limit=CHECK, framework="keras"),
    Step("verify knets.py:classifier keras.onnx --layout reference=nhwc --layout candidate=nchw",
         ("act", "PASS"), limit=CHECK, framework="keras"),
    Step("init", ("prelu-tools.toml",), limit=CHECK, framework=LIGHT),
    Step("completion bash", ("complete",), limit=0.5),
)  # fmt: skip
