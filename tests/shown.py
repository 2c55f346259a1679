"""What texts show of commands, and what of it may differ by machine."""

from __future__ import annotations

import re


def normal(text: str) -> str:
    """Text without what may differ: the numbers, and where lines are broken by their length."""
    text = re.sub(r"(onnxruntime \S+ on) .*", r"\1 #", text)  # the machine
    text = re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", text)
    return " ".join(re.sub(r"[─▁▂▃▄▅▆▇█·\s]+", " ", text).split())
