"""0 all held, 1 a verdict, 2 usage, 3 no verdict, 130 Ctrl-C: whatever happens inside."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from running import cli
from tiny_models import save_dense, save_prelu, save_relu

from prelu_tools import __version__
from prelu_tools.cli.commands import inspect as inspect_module
from prelu_tools.cli.main import _COMMANDS
from prelu_tools.core.errors import (
    MissingExtraError,
    PReLUToolsError,
    UsageError,
)
from prelu_tools.core.results.verification.result import ExportVerificationError


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return save_prelu(tmp_path / "net.onnx")


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("--version",)])
def test_help_and_version_hold(arguments: tuple[str, ...]) -> None:
    found = cli(*arguments)
    assert (found.code, found.err) == (0, "")
    assert __version__ in found.out or all(name in found.out for name in _COMMANDS)


@pytest.mark.parametrize("name", sorted(_COMMANDS))
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_each_command_has_help(name: str, option: str) -> None:
    found = cli(name, option)
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"Usage: prelu-tools {name} ")


@pytest.mark.parametrize(
    "name",
    sorted(_COMMANDS),
)
def test_help_fits_eighty_columns(name: str) -> None:
    assert max(map(len, cli(name, "--help").out.splitlines())) <= 80


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("inspect",),
        ("inspect", "a.onnx", "--nonsense"),
        ("inspect", "a.onnx", "--format", "nonsense"),
        ("inspect", "a.onnx", "--report", "nonsense=x"),
        ("inspect", "a.onnx", "--expect-layers", "-1"),
        ("inspect", "a.onnx", "--expect-layers", "some"),
        ("verify", "a.onnx"),
        ("verify", "a.onnx", "b.onnx", "--format", "nonsense"),
        ("export", "a.py:Net"),
        ("doctor", "more"),
    ],
)
def test_a_request_that_makes_no_sense_is_usage(arguments: tuple[str, ...]) -> None:
    found = cli(*arguments)
    assert (found.code, found.out) == (2, "")
    assert "Error: " in found.err


@pytest.mark.parametrize("content", [None, b"", b"text\n", b"\x00" * 64, b"\x08\x07" * 40])
def test_a_file_that_is_missing_or_no_model_is_no_verdict(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    if content is not None:
        path.write_bytes(content)
    found = cli("inspect", path)
    assert (found.code, found.out) == (3, "")
    assert str(path) in found.err
    assert "bug in prelu-tools" not in found.err


def test_a_folder_is_no_verdict(tmp_path: Path) -> None:
    assert cli("inspect", tmp_path / "nowhere").code == 3


@pytest.mark.parametrize(("expected", "code"), [(1, 0), (0, 1), (2, 1)])
def test_expect_layers_notices_a_layer_that_vanished(net: Path, expected: int, code: int) -> None:
    found = cli("inspect", net, "--expect-layers", expected)
    assert found.code == code
    assert ("PReLU layers, found 1" in found.err) == (code == 1)
    assert "act" in found.out


def test_expect_layers_notices_that_all_are_gone(tmp_path: Path) -> None:
    relu = save_relu(tmp_path / "relu.onnx")
    assert cli("inspect", relu).code == 0
    assert cli("inspect", relu, "--expect-layers", 0).code == 0
    assert cli("inspect", relu, "--expect-layers", 1).code == 1


def test_only_a_verdict_of_verify_exits_1(tmp_path: Path) -> None:
    left = save_dense(tmp_path / "left.onnx")
    right = save_dense(tmp_path / "right.onnx", slopes=(0.25, 0.5, 1.5))
    codes = [cli("verify", left, other).code for other in (left, right, tmp_path / "no.onnx")]
    assert codes == [0, 1, 3]


_ERRORS = (
    (PReLUToolsError("found this"), 3),
    (UsageError("found this"), 2),
    (ExportVerificationError("found this"), 1),
    (MissingExtraError("it", "torch", "to read it"), 3),
    (click.ClickException("found this"), 3),
    (click.FileError("name", "found this"), 3),
    (click.UsageError("found this"), 2),
    (RuntimeError("found this"), 3),
    (MemoryError("found this"), 3),
    (OSError("found this"), 3),
    (AssertionError("found this"), 3),
)


@pytest.mark.parametrize(
    ("error", "code"), _ERRORS, ids=[type(error).__name__ for error, _ in _ERRORS]
)
def test_each_error_has_its_code_and_no_traceback(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ctx: click.Context) -> None:
        raise error

    monkeypatch.setattr(inspect_module.command, "invoke", fail)
    found = cli("inspect", "net.onnx")
    assert (found.code, found.out) == (code, "")
    assert "Error: " in found.err
    assert "Traceback" not in found.err
    known = isinstance(error, (PReLUToolsError, click.ClickException, MemoryError))
    assert ("bug in prelu-tools" in found.err) != known


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_is_130(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(ctx: click.Context) -> None:
        raise error

    monkeypatch.setattr(inspect_module.command, "invoke", stop)
    found = cli("inspect", "net.onnx")
    assert found.code == 130
    assert "Stopped." in found.err


def test_an_end_of_file_is_no_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ctx: click.Context) -> None:
        raise EOFError("found this")

    monkeypatch.setattr(inspect_module.command, "invoke", fail)
    assert cli("inspect", "net.onnx").code == 3


@pytest.mark.parametrize("status", [0, 1, "a sentence"])
def test_an_exit_from_within_is_no_verdict(
    status: int | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(ctx: click.Context) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(inspect_module.command, "invoke", leave)
    assert cli("inspect", "net.onnx").code == 3


def test_verbose_shows_where_a_defect_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(ctx: click.Context) -> None:
        raise RuntimeError("found this")

    monkeypatch.setattr(inspect_module.command, "invoke", fail)
    found = cli("inspect", "net.onnx", "-v")
    assert found.code == 3
    assert "Traceback" in found.err
    assert "in fail" in found.err
