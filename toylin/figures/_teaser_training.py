"""The shallow and the deep model of the teaser, meta-trained side by side by one program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin.figures._held import HeldDraws
from toylin.models import Params, init
from toylin.rules import MAML
from toylin.training import SampledLoss, meta_train

IS_SHALLOW = np.array([True, False])  # in the order of the paths


def layers_free(shallow: Any) -> tuple[Any, Any]:
    """The shallow model is the deep one with its lower layer held at the identity."""
    return ~shallow, shallow | True


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
    models = len(IS_SHALLOW)

    def run(key: jax.Array) -> Params:
        key_init, key_train = jax.random.split(key)
        lower, upper = init(key_init, settings["widths"]["deep"], settings["init_scale"])
        loss = SampledLoss(tasks, rule, *sizes).for_training((lower, upper))
        start = (
            jnp.broadcast_to(lower, (models, *lower.shape)),
            jnp.stack([lower[:1] if shallow else upper for shallow in IS_SHALLOW]),
        )
        both = HeldDraws(loss, layers_free(IS_SHALLOW))
        done = meta_train(both, start, optimizer, settings["num_steps"], key_train, trajectory=True)
        return jax.tree.map(lambda w: w[checkpoints], done.trajectory)

    paths = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(seed), settings["seeds"]))
    return jax.tree.map(lambda w: np.moveaxis(np.asarray(w), 2, 0), paths)
