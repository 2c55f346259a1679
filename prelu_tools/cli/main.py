"""The command group; every error becomes one sentence and an exit code of the contract.

0: all held. 1: a verdict against a model. 2: usage. 3: no verdict. 130: Ctrl-C; 143: SIGTERM, and
129: SIGHUP. Click and Python use 1 for many other things, so all exit codes are mapped here.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import sys
from typing import Any, NoReturn

import click

from prelu_tools import __version__
from prelu_tools.core.process.stopping import Stopped, stop_at_signals
from prelu_tools.core.process.waiting import let_threads_sleep

EXIT_VERDICT, EXIT_USAGE, EXIT_NO_VERDICT, EXIT_INTERRUPTED = 1, 2, 3, 130

# The short help texts are here, so that `--help` imports no command.
_COMMANDS = {
    "completion": "Print the completion script for bash, zsh or fish.",
    "doctor": "Show what is installed, what works, and what to install.",
    "export": "Export a Keras or PyTorch model to ONNX, with PReLU as PRelu nodes.",
    "init": "Write a list of checks for the models in this folder.",
    "inspect": "Show the PReLU slopes of a model, layer by layer.",
    "optimize": "Rewrite PReLU in the form that runs fastest, and prove that it is equal.",
    "quantize": "Quantize a model to int8, PReLU included, and measure what it costs in accuracy.",
    "record": "Record a run of a model in a file, to verify without its framework.",
    "verify": "Prove that candidates compute what a reference computes.",
}


class _LazyGroup(click.Group):
    """Imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"prelu_tools.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command; of one that is mistyped, the one that was meant."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(name, _COMMANDS, n=1)
            meant = f"did you mean {near[0]}?" if near else f"expected {', '.join(_COMMANDS)}"
            raise click.UsageError(f"there is no command {name!r}: {meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="prelu-tools")
def cli() -> None:
    """Export models with PReLU to ONNX, and prove that every learned slope arrived.

    A SOURCE is model.onnx, model.keras, or Python: nets.py:Net(10) or package.module:name,
    optionally followed by @weights.pt. Python sources are treated as your own code and are run.

    \b
    Exit codes: 0 everything passed; 1 a model failed its check; 2 usage error;
    3 no verdict (something is missing or unreadable); 130 Ctrl-C.
    """


def main() -> NoReturn:
    """Run the command line, and exit.

    The process ends without finalizing the interpreter, which costs a tenth of a second and
    sometimes crashes native libraries: the exit code is that of the verdict.
    """
    gc.set_threshold(100_000)  # imports drop few objects: collecting costs a tenth of the time
    let_threads_sleep()
    if sys.argv[1:2] == ["inspect"]:  # no matrix products: threads only slow the start
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _open_streams()
    stop_at_signals()
    code = EXIT_NO_VERDICT
    try:
        code = run(sys.argv[1:])
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:  # a full stream, or a pipe without a reader: already reported
        code = EXIT_NO_VERDICT
    finally:
        os._exit(code)


def _open_streams() -> None:
    """Have three streams whatever the caller has closed, and let each write any character.

    A file that is opened later must not become standard output. What is closed on purpose is not
    missed: the exit code says what was found.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this one
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        if number and isinstance(getattr(sys, name), io.TextIOWrapper):
            getattr(sys, name).reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    completing = "_PRELU_TOOLS_COMPLETE" in os.environ
    if completing:
        importlib.import_module("prelu_tools.cli.completing")
    try:
        code = cli.main(arguments, prog_name="prelu-tools", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        if isinstance(stop.__context__, EOFError):  # click treats it as an interrupt
            return _explain(stop.__context__, _is_verbose(arguments))
        _tell("\nStopped.")
        return EXIT_INTERRUPTED
    except Stopped as stop:
        _tell("Stopped.")
        return stop.code
    except click.UsageError as error:
        _show(error)
        return EXIT_USAGE
    except click.ClickException as error:
        _show(error)
        return EXIT_NO_VERDICT
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_VERDICT
    except SystemExit as stop:  # click's: completions were shown, or a pipe's reader went away
        return 0 if completing and not stop.code else EXIT_NO_VERDICT
    except Exception as error:
        return _explain(error, _is_verbose(arguments))


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # standard error is full, or gone
        click.echo(text, err=True)


def _show(error: click.ClickException) -> None:
    with contextlib.suppress(OSError, ValueError):
        error.show()


def _is_verbose(arguments: list[str]) -> bool:
    return "-v" in arguments or "--verbose" in arguments


def _explain(error: Exception, verbose: bool) -> int:
    from prelu_tools.cli.output import say, say_traceback
    from prelu_tools.core.errors import (
        PReLUToolsError,
        UsageError,
        explained,
    )
    from prelu_tools.core.results.verification.result import ExportVerificationError

    if verbose:
        say_traceback(error)
    codes: dict[type[Any], int] = {
        UsageError: EXIT_USAGE,
        ExportVerificationError: EXIT_VERDICT,
        PReLUToolsError: EXIT_NO_VERDICT,
    }
    say(f"Error: {explained(error)}")
    return next((code for kind, code in codes.items() if isinstance(error, kind)), EXIT_NO_VERDICT)
