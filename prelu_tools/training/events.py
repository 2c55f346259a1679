"""Records of slopes for TensorBoard, written with TensorBoard's package only.

Neither TensorFlow nor PyTorch is loaded: an event file is a sequence of framed protobuf messages,
and TensorBoard contains both the messages and the framing.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import MissingExtraError
from prelu_tools.core.results.slope_record import LayerRecord, SlopeRecord

_BUCKETS = 30  # as many as TensorBoard shows
_numbers = itertools.count()


class EventFile:
    """A separate event file in a folder, which TensorBoard takes for a run."""

    def __init__(self, folder: Path) -> None:
        """Nothing is written before the first record.

        Raises:
            MissingExtraError: tensorboard is not installed.
        """
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "tensorboard":
                raise
            raise MissingExtraError("tensorboard", "training", "to write event files") from error
        self._events: Any = event_pb2
        self._summaries: Any = summary_pb2
        self._make: Any = RecordWriter
        self._folder = folder
        self._writer: Any = None

    def write(self, record: SlopeRecord) -> None:
        """Add a record; of an earlier run in the folder, later steps are dropped by TensorBoard.

        Raises:
            OSError: the file cannot be written.
        """
        if self._writer is None:
            self._begin(record)
        values = [value for layer in record.layers for value in self._values(layer)]
        values += [self._text(finding.code, finding.message, finding.layer)
                   for finding in record.findings]  # fmt: skip
        summary = self._summaries.Summary(value=values)
        self._put(wall_time=record.time, step=record.step, summary=summary)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _begin(self, record: SlopeRecord) -> None:
        name = f"events.out.tfevents.{int(record.time):010d}.slopes.{os.getpid()}.{next(_numbers)}"
        self._writer = self._make((self._folder / name).open("wb"))
        self._put(wall_time=record.time, file_version="brain.Event:2")
        log = self._events.SessionLog
        self._put(wall_time=record.time, step=record.step, session_log=log(status=log.START))

    def _put(self, **fields: Any) -> None:
        self._writer.write(self._events.Event(**fields).SerializeToString())

    def _values(self, layer: LayerRecord) -> Iterator[Any]:
        statistics, value = layer.statistics, self._summaries.Summary.Value
        numbers = {
            "slope_mean": statistics.mean,
            "slope_min": statistics.min,
            "slope_max": statistics.max,
            "slope_negative_share": statistics.n_negative / statistics.count,
            "slope_change": layer.movement.max_change,
            "slope_gradient": layer.gradient,
        }
        for tag, number in numbers.items():
            if number is not None:
                yield value(tag=f"{tag}/{layer.name}", simple_value=number)
        histogram = self._histogram(layer.slopes)
        if histogram is not None:
            yield value(tag=f"slopes/{layer.name}", histo=histogram)

    def _histogram(self, slopes: Array) -> Any:
        finite = slopes[np.isfinite(slopes)].astype(np.float64)
        if not finite.size:
            return None
        counts, edges = binned(finite)
        with np.errstate(over="ignore"):
            squares = float(finite @ finite)
        return self._summaries.HistogramProto(
            min=float(finite.min()),
            max=float(finite.max()),
            num=float(finite.size),
            sum=float(finite.sum()),
            sum_squares=squares,
            bucket_limit=edges.tolist(),
            bucket=[0.0, *counts.tolist()],
        )

    def _text(self, code: str, message: str, layer: str | None) -> Any:
        from tensorboard.compat.proto import tensor_pb2, tensor_shape_pb2, types_pb2

        text = f"**{code}** {layer or ''}: {message}"
        dimension = tensor_shape_pb2.TensorShapeProto.Dim(size=1)
        tensor = tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING,
            string_val=[text.encode()],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[dimension]),
        )
        plugin = self._summaries.SummaryMetadata.PluginData(plugin_name="text")
        return self._summaries.Summary.Value(
            tag=f"slope_warnings/{code}{'/' + layer if layer else ''}",
            tensor=tensor,
            metadata=self._summaries.SummaryMetadata(plugin_data=plugin),
        )


def binned(finite: Array) -> tuple[Array, Array]:
    """How many values fall into each bucket, and the edges of these: one more."""
    low, high = float(finite.min()), float(finite.max())
    if not low < high:
        room = max(abs(low), 1.0) * 1e-3
        low, high = low - room, high + room
    with np.errstate(over="ignore"):
        counts, edges = np.histogram(finite, _BUCKETS, (low, high))
    return counts, edges
