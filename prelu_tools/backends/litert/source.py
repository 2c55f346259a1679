"""A `.tflite` file as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from prelu_tools.backends.inputs import TensorSpec, one_size_a_name
from prelu_tools.backends.litert.edit import alone, with_outputs
from prelu_tools.backends.litert.graph import Translated, translated
from prelu_tools.backends.litert.running import Kernels, demand_interpreter, runtime_version
from prelu_tools.backends.litert.schema import TfliteModel, read_tflite
from prelu_tools.backends.runtimes.converting import Workshop
from prelu_tools.backends.runtimes.hosting import Hosted, host_of
from prelu_tools.backends.runtimes.source import Loaded, RuntimeSource
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, SourceOptions, example_sizes
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification import ProviderReport

NAMES: Mapping[Kernels, str] = {"xnnpack": "litert", "builtin": "litert-builtin"}
"""What the ways of running it are called."""


class LiteRTSource(RuntimeSource):
    """Read from the file itself; run by LiteRT, with XNNPACK's kernels or its own."""

    framework = "tflite"

    def __init__(
        self, path: Path, spelled: str, options: SourceOptions, kernels: Kernels = "xnnpack"
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
        super().__init__(spelled, self._graph.model, self._inputs())

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether it is quantized, and whether it has parts that are not looked into."""
        notes = []
        if self._quantized():
            notes.append(
                Reason(
                    f"it is quantized ({', '.join(self._quantized())}): slopes are shown as the "
                    "real values that their integers stand for",
                    "quantized",
                )
            )
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
        other = LiteRTSource(self.path, self.spelled, self.options, "builtin")
        return (self, other)

    def shows(self, tensor: str) -> bool:
        """See `RuntimeSource.shows`."""
        return tensor in self._numbers

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`: tensors that are wanted become outputs."""
        self._refuse_quantized()
        wanted = self.numbers_of(names)
        added = [number for number in dict.fromkeys(wanted) if number not in self._file.outputs]
        outputs = list(dict.fromkeys([*self.output_names().values(), *wanted]))
        content = with_outputs(self._file, added)
        yield _Loaded(self, self._load(content, self._file.inputs, outputs, self.spelled), outputs)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the layer's operators as a model of their own."""
        self._refuse_quantized()
        match = self.call(layer)
        x, y = self._numbers[match.x], self._numbers[match.node.output[0]]
        engine = self._load(alone(self._file, x, y), [x], [y], f"{layer} alone")
        kind = np.dtype(self._file.tensors[x].dtype)
        order = match.order

        def run(values: Array) -> Array:
            (found,) = engine.run([values.astype(kind)])
            found = found if order is None else found.transpose(np.argsort(order))
            with np.errstate(over="ignore", under="ignore"):
                return found.astype(values.dtype)

        return run

    def _load(
        self, content: bytes, inputs: Sequence[int], outputs: Sequence[int], spelled: str
    ) -> Hosted:
        demand_interpreter(self.spelled)
        workshop = Workshop()
        path = workshop.path / "net.tflite"
        path.write_bytes(content)
        given = {"path": str(path), "kernels": self._kernels}
        wanted = {"inputs": list(inputs), "outputs": list(outputs)}
        host = host_of("LiteRT", "prelu_tools.backends.litert.running")
        return host.load({**given, **wanted}, spelled, keeps=workshop)

    def specs_by_number(self) -> dict[str, int]:
        """The tensor of the file of each input."""
        return dict(zip((spec.name for spec in self._specs), self._file.inputs, strict=True))

    def output_names(self) -> dict[str, int]:
        """The tensor of the file of each output."""
        return {self._name(number): number for number in self._file.outputs}

    def found(self, values: Mapping[int, Array], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Values by the names of the graph, inputs included."""
        names = self._graph.names
        inputs = {names[n]: feeds[name] for name, n in self.specs_by_number().items()}
        return {**inputs, **{names[number]: array for number, array in values.items()}}

    def numbers_of(self, names: Sequence[str]) -> list[int]:
        """The tensors of the file of these names, but for inputs."""
        found = [self._numbers[name] for name in names]
        return [number for number in found if number not in self._file.inputs]

    def _name(self, number: int) -> str:
        return self._file.names.get(number) or self._graph.names[number]

    def _inputs(self) -> list[TensorSpec]:
        given = {option.name: option.shape for option in self.options.inputs}
        specs = []
        for number in self._file.inputs:
            tensor, name = self._file.tensors[number], self._name(number)
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

    def _quantized(self) -> list[str]:
        return sorted({t.dtype for t in self._file.tensors if t.quantization is not None})

    def _refuse_quantized(self) -> None:
        kinds = self._quantized()
        if kinds:
            raise PReLUToolsError(
                f"it is quantized ({', '.join(kinds)}), which changes a model by far more than "
                "rounding does: verify compares float models only; compare its slopes with "
                "prelu-tools inspect"
            )


class _Loaded:
    """An interpreter that is fed and asked by name."""

    def __init__(self, source: LiteRTSource, engine: Hosted, numbers: Sequence[int]) -> None:
        self._source = source
        self._engine = engine
        self._numbers = numbers

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        fed = [feeds[name] for name in self._source.specs_by_number()]
        found = dict(zip(self._numbers, self._engine.run(fed), strict=True))
        outputs = {name: found[number] for name, number in self._source.output_names().items()}
        return outputs, self._source.found(found, feeds)
