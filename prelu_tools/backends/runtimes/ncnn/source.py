"""An ncnn model as a source: `net.param` with `net.bin` next to it, or ONNX that pnnx converts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from prelu_tools.backends.protocol.inputs import TensorSpec, stated_spec
from prelu_tools.backends.protocol.interface import OnnxGraph
from prelu_tools.backends.runtimes.converting import Workshop, last_words, program, run_converter
from prelu_tools.backends.runtimes.hosted import HostedSource
from prelu_tools.backends.runtimes.hosting import Engine
from prelu_tools.backends.runtimes.ncnn.graph import translated
from prelu_tools.backends.runtimes.ncnn.param import Layer, dims_of, read_files
from prelu_tools.backends.runtimes.source import weights_beside
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError, UsageError
from prelu_tools.core.options import InputOption, SourceOptions
from prelu_tools.core.prelu.slopes import Shape
from prelu_tools.core.process.versions import installed_version
from prelu_tools.core.results.verification.candidate import ProviderReport
from prelu_tools.graph.facts.tensors import Maker

_SHORT = {"float32": "f32", "float16": "f16", "float64": "f64", "int64": "i64", "int32": "i32",
          "bool": "u8", "uint8": "u8"}  # fmt: skip
_FEW_DIGITS = (7, 8)  # digits: %e rounds, and 9 digits keep every bit of a float32

Sizes = tuple[tuple[int, ...], ...]
"""The sizes of each input, except the batch."""


class NcnnSource(HostedSource):
    """Read from the two files themselves; run by ncnn in float32, one sample at a time."""

    framework = called = package = "ncnn"

    def __init__(self, param: Path, label: str, options: SourceOptions) -> None:
        """Read the files.

        Raises:
            PReLUToolsError: they cannot be read, or are not ncnn's.
        """
        weights = weights_beside(param)
        self._param, self._weights, self._options = param, weights, options
        self._layers = read_files(param, weights)
        self._input_names = [
            blob for layer in self._layers if layer.kind == "Input" for blob in layer.tops
        ]
        shapes = {name: self._shape(name) for name in self._input_names}
        super().__init__(label, translated(self._layers, param, weights, shapes), ())
        self._outputs = {value.name: value.name for value in self.model.proto.graph.output}

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`; blobs have no axis for the batch, which is added.

        Raises:
            UsageError: their sizes are in no file.
        """
        given = {option.name: option for option in self._options.inputs}
        return [self._spec(name, given.get(name)) for name in self._input_names]

    def _spec(self, name: str, given: InputOption | None) -> TensorSpec:
        shape = self._shape(name)
        if given is None and shape is None:
            given = self._of_other(name)
        if given is not None:
            return stated_spec(name, given.dtype, given.shape, None)
        if shape is None:
            raise UsageError(
                f"{self.label} does not state the sizes of its input {name}: give them with "
                f"--input {name}:batch,3,112,112"
            )
        return TensorSpec(name, "float32", ("batch", *(s or 1 for s in shape)),
                          (1, *(s or 1 for s in shape)), is_assumed=True)  # fmt: skip

    def _of_other(self, name: str) -> InputOption | None:
        """The same input of the model that it is compared with, if there is one; by its place."""
        other = self._options.other() if self._options.other is not None else None
        if other is None or len(other.inputs) != len(self._input_names):
            return None
        return other.inputs[self._input_names.index(name)]

    def _shape(self, name: str) -> Shape | None:
        """The sizes of an input without the batch, from the file or from the user."""
        given = {option.name: option.shape for option in self._options.inputs}
        if name in given:
            return tuple(size if isinstance(size, int) else None for size in given[name][1:])
        layer = next(item for item in self._layers if name in item.tops)
        return dims_of(layer) or None

    @property
    def computes_in(self) -> str | None:
        """`float16` where weights were rounded to that."""
        kinds = {weights.dtype for layer in self._layers for weights in layer.weights}
        return "float16" if "float16" in kinds else None

    @property
    def runtime(self) -> ProviderReport:
        """See `Source.runtime`."""
        made = f", by pnnx {installed_version('pnnx')}" if isinstance(self, ConvertedNcnn) else ""
        return ProviderReport(
            "ncnn", (f"ncnn {installed_version('ncnn')}, float32, no Winograd{made}",), ()
        )

    def shows(self, tensor: str) -> bool:
        """See `RuntimeSource.shows`: its blobs."""
        return any(tensor in layer.tops for layer in self._layers)

    def makers(self) -> dict[str, Maker]:
        """See `Searchable.makers`: a `.param` is a text, and older converters write 7 digits."""
        found = super().makers()
        for layer in self._layers:
            digits = layer.digits(0 if layer.kind == "ReLU" else 10)
            for blob in layer.tops if digits in _FEW_DIGITS else ():
                found[blob] = replace(found[blob], digits=digits)
        return found

    def output_tensors(self) -> Mapping[str, str]:
        """See `HostedSource.output_tensors`."""
        return self._outputs

    def whole(self, outputs: Sequence[str]) -> Engine:
        """See `HostedSource.whole`."""
        return self._of_files(self._param, self._weights, outputs)

    def _of_files(self, param: Path, weights: Path, outputs: Sequence[str]) -> Engine:
        return self._load(param, weights, self._input_names, outputs, self.label)

    def alone(self, x: str, y: str, label: str) -> Engine:
        """See `HostedSource.alone`."""
        makers = {blob: layer for layer in self._layers for blob in layer.tops}
        while makers[x].kind == "Split":  # others may read another of its results
            (x,) = makers[x].bottoms
        chosen = self._between(x, y)
        blobs = {blob for item in chosen for blob in (*item.bottoms, *item.tops)} | {x}
        lines = [f"Input {x} 0 1 {x}", *(item.line for item in chosen)]
        workshop = Workshop()
        param, weights = (workshop.path / f"alone.{end}" for end in ("param", "bin"))
        header = ["7767517", f"{len(lines)} {len(blobs)}"]
        param.write_text("\n".join([*header, *lines, ""]), encoding="utf-8")
        weights.write_bytes(self._weights_of(chosen))
        return self._load(param, weights, [x], [y], label, workshop)

    def _load(
        self,
        param: Path,
        weights: Path,
        inputs: Sequence[str],
        outputs: Sequence[str],
        label: str,
        keeps: Workshop | None = None,
    ) -> Engine:
        files = {"param": str(param), "weights": str(weights)}
        wanted = {"inputs": list(inputs), "outputs": list(outputs)}
        return self.demand(self.label).load({**files, **wanted}, label, keeps)

    def _between(self, x: str, y: str) -> list[Layer]:
        makers = {blob: layer for layer in self._layers for blob in layer.tops}
        wanted, found = [y], {}
        while wanted:
            blob = wanted.pop()
            layer = makers[blob]
            if blob != x and layer.name not in found:
                found[layer.name] = layer
                wanted += layer.bottoms
        return [layer for layer in self._layers if layer.name in found]

    def _weights_of(self, layers: Sequence[Layer]) -> bytes:
        with self._weights.open("rb") as file:
            parts = []
            for start, end in (weights.span for layer in layers for weights in layer.weights):
                file.seek(start)
                parts.append(file.read(end - start))
        return b"".join(parts)


class ConvertedNcnn(NcnnSource):
    """What pnnx makes of an ONNX file, at the sizes of its example inputs, in float32."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Convert it.

        Raises:
            PReLUToolsError: pnnx is not installed, or fails.
        """
        self._graph = graph
        self._workshop = Workshop()
        self._specs_of_graph = list(graph.inputs())
        folder = self._workshop.path
        given = [
            InputOption(f"in{number}", spec.shape, spec.dtype)
            for number, spec in enumerate(self._specs_of_graph)
        ]
        self._convert(folder, [spec.example for spec in self._specs_of_graph])
        options = SourceOptions(inputs=tuple(given))
        super().__init__(folder / "net.ncnn.param", graph.label, options)
        names = [value.name for value in graph.model.proto.graph.output]
        found = sorted(self._outputs, key=lambda blob: int(blob.removeprefix("out") or 0))
        if len(found) != len(names) or len(self._input_names) != len(given):
            raise PReLUToolsError(
                f"pnnx converts {len(given)} inputs and {len(names)} outputs of {graph.label} to "
                f"{len(self._input_names)} and {len(found)}"
            )
        self._outputs = dict(zip(names, found, strict=True))

    def inputs(self) -> Sequence[TensorSpec]:
        """Those of the ONNX file."""
        return self._specs_of_graph

    def whole(self, outputs: Sequence[str]) -> Engine:
        """See `HostedSource.whole`: converted anew for inputs of other sizes.

        pnnx may write sizes into a model as constants.
        """
        return _OfAnySize(lambda sizes: self._of_sizes(sizes, outputs))

    def _of_sizes(self, sizes: Sizes, outputs: Sequence[str]) -> Engine:
        if sizes == tuple(spec.example[1:] for spec in self._specs_of_graph):
            return super().whole(outputs)
        folder = self._workshop.path / "x".join(str(size) for one in sizes for size in (*one, "_"))
        if not folder.exists():
            folder.mkdir()
            self._convert(folder, [(1, *one) for one in sizes])
        return self._of_files(folder / "net.ncnn.param", folder / "net.ncnn.bin", outputs)

    def _convert(self, folder: Path, sizes: Sequence[Sequence[int]]) -> None:
        label = self._graph.label
        command = program("pnnx", sys.executable)
        if command is None:
            raise MissingExtraError("pnnx", "ncnn", f"to convert {label} for ncnn")
        (folder / "net.onnx").write_bytes(self._graph.model.inlined().SerializeToString())
        shapes = ",".join(
            f"[{','.join(map(str, one))}]{_SHORT.get(spec.dtype, spec.dtype)}"
            for spec, one in zip(self._specs_of_graph, sizes, strict=True)
        )
        said = run_converter(
            [command, "net.onnx", f"inputshape={shapes}", "fp16=0"], folder, "pnnx", label
        )
        if not (folder / "net.ncnn.param").exists():
            raise PReLUToolsError(f"pnnx cannot convert {label}: {last_words(said)}")


class _OfAnySize:
    """Runs what was converted for the sizes of the inputs."""

    def __init__(self, of_sizes: Callable[[Sizes], Engine]) -> None:
        self._of_sizes = cache(of_sizes)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See `Engine.run`."""
        return self._of_sizes(tuple(values.shape[1:] for values in inputs)).run(inputs)
