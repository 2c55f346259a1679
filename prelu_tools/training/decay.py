"""Exclude slopes from weight decay, as in He et al. (2015).

"It is worth noticing that we do not use weight decay (l2 regularization) when updating a_i. A
weight decay tends to push a_i to zero, and thus biases PReLU toward ReLU." (section 2.2,
https://arxiv.org/abs/1502.01852)
"""

from __future__ import annotations

from typing import Any

from prelu_tools.core.errors import UsageError


def slope_parameter_groups(
    model: Any, weight_decay: float, *, example_inputs: Any = None
) -> list[dict[str, Any]]:
    """The parameters of a `torch.nn.Module` in two groups for an optimizer: slopes without decay.

        torch.optim.AdamW(slope_parameter_groups(model, weight_decay=0.05), lr=1e-3)

    Args:
        model: the module.
        weight_decay: of all other parameters.
        example_inputs: what the module can be called with (a tensor, a tuple or a mapping): then
            its slopes are found as `inspect` finds them, in modules of your own too. None for what
            its method `example_inputs()` returns; without that, they are identified by names and
            shapes: every `nn.PReLU`, and parameters whose own name, or whose module's, suggests
            slopes.

    Returns:
        Two dictionaries with `params` and `weight_decay`: the others, then the slopes.

    Raises:
        UsageError: the module has no slopes, or cannot be run on the example inputs.
    """
    from prelu_tools.backends.torch.live import LiveTorchModel, example_runs

    runs = example_runs(model, example_inputs)
    live = LiveTorchModel(model, [], runs)
    if runs and live.notes:
        raise UsageError(f"the example inputs do not fit {type(model).__name__}: {live.notes[0]}")
    slopes = live.parameters
    if not slopes:
        raise UsageError(
            f"no slopes were found in {type(model).__name__}: give example_inputs= if it has a "
            "custom PReLU module"
        )
    known = {id(parameter) for parameter in slopes}
    others = [parameter for parameter in model.parameters() if id(parameter) not in known]
    return [
        {"params": others, "weight_decay": weight_decay},
        {"params": slopes, "weight_decay": 0.0},
    ]


def exclude_slopes_from_weight_decay(optimizer: Any, model: Any) -> tuple[str, ...]:
    """Leave the slopes of a `keras.Model` out of an optimizer's weight decay.

        optimizer = keras.optimizers.AdamW(weight_decay=0.05)
        exclude_slopes_from_weight_decay(optimizer, model)
        model.compile(optimizer, ...)

    Variables that were excluded before stay excluded. The penalty of an `alpha_regularizer` is not
    the optimizer's: leave it out when you create the layer.

    Args:
        optimizer: a Keras optimizer that was not used yet.
        model: the model, built.

    Returns:
        The paths of the variables that were excluded.

    Raises:
        UsageError: the optimizer was used already, or the model is not built, or has no slopes.
    """
    from prelu_tools.backends.keras.live import exclude_slopes

    return exclude_slopes(optimizer, model)
