"""PReLU layers of an ONNX model by themselves, in the form in which the model spells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prelu_tools.backends.onnxruntime.session import Session
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError
from prelu_tools.core.prelu.layout import inverse
from prelu_tools.graph.copies.instrument import single_layers
from prelu_tools.graph.match.layers import LocatedLayer


class SingleLayers:
    """The first call of each layer of the main graph, as a model of its own."""

    def __init__(self, located: Sequence[LocatedLayer], provider: str, spelled: str) -> None:
        """Take them out of their graph.

        Raises:
            PReLUToolsError: none is in the main graph; or see `Session`.
        """
        calls = {
            item.layer.name: (view, match)
            for item in located
            for view, match in item.calls[:1]
            if view.outer is None
        }
        if not calls:
            raise PReLUToolsError(f"{spelled} has no PReLU in its main graph")
        self._orders = {name: match.order for name, (_, match) in calls.items()}
        view = next(iter(calls.values()))[0]
        proto = single_layers(view, [(name, match) for name, (_, match) in calls.items()])
        folder = None if view.model.file is None else view.model.file.parent
        self._session = Session(proto, provider, spelled, folder)

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
