"""`record` as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from prelu_tools.arguments import PathLike, Range, Shapes, Values, values_file
from prelu_tools.commands.speaking import speaking_python
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.requests.option import read_keywords
from prelu_tools.core.results.record import RecordResult
from prelu_tools.live import Model, is_live, name_of, opened, turns


@speaking_python
def record(
    source: Model,
    output: PathLike,
    *,
    inputs: Values | None = None,
    input_range: Range | Mapping[str, Range] | None = None,
    samples: int | None = None,
    seed: int = 0,
    search_seconds: float | None = None,
    max_size: float | None = None,
    force: bool = False,
    input: Shapes | None = None,
    custom_objects: str | Sequence[str] = (),
    allow_unsafe_load: bool = False,
    verbose: bool = False,
) -> RecordResult:
    """Run a model as `verify` runs a reference, and save the results in a file.

    `verify` accepts the file instead of the model, on machines that lack its framework.

    Args:
        source: the model.
        output: the `.npz` file to write, completely or not at all.
        inputs: use exactly these inputs; with `samples`, in addition to random ones.
        input_range: `(low, high)` of the values that inputs may take, for all or by name.
        samples: number of random rows; None for 16.
        seed: random seed for the inputs.
        search_seconds: how long to search for inputs that reach slopes which no random input
            reached; 0 for not at all, None for a fixed number of steps.
        max_size: maximum size of the record in megabytes, before compression; beyond it, layer
            values are kept only for the smaller runs. None for 100, of which layer values take at
            most 4.
        force: whether to replace an existing file.
        input: the shapes of inputs that the model does not define.
        custom_objects: modules or files (`layers.py`, `layers.py:Name`) that define the custom
            classes of a Keras file.
        allow_unsafe_load: whether pickles and Lambda layers may run code from the file.
        verbose: whether to show the frameworks' own messages.

    Returns:
        What was written.

    Raises:
        UsageError: the output exists, or an argument is not valid.
        PReLUToolsError: the model cannot be read or run, or the file cannot be written.
    """
    given = locals()
    from prelu_tools.commands.record.command import record as run
    from prelu_tools.commands.record.request import RecordRequest

    options = SourceOptions(**read_keywords(SourceOptions, given))
    fields = read_keywords(RecordRequest, {**given, "inputs": None})  # written to a file below
    with turns(source), values_file(inputs) as file:
        request = RecordRequest(
            name_of(source), Path(output), inputs_file=file, options=options, **fields
        )
        if not is_live(source):
            return run(request)
        with opened(source, request.source, options) as live:
            return run(request, opened=live)
