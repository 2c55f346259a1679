"""An OpenVINO model as a source: `net.xml` with `net.bin` next to it, or an ONNX file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.runtimes.converting import Workshop, run_converter
from prelu_tools.backends.runtimes.hosted import HostedSource, specs_of
from prelu_tools.backends.runtimes.hosting import Engine
from prelu_tools.backends.runtimes.openvino.graph import Translated, translated
from prelu_tools.backends.runtimes.openvino.ir import read_ir
from prelu_tools.backends.runtimes.openvino.running import Place
from prelu_tools.backends.runtimes.source import weights_beside
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.verification.candidate import ProviderReport

_CONVERT = (
    "import sys, openvino as ov; "
    "ov.save_model(ov.Core().read_model(sys.argv[1]), sys.argv[2], compress_to_fp16=False)"
)


class OpenVinoSource(HostedSource):
    """Read from the two files themselves; run by OpenVINO on the CPU in float32."""

    framework = package = "openvino"
    called = "OpenVINO"

    def __init__(self, path: Path, label: str, options: SourceOptions) -> None:
        """Read the files.

        Raises:
            PReLUToolsError: they cannot be read, or are not OpenVINO's.
        """
        self._path = path
        self._read: Translated = translated(read_ir(path), path, weights_beside(path))
        specs = specs_of([(n, t.dtype, t.shape) for n, t in self._read.inputs], options)
        super().__init__(label, self._read.model, specs)

    @property
    def computes_in(self) -> str | None:
        """`float16` where weights were rounded to that."""
        kinds = {tensor.data_type for tensor in self.model.proto.graph.initializer}
        return "float16" if 10 in kinds else None  # TensorProto.FLOAT16

    @property
    def runtime(self) -> ProviderReport:
        """See `Source.runtime`."""
        version = installed_version("openvino")
        return ProviderReport("openvino", (f"OpenVINO {version} on the CPU, float32",), ())

    def shows(self, tensor: str) -> bool:
        """See `RuntimeSource.shows`."""
        return tensor in self._read.ports

    def whole(self, outputs: Sequence[str]) -> Engine:
        """See `HostedSource.whole`: OpenVINO gives the model's own outputs first by itself."""
        return self._load(None, outputs[len(self.output_tensors()) :], self.label)

    def alone(self, x: str, y: str, label: str) -> Engine:
        """See `HostedSource.alone`."""
        return self._load(self._read.ports[x], [y], label)

    def _load(self, x: Place | None, tensors: Sequence[str], label: str) -> Engine:
        outputs = [self._read.ports[tensor] for tensor in tensors]
        wanted = {"path": str(self._path), "x": x, "outputs": outputs}
        return self.demand(self.label).load(wanted, label)


class ConvertedOpenVino(OpenVinoSource):
    """What OpenVINO makes of an ONNX file."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Convert it.

        Raises:
            PReLUToolsError: OpenVINO is not installed, or refuses the file.
        """
        self.demand(graph.label, "convert")
        self._workshop = Workshop()
        folder = self._workshop.path
        (folder / "net.onnx").write_bytes(graph.model.inlined().SerializeToString())
        command = [sys.executable, "-c", _CONVERT, "net.onnx", "net.xml"]
        run_converter(command, folder, "OpenVINO", graph.label)
        super().__init__(folder / "net.xml", graph.label, SourceOptions())
        by_name = {spec.name: spec for spec in graph.inputs()}
        self._specs = tuple(by_name[spec.name] for spec in self._specs)
