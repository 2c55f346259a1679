"""ONNX files, run by onnxruntime on the execution provider that was asked for."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from prelu_tools.backends.interface import Reach, Runner, Source, TensorSpec
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import Dim, SourceOptions
from prelu_tools.core.slopes import PReLULayer
from prelu_tools.graph.layers import read_layers
from prelu_tools.graph.reader import OnnxModel, read_model
from prelu_tools.graph.view import GraphView

if TYPE_CHECKING:
    from prelu_tools.core.results import ProviderReport

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_ADVICE = {
    "cuda": "pip install onnxruntime-gpu (in place of onnxruntime), and a CUDA that it can load",
    "tensorrt": "pip install onnxruntime-gpu (in place of onnxruntime), and TensorRT",
    "openvino": "pip install onnxruntime-openvino (in place of onnxruntime)",
}
# TF32 keeps 10 bits of mantissa: agreement to 1e-3 only (onnxruntime#19288).
_OPTIONS: Mapping[str, Mapping[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}
_EXAMPLE = 48  # size of a free dimension other than the batch


def from_file(path: Path, spelled: str, options: SourceOptions) -> Source:
    """Read the skeleton of an ONNX file; nothing is run yet.

    Raises:
        PReLUToolsError: it cannot be read, or is not ONNX.
    """
    return OnnxSource(path, read_model(path), spelled, options)


def from_object(
    model: object, spelled: str, weights: Path | None, options: SourceOptions
) -> Source:
    """No live object is an ONNX source yet.

    Raises:
        UsageError: always.
    """
    raise UsageError(f"{spelled} is a {type(model).__name__}: expected a path to an .onnx file")


class OnnxSource:
    """An ONNX file."""

    framework = "onnx"

    def __init__(self, path: Path, model: OnnxModel, spelled: str, options: SourceOptions) -> None:
        """Take a model that was read."""
        self.spelled = spelled
        self.path = path
        self.model = model
        proto = model.proto
        self.producer = f"{proto.producer_name} {proto.producer_version}".strip()
        self.opset = model.opset
        self._view = GraphView(model)
        self._options = options

    @property
    def n_parameters(self) -> int:
        """Elements of all initializers of floating type."""
        floating = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE,
                    onnx.TensorProto.BFLOAT16)  # fmt: skip
        tensors = [t for t in self._view.graph.initializer if t.data_type in floating]
        return sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in tensors)

    def inputs(self) -> Sequence[TensorSpec]:
        """See `Source.inputs`: from the graph; `--input` gives sizes to what is dynamic."""
        given = {option.name: option.shape for option in self._options.inputs}
        values = [v for v in self._view.graph.input if v.name in self._view.inputs]
        return [_spec(value, given.get(value.name)) for value in values]

    def layers(self) -> tuple[PReLULayer, ...]:
        """See `Source.layers`."""
        return read_layers(self._view.model)

    def runner(self, reach: Reach) -> AbstractContextManager[Runner]:
        """See `Source.runner`: on the CPU; what its slopes meet is not seen."""
        return self._running()

    @contextmanager
    def _running(self) -> Iterator[Runner]:
        yield OrtRunner(self.path, "cpu", self.spelled)


class OrtRunner:
    """An onnxruntime session on one execution provider."""

    def __init__(self, path: Path, provider: str, spelled: str) -> None:
        """Load the model.

        Raises:
            PReLUToolsError: the provider is not in this build, or onnxruntime refuses the model.
        """
        ort = _import_onnxruntime()
        wanted = PROVIDERS.get(provider, provider)
        available = ort.get_available_providers()
        if wanted not in available:
            advice = f": {_ADVICE[provider]}" if provider in _ADVICE else ""
            raise PReLUToolsError(
                f"execution provider {provider} is not in this build of onnxruntime "
                f"{ort.__version__}, which has {', '.join(available)}{advice}"
            )
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        try:
            with quiet(show=False):
                self._session = ort.InferenceSession(
                    str(path), options, providers=[(wanted, dict(_OPTIONS.get(wanted, {})))]
                )
        except Exception as error:
            raise PReLUToolsError(
                f"onnxruntime {ort.__version__} cannot load {spelled}: {_sentence(error)}"
            ) from error
        self._spelled = spelled
        self._names = [output.name for output in self._session.get_outputs()]
        self.report = self._assignment(provider, wanted)

    def _assignment(self, requested: str, wanted: str) -> ProviderReport:
        """Which provider each node was given to, as onnxruntime recorded it."""
        from prelu_tools.core.results import ProviderReport

        counts: Counter[str] = Counter()
        elsewhere: list[str] = []
        for part in self._session.get_provider_graph_assignment_info():
            nodes = part.get_nodes()
            counts[part.ep_name] += len(nodes)
            if part.ep_name != wanted:
                elsewhere += [node.name or node.op_type for node in nodes]
        return ProviderReport(
            requested=requested,
            actual=tuple(name for name, _ in counts.most_common()),
            nodes_elsewhere=tuple(elsewhere),
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`."""
        try:
            results = self._session.run(self._names, dict(feeds))
        except Exception as error:
            shapes = ", ".join(f"{name}{list(array.shape)}" for name, array in feeds.items())
            raise PReLUToolsError(
                f"{self._spelled} fails on inputs {shapes}: {_sentence(error)}"
            ) from error
        return dict(zip(self._names, results, strict=True))


def run_tapped(
    model: OnnxModel, tensors: Sequence[str], feeds: Mapping[str, Array], spelled: str
) -> dict[str, Array]:
    """Run a model on the CPU and return tensors from inside it.

    The skeleton is what runs, with the tapped tensors as outputs; onnxruntime reads the weights
    from the model's own file.

    Raises:
        PReLUToolsError: onnxruntime refuses the model or the inputs.
    """
    ort = _import_onnxruntime()
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    outputs = {value.name for value in proto.graph.output}
    for name in tensors:
        if name not in outputs:
            proto.graph.output.add(name=name)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    if model.file is not None:
        key = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(key, str(model.file.parent.resolve()))
    try:
        with quiet(show=False):
            session = ort.InferenceSession(
                proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        results = session.run(list(tensors), dict(feeds))
    except Exception as error:
        raise PReLUToolsError(f"onnxruntime cannot run {spelled}: {_sentence(error)}") from error
    return dict(zip(tensors, results, strict=True))


def available_providers() -> tuple[str, Sequence[str]]:
    """The version of onnxruntime, and the providers that it was built with."""
    ort = _import_onnxruntime()
    return ort.__version__, ort.get_available_providers()


def _import_onnxruntime() -> Any:
    return importlib.import_module("onnxruntime")


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.rpartition("] : ")[2] or text


def _spec(value: onnx.ValueInfoProto, given: Sequence[Dim] | None) -> TensorSpec:
    kind = value.type.tensor_type
    sizes: list[Dim] = [
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or f"dim_{axis}")
        for axis, dim in enumerate(kind.shape.dim)
    ]
    if given is not None and len(given) != len(sizes):
        raise UsageError(
            f"--input {value.name} has {len(given)} dimensions; the model's has {len(sizes)}"
        )
    example = tuple(
        size if isinstance(size, int) else (1 if axis == 0 else _EXAMPLE)
        for axis, size in enumerate(given or sizes)
    )
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return TensorSpec(value.name, dtype, tuple(sizes), example)
