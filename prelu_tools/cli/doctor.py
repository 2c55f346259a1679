"""`prelu-tools doctor`."""

from __future__ import annotations

import click

from prelu_tools.cli.options import output_options


@click.command("doctor")
@output_options
def command(form: str, reports: tuple[tuple[str, str], ...], quiet: bool, verbose: bool) -> int:
    """Show what is installed, what works, which providers really load, and what to install.

    Exits with 3 if the core itself does not work.
    """
    from prelu_tools.cli.output import Output
    from prelu_tools.commands.doctor import doctor

    result = doctor()
    Output(form, reports, quiet).show(result)
    return 0 if result.works else 3
