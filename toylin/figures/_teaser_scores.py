"""How good models along a path are after adaptation: exactly, and on held-out tasks."""

from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from toylin import autodiff, closed_form
from toylin.figures._held import Free, held_maml, hold
from toylin.figures._teaser_training import layers_free
from toylin.models import Params
from toylin.rules import MAML
from toylin.tasks import BinaryClassification, BinaryMoments, Data, LinearRegression


def exact_losses(
    paths: Params, is_shallow: np.ndarray, tasks: LinearRegression, rule: MAML
) -> np.ndarray:
    """The closed form along paths of both models, shape (models, seeds, checkpoints)."""

    def exact(params: Params, shallow: jax.Array) -> jax.Array:
        held = held_maml(rule.step_size, rule.steps, layers_free(shallow))
        return closed_form.outer_loss(hold(params, layers_free(shallow)), tasks, held)

    each = jax.vmap(jax.vmap(exact, in_axes=(0, None)), in_axes=(0, None))
    return np.asarray(jax.jit(jax.vmap(each))(paths, is_shallow))


def exact_scores(path: jax.Array, tasks: BinaryClassification, rule: MAML) -> np.ndarray:
    """The closed form along one seed's path: the expectation over all tasks, and all their data."""
    population = dataclasses.replace(tasks, shots=None)

    def loss(w: jax.Array) -> jax.Array:
        return closed_form.outer_loss((w,), population, rule)

    return np.asarray(jax.jit(lambda path: jax.lax.map(loss, path))(path))


@partial(jax.jit, static_argnames="num_tasks")
def held_out_scores(
    paths: Params,
    free: Free,
    tasks: BinaryClassification,
    rule: MAML,
    key: jax.Array,
    num_tasks: int,
) -> jax.Array:
    """Post-adaptation loss and accuracy on the population of held-out tasks, per checkpoint."""
    batch = tasks.sample(key, num_tasks, dtype=paths[0].dtype)

    def at_checkpoint(checkpoint: tuple[Params, Free]) -> jax.Array:
        params = hold(*checkpoint)
        held = held_maml(rule.step_size, rule.steps, checkpoint[1])

        def one(support: Data, query: Data) -> jax.Array:
            assert isinstance(query, BinaryMoments)
            adapted = autodiff.adapt(params, support, held)
            return jnp.stack([query.loss(adapted), query.accuracy(adapted)])

        return jnp.mean(jax.vmap(one)(batch.support, batch.query), axis=0)

    return jax.lax.map(at_checkpoint, (paths, free))
