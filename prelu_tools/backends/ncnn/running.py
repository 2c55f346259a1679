"""ncnn, in float32: what it would round to float16 or bfloat16 by itself is switched off.

So are Winograd's convolutions, which round up to 30 times as much as others do: a wrong slope would
be as small as that.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array, packed
from prelu_tools.core.errors import MissingExtraError, PReLUToolsError

_NARROWING: Final = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic",
                     "use_bf16_packed", "use_bf16_storage", "use_int8_inference",
                     "use_int8_packed", "use_int8_storage", "use_int8_arithmetic",
                     "use_vulkan_compute", "use_winograd_convolution")  # fmt: skip


class Net:
    """A model that ncnn has loaded."""

    def __init__(self, param: Path | str, weights: Path | bytes, spelled: str) -> None:
        """Load it.

        Args:
            param: the file of its layers, or their text.
            weights: the file of their weights, or their bytes.
            spelled: the model's name, for messages.

        Raises:
            PReLUToolsError: ncnn is not installed, or refuses the model.
        """
        self._ncnn = import_ncnn(spelled)
        self._spelled = spelled
        self._net = self._ncnn.Net()
        for option in _NARROWING:
            if hasattr(self._net.opt, option):
                setattr(self._net.opt, option, False)
        self._net.opt.num_threads = 1
        with quiet(show=False):
            wrong = self._load_layers(param) or self._load_weights(weights)
        if wrong:
            raise PReLUToolsError(f"ncnn cannot load {spelled} (code {wrong})")

    def _load_layers(self, param: Path | str) -> int:
        if isinstance(param, Path):
            return int(self._net.load_param(str(param)))
        return int(self._net.load_param_mem(param))

    def _load_weights(self, weights: Path | bytes) -> int:
        if isinstance(weights, Path):
            return int(self._net.load_model(str(weights)))
        self._kept = weights + bytes(16)  # ncnn refers to it
        self._net.load_model_mem(self._kept)
        return 0

    def run(self, feeds: Mapping[str, Array], blobs: Sequence[str]) -> list[Array]:
        """Blobs by name, for one row of each input; no array has an axis for the batch.

        Raises:
            PReLUToolsError: ncnn rejects the inputs.
        """
        extractor = self._net.create_extractor()
        extractor.set_light_mode(False)
        arrays = [packed(values) for values in feeds.values()]
        held = [self._ncnn.Mat(array).clone() for array in arrays]  # a Mat alone keeps no array
        with quiet(show=False):
            codes = [extractor.input(n, mat) for n, mat in zip(feeds, held, strict=True)]
            found = [extractor.extract(blob) for blob in blobs]
        wrong = next((code for code in (*codes, *(code for code, _ in found)) if code), 0)
        if wrong:
            shapes = ", ".join(str(list(values.shape)) for values in feeds.values())
            raise PReLUToolsError(
                f"ncnn fails on {self._spelled} with inputs {shapes} (code {wrong})"
            )
        return [np.array(mat) for _, mat in found]


def import_ncnn(spelled: str) -> Any:
    """ncnn, imported late.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("ncnn")
    except ModuleNotFoundError as error:
        if error.name != "ncnn":
            raise
        raise MissingExtraError("ncnn", "ncnn", f"to run {spelled}") from error
