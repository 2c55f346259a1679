"""An MNN model as a source: `net.mnn`, or what MNN's converter makes of ONNX."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from prelu_tools.backends.inputs import TensorSpec, one_size_a_name
from prelu_tools.backends.interface import OnnxGraph
from prelu_tools.backends.mnn.graph import input_of, translated
from prelu_tools.backends.mnn.schema import MnnModel, packed_tensors, read_mnn
from prelu_tools.backends.runtimes.converting import Workshop, last_words, run_converter
from prelu_tools.backends.runtimes.hosting import Hosted, host_of
from prelu_tools.backends.runtimes.source import Loaded, RuntimeSource
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, SourceOptions, example_sizes
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.core.results.reasons import Reason
from prelu_tools.core.results.verification import ProviderReport
from prelu_tools.core.versions import installed_version
from prelu_tools.graph.view import all_views

# `_tools` is MNN's converter. Never MNN.tools: importing that installs a package for telemetry.
_CONVERT = (
    "import _tools; _tools.mnnconvert(['', '-f', 'ONNX', '--modelFile', 'net.onnx', '--MNNModel', "
    "'net.mnn', '--bizCode', 'prelu-tools', '--alignDenormalizedValue', '0'])"
)


class MnnSource(RuntimeSource):
    """Read from the file itself; run by MNN on the CPU in float32, in a process of its own."""

    framework = "mnn"

    def __init__(self, path: Path, spelled: str, options: SourceOptions) -> None:
        """Read the file.

        Raises:
            PReLUToolsError: it is not an MNN model, or was made from TensorFlow.
        """
        self._path, self._options = path, options
        self._file: MnnModel = read_mnn(path)
        self._made = {
            self._file.tensors[number]
            for operator in self._file.operators
            for number in operator.outputs
            if operator.kind not in ("Const", "TrainableParam")
        }
        self._input_names = [
            self._file.tensors[operator.outputs[0]]
            for operator in self._file.operators
            if operator.kind == "Input" and operator.outputs
        ]
        super().__init__(spelled, translated(self._file), self._specs_of_file())

    @property
    def notes(self) -> tuple[str, ...]:
        """Whether it is quantized."""
        if "int8" not in self._narrow:
            return ()
        return (Reason("its weights are quantized to 8 bits or fewer", "quantized"),)

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

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`: tensors that are wanted become outputs."""
        self._refuse_quantized()
        outputs = list(self._file.outputs)
        known = {*self._input_names, *outputs}
        wanted = [name for name in dict.fromkeys(names) if name not in known]
        module = self._load(self._input_names, [*outputs, *wanted], self.spelled)
        fed = dict(zip(self._input_names, (s.name for s in self.inputs()), strict=True))
        yield _Loaded(module, fed, outputs, wanted)

    def activation(self, layer: str) -> Callable[[Array], Array]:
        """See `Source.activation`: the operators between its input and its output alone."""
        self._refuse_quantized()
        match = self.call(layer)
        is_packed = match.x in packed_tensors(self._file)
        module = self._load([match.x], [match.node.output[0]], f"{layer} alone", is_packed)
        order = match.order

        def run(values: Array) -> Array:
            (found,) = module.run([values.astype(np.float32)])
            with np.errstate(over="ignore", under="ignore"):
                found = found.astype(values.dtype)
            return found if order is None else found.transpose(inverse(order))

        return run

    def _load(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        spelled: str,
        is_packed: bool = False,
    ) -> Hosted:
        if find_spec("MNN") is None:
            raise MissingExtraError("MNN", "mnn", f"to run {self.spelled}")
        host = host_of("MNN", "prelu_tools.backends.mnn.running")
        wanted = {"inputs": list(inputs), "outputs": list(outputs), "is_packed": is_packed}
        return host.load({"path": str(self._path), **wanted}, spelled)

    def _refuse_quantized(self) -> None:
        if "int8" in self._narrow:
            raise PReLUToolsError(
                "its weights are quantized to 8 bits or fewer, which changes a model by far more "
                "than rounding does: verify compares float models only; compare its slopes with "
                "prelu-tools inspect"
            )

    def _specs_of_file(self) -> list[TensorSpec]:
        given = {option.name: option.shape for option in self._options.inputs}
        specs = []
        for operator in self._file.operators:
            if operator.kind != "Input" or not operator.outputs:
                continue
            name = self._file.tensors[operator.outputs[0]]
            kind, shape = input_of(operator)
            sizes: list[Dim] = [
                (f"{name}_dim_{axis}" if axis else "batch") if size is None else size
                for axis, size in enumerate(shape)
            ]
            wanted = given.get(name, sizes)
            if len(wanted) != len(sizes):
                raise UsageError(
                    f"--input {name} has {len(wanted)} dimensions; the model's has {len(sizes)}"
                )
            specs.append(TensorSpec(name, kind, tuple(sizes), example_sizes(wanted)))
        return one_size_a_name(specs)


class ConvertedMnn(MnnSource):
    """What MNN's converter makes of an ONNX file."""

    def __init__(self, graph: OnnxGraph) -> None:
        """Convert it.

        Raises:
            PReLUToolsError: MNN is not installed, or its converter fails.
        """
        if find_spec("MNN") is None:
            raise MissingExtraError("MNN", "mnn", f"to convert {graph.spelled}")
        self._workshop = Workshop()
        folder = self._workshop.path
        (folder / "net.onnx").write_bytes(graph.model.inlined().SerializeToString())
        said = run_converter([sys.executable, "-c", _CONVERT], folder, "MNN", graph.spelled)
        if not (folder / "net.mnn").exists():
            raise PReLUToolsError(f"MNN cannot convert {graph.spelled}: {last_words(said)}")
        super().__init__(folder / "net.mnn", graph.spelled, SourceOptions())
        by_name = {spec.name: spec for spec in graph.inputs()}
        missing = [name for name in self._input_names if name not in by_name]
        if missing or len(by_name) != len(self._input_names):
            raise PReLUToolsError(
                f"MNN's converter makes the inputs {', '.join(self._input_names)} of "
                f"{', '.join(by_name)} of {graph.spelled}"
            )
        self._specs = tuple(by_name[name] for name in self._input_names)
        view = next(iter(all_views(graph.model)))
        self._shapes = {name: view.shape(name) for name in self._file.outputs}
        self._added: dict[str, tuple[int, int]] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What it is, and which axes of its outputs were dropped as it ran."""
        dropped = (
            Reason(
                f"output {name!r} has {found} axes where the ONNX file has {expected}, since MNN's "
                "converter writes 1-D operators as 2-D ones: the axes of size 1 at its end are "
                "dropped",
                "axes_dropped",
            )
            for name, (found, expected) in self._added.items()
        )
        return (*super().notes, *dropped)

    @contextmanager
    def loaded(self, names: Sequence[str]) -> Iterator[Loaded]:
        """See `RuntimeSource.loaded`: outputs have as many axes as in the ONNX file."""
        with super().loaded(names) as found:
            yield _AsInOnnx(found, self._without_added)

    def _without_added(self, name: str, values: Array) -> Array:
        shape = self._shapes.get(name)
        rank = values.ndim if shape is None else len(shape)
        if values.ndim <= rank or any(size != 1 for size in values.shape[rank:]):
            return values
        self._added[name] = values.ndim, rank
        return values.reshape(values.shape[:rank])


class _AsInOnnx:
    """A loaded module whose outputs are laid as in the file that it was converted from."""

    def __init__(self, module: Loaded, laid: Callable[[str, Array], Array]) -> None:
        self._module = module
        self._laid = laid

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        outputs, inside = self._module.run(feeds)
        return {name: self._laid(name, values) for name, values in outputs.items()}, inside


class _Loaded:
    """A module that is fed and asked by name."""

    def __init__(
        self,
        module: Hosted,
        inputs: Mapping[str, str],
        outputs: Sequence[str],
        names: Sequence[str],
    ) -> None:
        self._module = module
        self._inputs = inputs
        self._outputs = outputs
        self._names = names

    def run(self, feeds: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
        """See `Loaded.run`."""
        named = {tensor: feeds[name] for tensor, name in self._inputs.items()}
        found = self._module.run(list(named.values()))
        n_outputs = len(self._outputs)
        outputs = dict(zip(self._outputs, found[:n_outputs], strict=True))
        inside = dict(zip(self._names, found[n_outputs:], strict=True))
        return outputs, {**named, **outputs, **inside}
