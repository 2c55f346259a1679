"""The race at the end is short."""

from __future__ import annotations

from short_races import few_rounds

from prelu_tools.commands.optimize import command

_few_rounds = few_rounds(command)
