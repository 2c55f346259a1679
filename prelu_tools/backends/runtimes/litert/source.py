"""A `.tflite` file as a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prelu_tools.backends.runtimes.converting import Workshop
from prelu_tools.backends.runtimes.hosted import HostedSource, specs_of
from prelu_tools.backends.runtimes.hosting import Engine
from prelu_tools.backends.runtimes.litert.edit import alone, with_outputs
from prelu_tools.backends.runtimes.litert.graph import Translated, translated
from prelu_tools.backends.runtimes.litert.running import Kernels, is_installed, runtime_version
from prelu_tools.backends.runtimes.litert.schema import TfliteModel, read_tflite
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification.candidate import ProviderReport

NAMES: Mapping[Kernels, str] = {"xnnpack": "litert", "builtin": "litert-builtin"}
"""What the ways of running it are called."""


class LiteRTSource(HostedSource):
    """Read from the file itself; run by LiteRT, with XNNPACK's kernels or its own."""

    framework = "tflite"
    called, package = "LiteRT", "ai_edge_litert"

    def __init__(
        self, path: Path, label: str, options: SourceOptions, kernels: Kernels = "xnnpack"
    ) -> None:
        """Read the file.

        Raises:
            PReLUToolsError: it is no TensorFlow Lite model.
        """
        self.path = path
        self.options = options
        self._kernels = kernels
        self._file: TfliteModel = read_tflite(path)
        self._graph: Translated = translated(self._file)
        self._numbers = self._graph.numbers()
        tensors = [(number, self._file.tensors[number]) for number in self._file.inputs]
        inputs = [(self._name(number), tensor.dtype, tensor.shape) for number, tensor in tensors]
        super().__init__(label, self._graph.model, specs_of(inputs, options))

    @property
    def quantized(self) -> str | None:
        """See `HostedSource.quantized`: by the types of its tensors."""
        kinds = sorted({t.dtype for t in self._file.tensors if t.quantization is not None})
        return f"it is quantized ({', '.join(kinds)})" if kinds else None

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether it is quantized, and whether it has parts that are not looked into."""
        notes = []
        if self.quantized is not None:
            shown = "slopes are shown as the real values that their integers stand for"
            notes.append(Reason(f"{self.quantized}: {shown}", "quantized"))
        if self._file.n_subgraphs > 1:
            notes.append(
                Reason(
                    f"it has {self._file.n_subgraphs} subgraphs: PReLU is not searched for in the "
                    "bodies of WHILE, IF and the like",
                    "subgraphs_not_read",
                )
            )
        return tuple(notes)

    @property
    def computes_in(self) -> str | None:
        """`float16` where its weights were rounded to that."""
        narrow = [t for t in self._file.tensors if t.dtype == "float16" and t.place is not None]
        return "float16" if narrow else None

    @property
    def runtime(self) -> ProviderReport:
        """See `Source.runtime`."""
        kernels = "XNNPACK" if self._kernels == "xnnpack" else "built-in kernels"
        return ProviderReport(NAMES[self._kernels], (f"{runtime_version()}, {kernels}",), ())

    def ways(self) -> tuple[LiteRTSource, ...]:
        """See `Source.ways`: with XNNPACK, as an app runs it by default, and without."""
        other = LiteRTSource(self.path, self.label, self.options, "builtin")
        return (self, other)

    def shows(self, tensor: str) -> bool:
        """See `RuntimeSource.shows`."""
        return tensor in self._numbers

    @classmethod
    def is_installed(cls) -> bool:
        """See `HostedSource.is_installed`."""
        return is_installed()

    def output_tensors(self) -> Mapping[str, str]:
        """See `HostedSource.output_tensors`."""
        return {self._name(number): self._graph.names[number] for number in self._file.outputs}

    def whole(self, outputs: Sequence[str]) -> Engine:
        """See `HostedSource.whole`: tensors that are wanted become outputs of a copy."""
        numbers = [self._numbers[name] for name in outputs]
        added = [number for number in numbers if number not in self._file.outputs]
        content = with_outputs(self._file, added)
        return self._load(content, self._file.inputs, numbers, self.label)

    def alone(self, x: str, y: str, label: str) -> Engine:
        """See `HostedSource.alone`."""
        before, after = self._numbers[x], self._numbers[y]
        return self._load(alone(self._file, before, after), [before], [after], label)

    def _load(
        self, content: bytes, inputs: Sequence[int], outputs: Sequence[int], label: str
    ) -> Engine:
        host = self.host()
        workshop = Workshop()
        path = workshop.path / "net.tflite"
        path.write_bytes(content)
        given = {"path": str(path), "kernels": self._kernels}
        wanted = {"inputs": list(inputs), "outputs": list(outputs)}
        return host.load({**given, **wanted}, label, keeps=workshop)

    def _name(self, number: int) -> str:
        return self._file.names.get(number) or self._graph.names[number]
