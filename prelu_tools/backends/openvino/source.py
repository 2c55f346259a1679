"""An OpenVINO model as a source: `net.xml` with `net.bin` beside it, or an ONNX file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from prelu_tools.backends.inputs import TensorSpec, one_size_a_name
from prelu_tools.backends.interface import OnnxGraph
from prelu_tools.backends.openvino.graph import Translated, translated
from prelu_tools.backends.openvino.ir import Tensor, read_ir
from prelu_tools.backends.openvino.running import Alone, Compiled
from prelu_tools.backends.runtimes.converting import Workshop, run_converter
from prelu_tools.backends.runtimes.source import Loaded, RuntimeSource
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, UsageError
from prelu_tools.core.options import Dim, SourceOptions, example_sizes
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.results.verification import ProviderReport
from prelu_tools.core.versions import installed_version

_CONVERT = (
    "import sys, openvino as ov; "
    "ov.save_model(ov.Core().read_model(sys.argv[1]), sys.argv[2], compress_to_fp16=False)"
)


class OpenVinoSource(RuntimeSource):
    """Read from the two files themselves; run by OpenVINO on the CPU in float32."""

    framework = "openvino"

    def __init__(self, path: Path, weights: Path, spelled: str, options: SourceOptions) -> None:
        """Read the files.

        Raises:
            PReLUToolsError: they are not OpenVINO's.
        """
        self._path = path
        self._read: Translated = translated(read_ir(path), path, weights)
        specs = _specs(self._read.inputs, options)
        super().__init__(spelled, self._read.model, specs)
        self._outputs = [value.name for value in self.model.proto.graph.output]

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

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`."""
        inputs = [name for name, _ in self._read.inputs]
        known = {*inputs, *self._outputs}
        wanted = [name for name in dict.fromkeys(names) if name not in known]
        compiled = Compiled(self._path, self.spelled, [self._read.ports[name] for name in wanted])
        fed = dict(zip(inputs, (spec.name for spec in self._specs), strict=True))
        yield _Loaded(compiled, fed, self._outputs, wanted)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the layers between its input and its output alone."""
        match = self.call(layer)
        ports = self._read.ports
        x, y = ports[match.x], ports[match.node.output[0]]
        order = match.order

        def run(values: Array) -> Array:
            alone = Alone(self._path, x, y, values.ndim, f"{layer} alone")
            found = alone.run(values.astype(np.float32))
            with np.errstate(over="ignore", under="ignore"):
                found = found.astype(values.dtype)
            return found if order is None else found.transpose(inverse(order))

        return run


class ConvertedOpenVino(OpenVinoSource):
    """What OpenVINO makes of an ONNX file."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Convert it.

        Raises:
            PReLUToolsError: OpenVINO is not installed, or refuses the file.
        """
        if find_spec("openvino") is None:
            raise MissingExtraError("openvino", "openvino", f"to convert {graph.spelled}")
        self._workshop = Workshop()
        folder = self._workshop.path
        (folder / "net.onnx").write_bytes(graph.model.inlined().SerializeToString())
        command = [sys.executable, "-c", _CONVERT, "net.onnx", "net.xml"]
        run_converter(command, folder, "OpenVINO", graph.spelled)
        super().__init__(folder / "net.xml", folder / "net.bin", graph.spelled, SourceOptions())
        by_name = {spec.name: spec for spec in graph.inputs()}
        self._specs = tuple(by_name[spec.name] for spec in self._specs)


class _Loaded:
    """A compiled model that is fed and asked by name."""

    def __init__(
        self,
        compiled: Compiled,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        names: Sequence[str],
    ) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self._names = names

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        named = {tensor: feeds[name] for tensor, name in self._inputs.items()}
        found = self._compiled.run(list(named.values()))
        n_outputs = len(self._outputs)
        outputs = dict(zip(self._outputs, found[:n_outputs], strict=True))
        inside = dict(zip(self._names, found[n_outputs:], strict=True))
        return outputs, {**named, **outputs, **inside}


def _specs(inputs: Sequence[tuple[str, Tensor]], options: SourceOptions) -> list[TensorSpec]:
    given = {option.name: option.shape for option in options.inputs}
    specs = []
    for name, tensor in inputs:
        sizes: list[Dim] = [
            (f"{name}_dim_{axis}" if axis else "batch") if size is None else size
            for axis, size in enumerate(tensor.shape)
        ]
        shape = given.get(name, sizes)
        if len(shape) != len(sizes):
            raise UsageError(
                f"--input {name} has {len(shape)} dimensions; the model's has {len(sizes)}"
            )
        specs.append(TensorSpec(name, tensor.dtype, tuple(sizes), example_sizes(shape)))
    return one_size_a_name(specs)
