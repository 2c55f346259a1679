"""A few steps of training on made-up data, so that slopes and norms are not the first ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.honest.registry import HonestNet

STEPS = 6


def train(honest: HonestNet, model: Any, seed: int) -> None:
    """Train in place; a torch module is in eval mode afterwards."""
    if honest.framework == "torch":
        _train_torch(honest, model, seed)
    else:
        _train_keras(honest, model, seed)


def _train_torch(honest: HonestNet, model: Any, seed: int) -> None:
    import torch

    slopes = [p for m in model.modules() if isinstance(m, torch.nn.PReLU) for p in m.parameters()]
    known = {id(slope) for slope in slopes}
    others = [p for p in model.parameters() if id(p) not in known]
    optimizer = torch.optim.Adam(
        [
            {"params": {id(s): s for s in slopes}.values(), "lr": 0.05},
            {"params": others, "lr": 3e-3},
        ]
    )
    forward = getattr(model, "raw", model)
    model.train()
    for step in range(STEPS):
        batch = honest.examples(1000 * seed + step, batch=4)
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        found = forward(**tensors)
        rng = np.random.default_rng((seed, step))
        losses = [
            (_loss(honest, output, rng, tensors))
            for output in leaves(found)
            if output.requires_grad
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():  # slopes as trained nets have them: some negative, some above 1
        generator = torch.Generator().manual_seed(seed)
        for slope in {id(s): s for s in slopes}.values():
            slope += 0.25 * torch.randn(slope.shape, generator=generator)
    model.eval()


def _loss(honest: HonestNet, output: Any, rng: np.random.Generator, tensors: dict[str, Any]) -> Any:
    import torch
    import torch.nn.functional as F  # noqa: N812

    if honest.task == "classify" and output.ndim == 2:
        labels = torch.from_numpy(rng.integers(0, output.shape[1], len(output)))
        return F.cross_entropy(output, labels)
    if honest.task == "restore" and output.ndim == 4:
        (picture,) = tensors.values()
        return (
            (output - F.interpolate(picture.mean(1, keepdim=True), size=output.shape[2:]))
            .pow(2)
            .mean()
        )
    target = torch.from_numpy(rng.uniform(0, 1, tuple(output.shape)).astype(np.float32))
    return F.smooth_l1_loss(output, target)


def _train_keras(honest: HonestNet, model: Any, seed: int) -> None:
    import keras

    optimizer = keras.optimizers.Adam(5e-3, clipnorm=1.0)
    import tensorflow as tf

    for step in range(STEPS):
        batch = honest.examples(1000 * seed + step, batch=4)
        rng = np.random.default_rng((seed, step))
        with tf.GradientTape() as tape:
            outputs = [o for o in leaves(call(model, batch, training=True)) if o.dtype.is_floating]
            loss = sum(
                tf.reduce_mean(tf.square(o - rng.uniform(0, 1, tuple(o.shape)).astype(np.float32)))
                for o in outputs
            )
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        pairs = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        optimizer.apply_gradients(pairs)
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.name == "alpha":
            moved = 0.25 + 0.25 * generator.standard_normal(tuple(variable.shape))
            variable.assign(variable.numpy() + moved.astype(np.float32))


def call(model: Any, batch: dict[str, np.ndarray[Any, Any]], *, training: bool = False) -> Any:
    """Call a Keras model with inputs by name."""
    if len(batch) == 1:
        return model(next(iter(batch.values())), training=training)
    return model(batch, training=training)


def leaves(found: Any) -> list[Any]:
    """The tensors of an output, however they are nested; of a mapping in its own order."""
    if isinstance(found, dict):
        return [leaf for value in found.values() for leaf in leaves(value)]
    if isinstance(found, Iterable) and isinstance(found, (list, tuple)):
        return [leaf for value in found for leaf in leaves(value)]
    return [found]
