"""An MNN model as a source: `net.mnn`, or an ONNX file that MNN's converter converts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.runtimes.converting import Workshop, last_words, run_converter
from prelu_tools.backends.runtimes.hosted import HostedSource, specs_of
from prelu_tools.backends.runtimes.hosting import Engine
from prelu_tools.backends.runtimes.mnn.graph import input_of, translated
from prelu_tools.backends.runtimes.mnn.schema import MnnModel, packed_tensors, read_mnn
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import ProviderReport

# `_tools` is MNN's converter. Never MNN.tools: importing that installs a package for telemetry.
_CONVERT = (
    "import _tools; _tools.mnnconvert(['', '-f', 'ONNX', '--modelFile', 'net.onnx', '--MNNModel', "
    "'net.mnn', '--bizCode', 'prelu-tools', '--alignDenormalizedValue', '0'])"
)


class MnnSource(HostedSource):
    """Read from the file itself; run by MNN on the CPU in float32, in its own process."""

    framework = "mnn"
    called = package = "MNN"

    def __init__(self, path: Path, label: str, options: SourceOptions) -> None:
        """Read the file.

        Raises:
            PReLUToolsError: it is not an MNN model, or was made from TensorFlow.
        """
        self._path = path
        self._file: MnnModel = read_mnn(path)
        self._made = {
            self._file.tensors[number]
            for operator in self._file.operators
            for number in operator.outputs
            if operator.kind not in ("Const", "TrainableParam")
        }
        inputs = [
            (self._file.tensors[operator.outputs[0]], *input_of(operator))
            for operator in self._file.operators
            if operator.kind == "Input" and operator.outputs
        ]
        self._input_names = [name for name, _, _ in inputs]
        super().__init__(label, translated(self._file), specs_of(inputs, options))

    @property
    def quantized(self) -> str | None:
        """See `HostedSource.quantized`."""
        is_narrow = "int8" in self._narrow
        return "its weights are quantized to 8 bits or fewer" if is_narrow else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether it is quantized."""
        return () if self.quantized is None else (Reason(self.quantized, "quantized"),)

    @property
    def adds_axes(self) -> str:
        """See `Source.adds_axes`."""
        return "MNN's converter writes 1-D operators as 2-D ones"

    @property
    def _narrow(self) -> set[str]:
        return {operator.narrow for operator in self._file.operators if operator.narrow}

    @property
    def computes_in(self) -> str | None:
        """`float16` where weights were rounded to that."""
        return "float16" if "float16" in self._narrow else None

    @property
    def runtime(self) -> ProviderReport:
        """See `Source.runtime`."""
        version = installed_version("MNN")
        return ProviderReport("mnn", (f"MNN {version} on the CPU, float32, no Winograd",), ())

    def shows(self, tensor: str) -> bool:
        """See `RuntimeSource.shows`."""
        return tensor in self._made

    def whole(self, outputs: Sequence[str]) -> Engine:
        """See `HostedSource.whole`."""
        return self._load(self._input_names, outputs, self.label)

    def alone(self, x: str, y: str, label: str) -> Engine:
        """See `HostedSource.alone`."""
        return self._load([x], [y], label, x in packed_tensors(self._file))

    def _load(
        self, inputs: Sequence[str], outputs: Sequence[str], label: str, is_packed: bool = False
    ) -> Engine:
        wanted = {"inputs": list(inputs), "outputs": list(outputs), "is_packed": is_packed}
        return self.host().load({"path": str(self._path), **wanted}, label)


class ConvertedMnn(MnnSource):
    """What MNN's converter makes of an ONNX file."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Convert it.

        Raises:
            PReLUToolsError: MNN is not installed, or its converter fails.
        """
        self.demand(graph.label, "convert")
        self._workshop = Workshop()
        folder = self._workshop.path
        (folder / "net.onnx").write_bytes(graph.model.inlined().SerializeToString())
        said = run_converter([sys.executable, "-c", _CONVERT], folder, "MNN", graph.label)
        if not (folder / "net.mnn").exists():
            raise PReLUToolsError(f"MNN cannot convert {graph.label}: {last_words(said)}")
        super().__init__(folder / "net.mnn", graph.label, SourceOptions())
        by_name = {spec.name: spec for spec in graph.inputs()}
        missing = [name for name in self._input_names if name not in by_name]
        if missing or len(by_name) != len(self._input_names):
            raise PReLUToolsError(
                f"MNN's converter turns the inputs {', '.join(by_name)} of {graph.label} into "
                f"{', '.join(self._input_names)}"
            )
        self._specs = tuple(by_name[name] for name in self._input_names)
