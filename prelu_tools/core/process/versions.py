"""The versions of the packages that results depend on."""

from __future__ import annotations

import importlib.metadata
from functools import cache

PACKAGES = ("prelu-tools", "numpy", "onnx", "onnxruntime", "torch", "keras", "tensorflow",
            "ai-edge-litert", "ncnn", "pnnx", "openvino")  # fmt: skip


def installed_version(*packages: str) -> str | None:
    """The version of the first of these that is installed."""
    for package in packages:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def installed_versions() -> dict[str, str]:
    """The versions of the installed packages among `PACKAGES`; nothing is imported."""
    return dict(_installed())


@cache  # it reads files, and is called for each of thousands of models
def _installed() -> tuple[tuple[str, str], ...]:
    found = ((name, installed_version(name)) for name in PACKAGES)
    return tuple((name, version) for name, version in found if version is not None)
