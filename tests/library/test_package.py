"""What `import prelu_tools` loads and offers, and what a type checker sees of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, environment

import prelu_tools

_SECOND = """
import sys
before = set(sys.modules)
import prelu_tools
print(" ".join(sorted(set(sys.modules) - before)))
"""


def test_importing_the_package_loads_nothing_but_itself() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _SECOND],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    loaded = set(found.stdout.split())
    ours = {name for name in loaded if name.partition(".")[0] == "prelu_tools"}
    packages = {"", ".core", ".core.process", ".core.results"}
    modules = {".core.process.lazily", ".core.results.showing"}
    assert ours == {f"prelu_tools{name}" for name in packages | modules}
    assert {name.partition(".")[0] for name in loaded - ours} <= set(sys.stdlib_module_names)
    assert len(loaded) < 40


def test_every_name_that_is_offered_is_there() -> None:
    assert set(prelu_tools.__all__) <= set(dir(prelu_tools))
    for name in prelu_tools.__all__:
        assert getattr(prelu_tools, name) is not None
    assert {"export", "inspect", "optimize", "verify"} <= set(prelu_tools.__all__)
    for name in ("testing", "training"):  # modules, which `import prelu_tools` alone reaches
        assert getattr(prelu_tools, name) is sys.modules[f"prelu_tools.{name}"]


def test_a_name_that_is_not_offered_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'verfy'"):
        prelu_tools.verfy  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from prelu_tools import convert  # type: ignore[attr-defined]  # noqa: F401


_TYPED = """
import onnx
from pathlib import Path
from prelu_tools import export, inspect, optimize, verify

net = onnx.ModelProto()
reveal_type(export(net, Path("net.onnx")))
reveal_type(verify(net, "net.onnx", onnx.ModelProto()))
reveal_type(inspect(Path("net.onnx")))
reveal_type(inspect("a.onnx", "b.onnx"))
reveal_type(optimize("net.onnx", "fast.onnx", exact="bitwise"))
verify(net, "net.onnx", min_covrage=1.0)
inspect(3)
export(net)
"""


def test_a_type_checker_sees_the_signatures(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(_TYPED)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary",
         "--cache-dir", str(ROOT / ".mypy_cache" / "user"), "user.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(MYPYPATH=str(ROOT)),
        check=False,
    )  # fmt: skip
    lines = found.stdout.splitlines()
    revealed = [line.rpartition(".")[2].rstrip('"') for line in lines if "Revealed type" in line]
    assert revealed == [
        "ExportResult", "VerifyResult", "InspectResult", "CompareResult", "OptimizeResult",
    ]  # fmt: skip
    errors = [line for line in lines if ": error: " in line]
    assert [line.split(":")[1] for line in errors] == ["12", "13", "14"], found.stdout
