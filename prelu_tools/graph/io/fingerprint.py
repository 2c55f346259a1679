"""A hash of a model's weights."""

from __future__ import annotations

import hashlib

import numpy as np

from prelu_tools.graph.io.reader import OnnxModel


def weights_sha256(model: OnnxModel) -> str:
    """SHA-256 over names, types, shapes and values of the initializers, by name, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in sorted(model.proto.graph.initializer, key=lambda tensor: tensor.name):
        values = np.ascontiguousarray(model.values(tensor))
        digest.update(f"{tensor.name}\0{tensor.data_type}{list(tensor.dims)}\0".encode())
        digest.update(values.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
