"""Which models are exported, and by which routes; imports no framework."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "prelu-tools"
FAST = "prelu-tools, for onnxruntime"
"""``export --target onnxruntime-cpu``, which has no PRelu nodes where others are faster."""
ROUTES = {
    "torch": ("torch.onnx.export", "torch.onnx.export, legacy", OURS, FAST),
    "keras": ("keras export", "tf2onnx", OURS, FAST),
}
"""The raw exporters of each framework, its own first, and ours."""


@dataclass(frozen=True)
class Model:
    """One model of one framework."""

    title: str
    """Its name in the table."""
    source: str
    """How ``prelu-tools export`` is told of it."""
    shape: tuple[int, ...]
    """Of its only input, with the batch."""

    @property
    def framework(self) -> str:
        """Return "torch" or "keras", by the name of its file."""
        return "keras" if "keras" in self.source else "torch"


MODELS = (
    Model("MTCNN PNet, torch", "samples/mtcnn_torch.py:PNet", (1, 3, 48, 64)),
    Model("MTCNN ONet, torch", "samples/mtcnn_torch.py:ONet", (1, 3, 48, 48)),
    Model("hand-written PReLU, torch", "samples/torch_layers.py:OneSlopeNet", (1, 1, 16, 16)),
    Model("MLP, torch", "samples/torch_layers.py:Mlp", (1, 784)),
    Model("IResNet-50, torch", "benchmarks.exporters.torch_iresnet:iresnet50", (1, 3, 112, 112)),
    Model("MTCNN PNet, Keras", "samples/mtcnn_keras.py:PNet", (1, 48, 64, 3)),
    Model("MTCNN ONet, Keras", "samples/mtcnn_keras.py:ONet", (1, 48, 48, 3)),
    Model("digits, Keras", "samples/keras_digits.py:convnet", (1, 28, 28, 1)),
    Model("hand-written PReLU, Keras", "samples/keras_where.py:sequential_net", (1, 16, 16, 3)),
    Model("IResNet-50, Keras", "benchmarks.exporters.keras_iresnet:iresnet50", (1, 112, 112, 3)),
)
"""All models, in the order of the table."""

QUICK = ("MTCNN ONet, torch", "digits, Keras")
"""To try the code."""
