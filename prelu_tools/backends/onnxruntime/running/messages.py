"""What onnxruntime says, without the places in its own code."""

from __future__ import annotations

import re

from prelu_tools.core.errors import one_line

_IR_TOO_NEW = re.compile(r"IR version: (\d+), max supported IR version: (\d+)")
_STATUS = re.compile(r"^\d+ : [A-Z_]+ : ")
_NODE = re.compile(
    r"Non-zero status code returned while running (\S+) node\. Name:'([^']*)' Status Message: "
)
_PLACE = re.compile(
    r"(?<!\S)\S+\.(?:cc|cpp|cu|cuh|h|hpp):\d+ "  # /onnxruntime_src/core/math.h:563
    r"(?:(?=[^()]*::)[\w:<>,&*~{} ]+(?:\((?:[^()]|\([^()]*\))*\))+"  # void ort::Class::f(int)
    r"(?: const)?(?: \[[^\]]*\])? )?"  # const [with T = float]
    r"(?:[^.]*? was false\. (?=\S))?"  # axis == 1 || axis == largest was false.
)


def sentence(error: Exception) -> str:
    """What an error says: no prefix, source file, function or condition of onnxruntime's."""
    text = one_line(error)
    if found := _IR_TOO_NEW.search(text):
        return (
            f"the file has IR version {found[1]}, and it supports only up to {found[2]}: "
            "prelu-tools export FILE -o NEW.onnx writes it in an older one"
        )
    said = _STATUS.sub("", text.rpartition("] : ")[2] or text)
    return _PLACE.sub("", _NODE.sub(r"\1 node '\2': ", said)) or text
