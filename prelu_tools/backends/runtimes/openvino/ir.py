"""OpenVINO's two files: the layers in `.xml`, their weights in `.bin`.

https://docs.openvino.ai/2025/documentation/openvino-ir-format.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from prelu_tools.core.errors import PReLUToolsError, one_line
from prelu_tools.core.prelu.slopes import Shape

_LARGEST: Final = 256 << 20  # bytes of a .xml
_MOST_AXES: Final = 64
TYPES: Final[Mapping[str, str]] = {
    "f32": "float32", "fp32": "float32", "f16": "float16", "fp16": "float16", "f64": "float64",
    "fp64": "float64", "bf16": "bfloat16", "i64": "int64", "i32": "int32", "i16": "int16",
    "i8": "int8", "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "boolean": "bool", "bool": "bool",
}  # fmt: skip
"""numpy's names of the types."""

Port = tuple[str, str]
"""A layer and one of its ports, by their numbers in the file."""


@dataclass(frozen=True)
class Tensor:
    """What comes out of a port."""

    names: tuple[str, ...]
    """What the model's own names for it are; may be none."""
    dtype: str
    """numpy's name of its type; of one that is unknown here, the file's."""
    shape: Shape
    """Its sizes, None for a free one."""


@dataclass(frozen=True)
class Layer:
    """A layer."""

    number: str
    """Its number in the file."""
    name: str
    """Its name."""
    kind: str
    """Its type, as in OpenVINO's operator sets."""
    data: Mapping[str, str]
    """Its attributes."""
    inputs: tuple[Port, ...]
    """Which ports of other layers its inputs come from, in their order."""
    outputs: tuple[tuple[str, Tensor], ...]
    """Its ports, by number, and what comes out of them."""


def read_ir(path: Path) -> tuple[Layer, ...]:
    """The layers of a file in their order.

    Raises:
        PReLUToolsError: it cannot be read, or is not OpenVINO's.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST >> 20} MB")
        text = path.read_bytes()
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it defines entities, which OpenVINO never does")
        root = ElementTree.fromstring(text)
        return _layers(root)
    except OSError as error:
        raise PReLUToolsError(f"{path} cannot be read: {error.strerror}") from error
    except (ElementTree.ParseError, ValueError, KeyError, RecursionError, LookupError) as error:
        why = one_line(error)
        raise PReLUToolsError(f"{path} is not a readable OpenVINO model: {why}") from error


def _layers(root: ElementTree.Element) -> tuple[Layer, ...]:
    layers = root.find("layers")
    if root.tag != "net" or layers is None:
        raise ValueError("expected <net> with <layers>")
    sources: dict[Port, Port] = {}
    for edge in root.iterfind("edges/edge"):
        target = (_attribute(edge, "to-layer"), _attribute(edge, "to-port"))
        sources[target] = (_attribute(edge, "from-layer"), _attribute(edge, "from-port"))
    return tuple(_layer(element, sources) for element in layers.iterfind("layer"))


def _layer(element: ElementTree.Element, sources: Mapping[Port, Port]) -> Layer:
    number, data = _attribute(element, "id"), element.find("data")
    ports = [_attribute(port, "id") for port in element.iterfind("input/port")]
    return Layer(
        number=number,
        name=element.get("name", number),
        kind=_attribute(element, "type"),
        data={} if data is None else data.attrib,
        inputs=tuple(sources[number, port] for port in ports if (number, port) in sources),
        outputs=tuple(
            (_attribute(port, "id"), _tensor(port)) for port in element.iterfind("output/port")
        ),
    )


def _tensor(port: ElementTree.Element) -> Tensor:
    sizes = [int(dim.text or "") for dim in port.iterfind("dim")]
    if len(sizes) > _MOST_AXES or min(sizes, default=0) < -1:
        raise ValueError(f"a tensor has the shape {sizes}")
    kind = port.get("precision", "").lower()
    names = tuple(name for name in port.get("names", "").split(",") if name)
    shape = tuple(None if size == -1 else size for size in sizes)
    return Tensor(names, TYPES.get(kind, kind), shape)


def _attribute(element: ElementTree.Element, name: str) -> str:
    found = element.get(name)
    if found is None:
        raise ValueError(f"<{element.tag}> has no {name}")
    return found


def numbers(text: str) -> Sequence[int]:
    """The numbers of a list such as `5, 3, 3, 3`."""
    return [int(part) for part in text.split(",") if part.strip()]
