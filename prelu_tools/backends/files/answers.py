"""The answers of an isolated reader, as bytes that can only hold data.

A JSON document, and after it the numbers of the arrays that it refers to. Reading it calls only the
classes that the caller names, so a process that a file took over can send wrong values and nothing
worse.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import ml_dtypes  # noqa: F401  (numpy knows bfloat16 and its like by name from here on)
import numpy as np

from prelu_tools.core.arrays import Array

_LENGTH: Final = struct.Struct("<Q")
_PLAIN: Final = (str, bool, int, float, type(None))
_NUMBERS: Final = "biufV"  # V: the types of ml_dtypes, which have no fields


class BadAnswerError(ValueError):
    """The bytes are no answer, or hold what the caller does not expect."""


def encoded(value: Any) -> bytes:
    """A value as bytes: plain ones, tuples, lists, mappings with text keys, arrays, dataclasses.

    Raises:
        TypeError: there is something else in it.
    """
    arrays: list[bytes] = []
    document = json.dumps(_packed(value, arrays)).encode()
    return b"".join((_LENGTH.pack(len(document)), document, *arrays))


def decoded(data: bytes, kinds: tuple[type, ...]) -> Any:
    """The value that was passed to `encoded`.

    Args:
        data: the bytes.
        kinds: the dataclasses that may be in it.

    Raises:
        BadAnswerError: it is none, or has another class in it.
    """
    try:
        (length,) = _LENGTH.unpack_from(data)
        document = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        known = {kind.__name__: kind for kind in kinds}
        return _unpacked(document, memoryview(data)[_LENGTH.size + length :], known)
    except (ValueError, TypeError, KeyError, AttributeError, struct.error, RecursionError) as error:
        raise BadAnswerError(f"{type(error).__name__}: {error}") from error


def _packed(value: Any, arrays: list[bytes]) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        whole = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
        start = sum(map(len, arrays))
        arrays.append(whole.tobytes())
        return {"array": [str(value.dtype.name), list(np.shape(value)), start]}
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple | list):
        return {type(value).__name__: [_packed(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"mapping": [[str(key), _packed(item, arrays)] for key, item in value.items()]}
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        fields = {name: _packed(getattr(value, name), arrays) for name in names}
        return {"object": [type(value).__name__, fields]}
    raise TypeError(f"a {type(value).__name__} is not an answer")


def _unpacked(value: Any, numbers: memoryview, known: Mapping[str, type]) -> Any:
    if isinstance(value, _PLAIN):
        return value
    ((kind, held),) = value.items()
    if kind == "array":
        return _array(held, numbers)
    if kind == "object":
        name, fields = held
        return known[name](**{key: _unpacked(v, numbers, known) for key, v in fields.items()})
    if kind == "mapping":
        return {str(key): _unpacked(item, numbers, known) for key, item in held}
    make = {"tuple": tuple, "list": list}[kind]
    return make(_unpacked(item, numbers, known) for item in held)


def _array(stated: Any, numbers: memoryview) -> Array:
    name, shape, start = stated
    dtype = np.dtype(name)
    if dtype.kind not in _NUMBERS or dtype.fields is not None or dtype.subdtype is not None:
        raise BadAnswerError(f"an array of {name}")
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if start < 0 or min(shape, default=0) < 0:
        raise BadAnswerError(f"an array of shape {shape}")
    return np.frombuffer(numbers, dtype, count, start).reshape(shape)
