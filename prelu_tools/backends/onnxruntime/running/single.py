"""PReLU layers of an ONNX model in isolation, in the form in which the model has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prelu_tools.backends.onnxruntime.running.session import Session
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.graph.copies.instrument import single_layers
from prelu_tools.graph.match.layers import LocatedLayer


class SingleLayers:
    """The first call of each layer as a separate model, whatever graph it is in."""

    def __init__(self, located: Sequence[LocatedLayer], provider: str, label: str) -> None:
        """Take them out of their graph.

        Raises:
            PReLUToolsError: there is none; or see `Session`.
        """
        calls = [(item.layer.name, *item.calls[0]) for item in located]
        if not calls:
            raise PReLUToolsError(f"{label} has no PReLU")
        self._orders = {name: match.order for name, _, match in calls}
        folder = calls[0][1].model.folder
        self._session = Session(single_layers(calls), provider, label, folder)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What each layer makes of an input of its shape; one for each of the layers.

        Raises:
            PReLUToolsError: they do not fit.
        """
        feeds = {f"{name}/x": values for name, values in inputs.items()}
        found = self._session.run(feeds)
        outputs = {}
        for name, order in self._orders.items():
            y = found[f"{name}/y"]
            outputs[name] = y if order is None else y.transpose(inverse(order))
        return outputs
