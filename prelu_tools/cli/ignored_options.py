"""Options that count only beside others: where they would be ignored, the command is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import click
from click.core import ParameterSource

_Values = Mapping[str, Any]


class _Rule(NamedTuple):
    """When some options count."""

    names: tuple[str, ...]
    """Their parameters."""
    counts: Callable[[_Values], bool]
    """Whether they do, by the values of all parameters."""
    why: str
    """Why not, and what to do."""


def _draws(values: _Values) -> bool:
    return values["inputs_file"] is None or values["samples"] is not None


_RULES: Final[Mapping[str, tuple[_Rule, ...]]] = {
    "verify": (
        _Rule(
            ("ranges", "seed", "search_seconds"),
            _draws,
            "--inputs replays what is in the file and draws nothing: give --samples to draw too",
        ),
        _Rule(("min_power",), lambda values: values["power"], "--no-power plants no faults"),
        _Rule(
            ("search_seconds", "power", "min_power"),
            lambda values: not values["quick"],
            "--quick searches nothing and plants no faults",
        ),
        _Rule(
            ("min_coverage", "strict_special"),
            lambda values: values["layers"],
            "--no-layers skips the layers",
        ),
        _Rule(
            ("allow_fallback",),
            lambda values: any(provider != "cpu" for provider in values["providers"]),
            "the CPU provider runs every node: add another --provider",
        ),
    ),
    "optimize": (
        _Rule(
            ("tune", "tune_seconds", "choices"),
            lambda values: values["target"] == "onnxruntime-cpu",
            "forms are chosen for --target onnxruntime-cpu only",
        ),
        _Rule(
            ("tune", "tune_seconds"),
            lambda values: values["choices"] is None,
            "--choices says which forms to write",
        ),
        _Rule(
            ("tune_seconds",), lambda values: values["tune"] is not False, "--no-tune times nothing"
        ),
        _Rule(
            ("slope_axis",),
            lambda values: values["repair_slopes"],
            "slopes are moved to another axis with --repair-slopes only",
        ),
    ),
}


class Command(click.Command):
    """A command that refuses options which would be ignored."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        options = {param.name: param.opts[0] for param in self.params}
        for rule in _RULES.get(self.name or "", ()):
            for name in rule.names:
                given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
                if given and not rule.counts(ctx.params):
                    raise click.UsageError(f"{options[name]} would be ignored: {rule.why}", ctx)
        return super().invoke(ctx)
