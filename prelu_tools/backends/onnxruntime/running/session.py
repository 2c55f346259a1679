"""onnxruntime sessions on the requested execution provider, never silently on another one."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

from prelu_tools.backends.onnxruntime.running.messages import sentence
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array, shapes_in_words
from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.requests.kinds import did_you_mean
from prelu_tools.graph.io.locations import refuse_odd_name
from prelu_tools.graph.io.reader import OnnxModel

if TYPE_CHECKING:
    from prelu_tools.core.results.verification.candidate import ProviderReport

PROVIDERS: Mapping[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
_OTHER_NAMES = {"gpu": "cuda", "nvidia": "cuda", "trt": "tensorrt", "intel": "openvino"}
"""What people call providers, by what they are called here."""
_ADVICE = {
    "cuda": "pip install onnxruntime-gpu (instead of onnxruntime), and a matching CUDA version",
    "tensorrt": "pip install onnxruntime-gpu (instead of onnxruntime), and TensorRT",
    "openvino": "pip install onnxruntime-openvino (instead of onnxruntime)",
}
# TF32 keeps 10 bits of mantissa: agreement to 1e-3 only (onnxruntime#19288).
_OPTIONS: Mapping[str, Mapping[str, str]] = {"CUDAExecutionProvider": {"use_tf32": "0"}}
_ON_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")
_IR_VERSION, _OPSET = 10, 16  # loaded by every onnxruntime from 1.18 on
_LARGE = 256 << 20  # bytes; onnxruntime holds the weights of a larger file twice if it parses them


class Session:
    """An onnxruntime session on one execution provider; a `Runner`."""

    def __init__(
        self, model: Path | onnx.ModelProto, provider: str, label: str, folder: Path | None = None
    ) -> None:
        """Load a model.

        Args:
            model: a file, or a graph in memory.
            provider: one of `PROVIDERS`, or onnxruntime's own name; see `parse_provider`.
            label: the model's name for messages.
            folder: where the external tensors of a graph in memory are; None if it has none.

        Raises:
            PReLUToolsError: the provider is not in this build, or onnxruntime refuses the model.
        """
        ort = import_onnxruntime()
        plain, given = parse_provider(provider)
        self._wanted = PROVIDERS.get(plain, plain)
        _check_built(ort, plain, self._wanted)
        if self._wanted in _ON_CUDA:
            _load_cuda(ort)
        options = session_options(folder)
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        # Threads that wait for work in a loop double the CPU time of what is not timed.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.options: Mapping[str, str] = {**_OPTIONS.get(self._wanted, {}), **given}
        if isinstance(model, Path):
            refuse_odd_name(model)
        content = str(model) if isinstance(model, Path) else model.SerializeToString()
        self._session = load_session(content, options, label, (self._wanted, dict(self.options)))
        self._provider = provider
        self._label = label
        self._names = [output.name for output in self._session.get_outputs()]

    def placement(self) -> dict[str, str]:
        """The execution provider of each node by the node's name, as onnxruntime recorded it."""
        return {
            node.name or node.op_type: part.ep_name
            for part in self._session.get_provider_graph_assignment_info()
            for node in part.get_nodes()
        }

    @property
    def report(self) -> ProviderReport:
        """The provider that each node was assigned to."""
        from prelu_tools.core.results.verification.candidate import ProviderReport

        counts: Counter[str] = Counter()
        elsewhere: list[str] = []
        for part in self._session.get_provider_graph_assignment_info():
            nodes = part.get_nodes()
            counts[part.ep_name] += len(nodes)
            if part.ep_name != self._wanted:
                elsewhere += [node.name or node.op_type for node in nodes]
        return ProviderReport(
            requested=self._provider,
            actual=tuple(name for name, _ in counts.most_common()),
            nodes_elsewhere=tuple(elsewhere),
            options=self.options,
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Runner.run`.

        Raises:
            PReLUToolsError: it has no outputs, or see `fetch`.
        """
        if not self._names:
            raise PReLUToolsError(f"{self._label} has no outputs: nothing can be compared")
        return self.fetch(feeds, self._names)

    def fetch(self, feeds: Mapping[str, Array], names: Sequence[str]) -> dict[str, Array]:
        """Some of the outputs.

        Raises:
            PReLUToolsError: the model rejects the inputs.
        """
        try:
            results = self._session.run(list(names), dict(feeds))
        except Exception as error:
            raise PReLUToolsError(
                f"{self._label} fails on inputs ({shapes_in_words(feeds)}): {sentence(error)}"
            ) from error
        return dict(zip(names, results, strict=True)) if names else {}  # an empty list means all


def session_options(folder: Path | None = None) -> Any:
    """Options of a session that logs nothing.

    Args:
        folder: where the external tensors of its model are; None if it has none.
    """
    options = import_onnxruntime().SessionOptions()
    options.log_severity_level = 4
    if folder is not None:
        key = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(key, str(folder.resolve()))
    return options


def load_session(
    content: str | bytes,
    options: Any,
    label: str,
    provider: tuple[str, dict[str, str]] = ("CPUExecutionProvider", {}),
) -> Any:
    """Onnxruntime's own session of a model.

    Args:
        content: the path of its file, or its bytes.
        options: of the session.
        label: the model's name for messages.
        provider: the execution provider, and its options.

    Raises:
        PReLUToolsError: onnxruntime refuses it.
    """
    ort = import_onnxruntime()
    try:
        with quiet(show=False):
            return ort.InferenceSession(content, options, providers=[provider])
    except Exception as error:
        raise PReLUToolsError(
            f"onnxruntime {ort.__version__} cannot load {label}: {sentence(error)}"
        ) from error


def parse_provider(text: str) -> tuple[str, dict[str, str]]:
    """The name and the options of `NAME` or `NAME:KEY=VALUE,...`, as in `cuda:use_tf32=1`.

    Raises:
        UsageError: an option is not a KEY=VALUE.
    """
    name, separator, rest = text.partition(":")
    options: dict[str, str] = {}
    for part in rest.split(",") if separator else ():
        key, equals, value = part.partition("=")
        if not (key and equals and value):
            raise UsageError(
                f"--provider {text}: {part!r} is not a valid option: expected KEY=VALUE, as in "
                "cuda:use_tf32=1"
            )
        options[key] = value
    return name, options


def open_session(path: Path, model: OnnxModel, provider: str, label: str) -> Session:
    """A session of a file; a large one, or one reached through a link, by its skeleton.

    Its weights stay where they are.

    Raises:
        PReLUToolsError: see `Session`.
    """
    if model.file is not None and (is_large(path, model) or model.file != path):
        return Session(model.proto, provider, label, model.folder)
    return Session(path, provider, label)


def is_large(path: Path, model: OnnxModel) -> bool:
    """Whether a file is run by its skeleton, and held once at a time."""
    return model.file is not None and path.stat().st_size > _LARGE


def check_provider(text: str) -> None:
    """Reject an execution provider that this build of onnxruntime does not have.

    Raises:
        UsageError: an option of it is not a KEY=VALUE.
        PReLUToolsError: it is not in the build.
    """
    name, _ = parse_provider(text)
    _check_built(import_onnxruntime(), name, PROVIDERS.get(name, name))


def _check_built(ort: Any, provider: str, wanted: str) -> None:
    available = ort.get_available_providers()
    if wanted not in available:
        advice = f": {_ADVICE[provider]}" if provider in _ADVICE else _meant(provider, available)
        raise PReLUToolsError(
            f"execution provider {provider} is not in this build of onnxruntime "
            f"{ort.__version__}, which has {', '.join(available)}{advice}"
        )


def _meant(provider: str, available: Sequence[str]) -> str:
    """The end of a sentence: the provider that was meant, if it is not known as it is written."""
    if provider in PROVIDERS or provider in PROVIDERS.values():
        return ""
    word = provider.lower()
    return (
        f"; did you mean {_OTHER_NAMES[word]}?"
        if word in _OTHER_NAMES
        else did_you_mean(word, [*PROVIDERS, *available])
    )


@cache
def _load_cuda(ort: Any) -> None:
    """Load the CUDA libraries that pip installed; onnxruntime finds those of the system alone."""
    with quiet(show=False):
        ort.preload_dlls(directory="")


def available_providers() -> tuple[str, Sequence[str]]:
    """The version of onnxruntime, and the providers that it was built with."""
    ort = import_onnxruntime()
    return ort.__version__, ort.get_available_providers()


@cache
def newest_opset() -> int:
    """The newest opset that the installed onnxruntime loads: found by trying, it does not say."""
    newest = onnx.defs.onnx_opset_version()
    return _newest(_loads_at(opset, _IR_VERSION) and opset for opset in range(newest, 0, -1))


@cache
def newest_ir_version() -> int:
    """The newest IR version that the installed onnxruntime loads: found by trying."""
    versions = range(int(onnx.IR_VERSION), 0, -1)
    return _newest(_loads_at(_OPSET, version) and version for version in versions)


def _newest(found: Iterable[int]) -> int:
    newest = next(filter(None, found), None)
    if newest is None:
        raise PReLUToolsError(
            "onnxruntime cannot load any model: reinstall it, or see prelu-tools doctor"
        )
    return newest


def _loads_at(opset: int, ir_version: int) -> bool:
    """Whether onnxruntime loads a model of one node."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    x, y = (helper.make_tensor_value_info(name, kind, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "one node", [x], [y])
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)
    with suppress(PReLUToolsError):
        Session(model, "cpu", "a model of one node")
        return True
    return False


def import_onnxruntime() -> Any:
    """onnxruntime, imported late."""
    return importlib.import_module("onnxruntime")
