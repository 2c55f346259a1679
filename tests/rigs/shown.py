"""What texts show of commands, and what of it may differ by machine."""

from __future__ import annotations

import re


def normal(text: str) -> str:
    """Text without what may differ: the numbers, and where lines are broken by their length."""
    text = re.sub(r"(onnxruntime \S+ on) .*", r"\1 #", text)  # the machine
    # How far the search for inputs comes in its seconds.
    text = re.sub(r"^not reached: .*\n(?:  .*\n)*", "", text, flags=re.MULTILINE)
    text = re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "#", text)
    return " ".join(re.sub(r"[─▁▂▃▄▅▆▇█·\s]+", " ", text).split())
