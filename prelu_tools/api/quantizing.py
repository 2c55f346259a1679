"""`quantize` as a function."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prelu_tools.arguments import PathLike, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.quantization import QuantizeResult
from prelu_tools.live import Model, name_of, opened


@speaking_python
def quantize(
    source: Model,
    output: PathLike,
    *,
    calibration: Values,
    max_loss: float = 1.0,
    keep_float: int = 2,
    metric: str | None = None,
    max_drop: float | None = None,
    quantizer_option: Mapping[str, object] | None = None,
    tune: bool = True,
    tune_seconds: float = 20.0,
    threads: int = 1,
    verify: bool = True,
    force: bool = False,
    verbose: bool = False,
) -> QuantizeResult:
    """Quantize an ONNX model with its PReLUs to int8, and measure what it costs in accuracy.

    A file that fails its check is part of the result and is not written.

    Args:
        source: a floating-point ONNX model: a path, or an `onnx.ModelProto`.
        output: the file to write, completely or not at all.
        calibration: inputs as the model takes them, one row per sample: arrays by name, or the path
            of an `.npz` file or of a folder. A quarter of the rows is held out.
        max_loss: how many dB of signal-to-noise ratio an output may lose, compared with plain
            `quantize_static`.
        keep_float: how many PReLU layers may stay in floating point to meet `max_loss`; if that
            is not enough, the layers before them too.
        metric: your own function, `metrics.py:top1`, that is called with the outputs and the data,
            by name, and returns a number; the data includes arrays that are not inputs.
        max_drop: how much lower than in floating point the metric may be.
        quantizer_option: options of onnxruntime's `quantize_static` or of its `extra_options`.
        tune: whether to time the integer forms in the model; False takes the most exact ones.
        tune_seconds: how long timing may take.
        threads: number of onnxruntime threads while timing.
        verify: whether to compare the file with the floating-point model.
        force: whether to replace an existing file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        The form of each layer, what was lost, the times, and the verdict; true if everything
        passed.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        PReLUToolsError: the source or the data cannot be read, or do not fit each other; nothing
            was written.
    """
    given = locals()
    from prelu_tools.commands.quantize.command import quantize as run
    from prelu_tools.commands.quantize.request import QuantizeRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(QuantizeRequest, given)
    name = name_of(source)
    with values_file(calibration) as file, opened(source, name, options) as live:
        request = QuantizeRequest(name, Path(output), Path(file or ""), options=options, **fields)
        return run(request, opened=live)
