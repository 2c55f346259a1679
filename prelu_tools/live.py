"""A model in a program as a source: a path, a source spec, or a live object."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from prelu_tools.core.errors import PReLUToolsError, UsageError
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.process.waiting import let_threads_sleep

if TYPE_CHECKING:
    from prelu_tools.backends.protocol.interface import Source
    from prelu_tools.commands.verify.inputs.linking import Layouts


class TorchModule(Protocol):
    """A `torch.nn.Module`."""

    training: bool

    def modules(self) -> Iterator[Any]:
        """It and all modules in it."""
        ...

    def state_dict(self) -> Mapping[str, Any]:
        """Its tensors by name."""
        ...


class KerasModel(Protocol):
    """A `keras.Model`."""

    def get_weights(self) -> Any:
        """Its arrays."""
        ...

    def get_layer(self, name: Any = None, index: Any = None) -> Any:
        """One of its layers."""
        ...


class OnnxProto(Protocol):
    """An `onnx.ModelProto`."""

    @property
    def graph(self) -> Any:
        """Its graph."""
        ...

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        """Its bytes."""
        ...


_frameworks = threading.RLock()

Model: TypeAlias = "str | os.PathLike[str] | TorchModule | KerasModel | OnnxProto"
"""A path or any other SOURCE as on the command line, a torch.nn.Module, a keras.Model or an
onnx.ModelProto."""


def is_live(model: Model) -> bool:
    """Whether it is an object in memory, and not a path or a spelling."""
    return not isinstance(model, (str, os.PathLike))


@contextmanager
def turns(*models: Model) -> Iterator[None]:
    """Within the block nothing else that needs a framework runs: these are not safe in threads.

    ONNX files, protos and records need none, and take no turns.
    """
    files = all(
        type(model).__name__ == "ModelProto" or str(model).endswith((".onnx", ".npz"))
        for model in models
    )
    if not files:
        let_threads_sleep()
    with nullcontext() if files else _frameworks:
        yield


def name_of(model: Model, role: str = "") -> str:
    """A path or a spelling as it is; of an object its class, after its role if it has one."""
    if isinstance(model, (str, os.PathLike)):
        return _label(model)
    kind = type(model).__name__
    return f"{role} ({kind})" if role else kind


@contextmanager
def opened(
    model: Model, name: str, options: SourceOptions, inspecting: bool = False
) -> Iterator[Source]:
    """A model as a source; a live torch module gets the modes back that its parts had.

    Args:
        model: the model to open.
        name: its name, if it is an object.
        options: how to read it.
        inspecting: whether only its layers are looked at: then a file may be read without its
            framework.

    Raises:
        UsageError: it is nothing that can be a source.
        PReLUToolsError: it cannot be read.
    """
    from prelu_tools.backends.opening import open_for_inspection, open_object, open_source

    if isinstance(model, (str, os.PathLike)):
        yield (open_for_inspection if inspecting else open_source)(_label(model), options)
    elif type(model).__name__ == "ModelProto":
        with _written(model, name, options) as source:
            yield source
    else:
        _refuse_other_objects(model, name)
        with _modes_kept(model):
            yield open_object(model, name, options)


@contextmanager
def opened_together(
    reference: tuple[str, Model],
    candidates: Mapping[str, Model],
    options: SourceOptions,
    layouts: Layouts,
    paths: bool = False,
) -> Iterator[tuple[Source, dict[str, Source]]]:
    """Models that are compared: one that does not know its inputs' shapes takes another's.

    Args:
        reference: the reference's name, and the reference.
        candidates: the candidates, by name.
        options: how to read them.
        layouts: the user's axis orders.
        paths: whether candidates that are not objects are opened too.

    Yields:
        The reference, and the candidates that are open, by what they are called.

    Raises:
        UsageError: one is nothing that can be a source.
        PReLUToolsError: one cannot be read.
    """
    from prelu_tools.commands.verify.inputs.other import asking

    name, model = reference
    ready: dict[str, Source] = {}
    with ExitStack() as stack:
        for other, candidate in candidates.items():
            if type(candidate).__name__ == "ModelProto":  # it states its inputs
                ready[other] = stack.enter_context(opened(candidate, other, options))
        told = asking(options, list(candidates), ready, layouts)
        source = stack.enter_context(opened(model, name, told))
        told = asking(options, [name], {name: source}, layouts.turned)
        for other, candidate in candidates.items():
            if other not in ready and (paths or is_live(candidate)):
                ready[other] = stack.enter_context(opened(candidate, other, told))
        yield source, ready


def _label(model: str | os.PathLike[str]) -> str:
    """A text as it is; a `pathlib.Path` is always a file."""
    if isinstance(model, str):
        return model
    from prelu_tools.backends.source_spec import FileName

    return FileName(os.fspath(model))


def _refuse_other_objects(model: object, name: str) -> None:
    from prelu_tools.backends.source_spec import model_framework, type_name

    if model_framework(model) is None:
        raise UsageError(
            f"{name} is of type {type_name(model)}: expected a path, a torch.nn.Module, a "
            "keras.Model or an onnx.ModelProto"
        )


@contextmanager
def _written(model: Any, name: str, options: SourceOptions) -> Iterator[Source]:
    """A ModelProto as the file that it would be."""
    from google.protobuf.message import EncodeError

    from prelu_tools.backends import onnxruntime

    with tempfile.TemporaryDirectory(prefix="prelu-tools-") as folder:
        path = Path(folder) / "model.onnx"
        try:
            path.write_bytes(model.SerializeToString())
        except (EncodeError, ValueError) as error:
            raise PReLUToolsError(
                f"{name} cannot be serialised ({error}), because it has 2 GB or more: save it "
                "with external data (onnx.save_model), and give the path"
            ) from error
        yield onnxruntime.from_file(path, name, options)


@contextmanager
def _modes_kept(model: Any) -> Iterator[None]:
    parts: Iterable[Any] = getattr(model, "modules", list)()
    training = [part for part in parts if getattr(part, "training", False)]
    try:
        yield
    finally:
        for part in training:
            part.training = True
