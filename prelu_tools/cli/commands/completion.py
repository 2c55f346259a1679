"""`prelu-tools completion`."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print a completion script for bash, zsh or fish.

    It completes commands, options, files, and the names in Python files.

    bash, in ~/.bashrc: eval "$(prelu-tools completion bash)"

    zsh, in ~/.zshrc after compinit: eval "$(prelu-tools completion zsh)"

    fish, in ~/.config/fish/config.fish: prelu-tools completion fish | source
    """
    from click.shell_completion import get_completion_class

    from prelu_tools.cli.completing import VARIABLE
    from prelu_tools.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise AssertionError(f"click has no completion for {shell}")
    click.echo(kind(cli, {}, "prelu-tools", VARIABLE).source(), nl=False)
    return 0
