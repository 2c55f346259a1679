"""A command that refuses options which would be ignored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import click
from click.core import ParameterSource

from prelu_tools.core.requests.effect import refuse_ignored


class RequestOption(click.Option):
    """An option that a field of a request declares."""

    def __init__(self, *args: Any, request: type, **settings: Any) -> None:
        """Keep whose field it is."""
        super().__init__(*args, **settings)
        self.request = request


class Command(click.Command):
    """Exit 2 for an option that has no effect because of another one, given or not."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        options = [param for param in self.params if isinstance(param, RequestOption)]
        for request in dict.fromkeys(option.request for option in options):
            names = [option.name or "" for option in options if option.request is request]
            given = [name for name in names if _is_given(ctx, name)]
            refuse_ignored(SimpleNamespace(**ctx.params), request, given)
        return super().invoke(ctx)


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
