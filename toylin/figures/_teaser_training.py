"""The shallow and the deep model of the teaser, meta-trained side by side by one program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.figures._held import HeldDraws, held_maml
from toylin.models import Params, init
from toylin.rules import MAML
from toylin.training import SampledLoss, meta_train

IS_SHALLOW = np.array([True, False])  # in the order of the paths


def layers_free(shallow: Any) -> tuple[Any, Any]:
    """The shallow model is the deep one with its lower layer held at the identity."""
    return jnp.logical_not(shallow), jnp.ones_like(shallow)


def paths_of_both(
    tasks: Any,
    rule: MAML,
    settings: dict[str, Any],
    sizes: tuple[int, int],
    seed: int,
    checkpoints: np.ndarray,
) -> Params:
    """Every seed's parameters at the checkpoints, for the shallow and then for the deep model.

    A seed draws the same tasks for both, and the weights of the shallow model are the first row of
    the deep model's lower layer.
    """
    import optax

    optimizer = optax.adam(settings["learning_rate"])

    def run(key: jax.Array, shallow: jax.Array) -> Params:
        key_init, key_train = jax.random.split(key)
        lower, upper = init(key_init, settings["widths"]["deep"], settings["init_scale"])
        start = (lower, jnp.where(shallow, lower[:1], upper))
        held = held_maml(rule.step_size, rule.steps, layers_free(shallow))
        loss = HeldDraws(SampledLoss(tasks, held, *sizes).for_training(start), layers_free(shallow))
        done = meta_train(loss, start, optimizer, settings["num_steps"], key_train, trajectory=True)
        return jax.tree.map(lambda w: w[checkpoints], done.trajectory)

    over_seeds = jax.vmap(run, in_axes=(0, None))
    keys = jax.random.split(jax.random.key(seed), settings["seeds"])
    return jax.jit(jax.vmap(over_seeds, in_axes=(None, 0)))(keys, IS_SHALLOW)
