"""The backend of Keras that a route needs: set before Keras is imported, else demanded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from running import cli

from prelu_tools.commands.export import route as routes
from prelu_tools.commands.export.route import take_route
from prelu_tools.core.errors import MissingExtraError, UsageError


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setattr(routes, "find_spec", lambda name: name)


@pytest.mark.parametrize(
    ("route", "backend"), [("tf2onnx", "tensorflow"), ("torch", "torch"), (None, "jax")]
)
def test_the_backend_is_set(route: routes.Route | None, backend: str) -> None:
    take_route(route)
    assert os.environ["KERAS_BACKEND"] == backend


def test_what_is_imported_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "torch"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    take_route("torch")
    take_route(None)
    with pytest.raises(UsageError, match="runs on torch: set KERAS_BACKEND=tensorflow before"):
        take_route("tf2onnx")
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_a_backend_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="needed for the route torch but is not"):
        take_route("torch")
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_a_saved_model_has_no_other_route(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"")
    found = cli("export", folder, "-o", folder / "m.onnx", "--route", "torch")
    assert found.code == 2
    assert "--route is for Keras models other than SavedModels" in found.words
