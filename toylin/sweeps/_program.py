"""The one compiled program of a structure: meta-training of many runs, batched and sharded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from toylin import autodiff, closed_form
from toylin._internal.shapes import Array, Bool, Float
from toylin.landscape import distance_to_minimum
from toylin.models import end_to_end, init
from toylin.quadrature import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.rules import MAML
from toylin.tasks import Batch, LinearRegression, estimate_and_posterior, loss_degrees
from toylin.training import SampledLoss

DIVERGED = 1e3  # a final loss this many times the first counts as divergence


class Result(NamedTuple):
    """What is kept of a run. ``records`` counts the recorded iterations, the last one included."""

    final_loss: Float[Array, ""]
    unadapted_loss: Float[Array, ""]
    loss: Float[Array, " records"]
    grad_norm: Float[Array, " records"]
    weights: Float[Array, " inputs"]
    distance_to_minimum: Float[Array, ""]
    diverged: Bool[Array, ""]
    converged_at: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Structure:
    """All that is compiled in. Equal structures share a program, here and in later sweeps.

    ``loss`` is "nodes" (the expectation over one-dimensional tasks, any number of shots by a
    table), "exact" (any other closed form) or "sampled".
    """

    widths: tuple[int, ...]
    inputs: int
    num_steps: int
    record_every: int
    loss: str
    num_tasks: int
    num_queries: int | None
    eval_tasks: int
    noiseless: bool
    learn_rule: bool
    make_rule: Callable[[Any], Any] | None
    tolerance: float
    dtype: str


class Settings(NamedTuple):
    """The numbers of a run; ``shots_row`` is its row in the table of ``shots_table``."""

    tasks: Any
    rule: Any
    optimizer: Any
    scale: Any
    shots_row: Any


class ShotsTable(NamedTuple):
    """For each number of shots, the Gauss nodes of S / x_cov, their log weights, and 1/K."""

    second_moment: Float[np.ndarray, "rows nodes"]
    log_weight: Float[np.ndarray, "rows nodes"]
    per_shot: Float[np.ndarray, " rows"]


def shots_table(shots: tuple[int | None, ...], depth: int, steps: int) -> ShotsTable:
    """Nodes that are exact for every one of ``shots``; the population has S = x_cov throughout."""
    finite = any(k is not None for k in shots)
    num = nodes_for_degree(loss_degrees(depth, steps)[1]) if finite else 1
    nodes, weights = [], []
    for k in shots:
        if k is None:
            nodes.append(np.ones(num))
            weights.append(np.full(num, -np.log(num)))
        else:
            g, weight = gauss_gamma(num, k / 2)
            nodes.append(2 / k * g)
            weights.append(weight)
    per_shot = np.array([0.0 if k is None else 1 / k for k in shots])
    return ShotsTable(np.stack(nodes), np.stack(weights), per_shot)


def _nodes(settings: Settings, table: ShotsTable, structure: Structure) -> Batch:
    """As ``quadrature_batch``, with the number of shots a number like others."""
    dtype = np.dtype(structure.dtype)
    degree, _ = loss_degrees(len(structure.widths) - 1, settings.rule.steps)
    z, z_weight = gauss_normal(nodes_for_degree(degree))
    ratio, log_weight, per_shot = (
        jnp.asarray(column, dtype)[settings.shots_row] for column in table
    )
    spread = jnp.asarray(settings.tasks.x_cov, dtype).reshape(())
    grids = jnp.meshgrid(jnp.asarray(z, dtype), spread * ratio)
    grid_z, second_moment = (grid.ravel() for grid in grids)
    weights = (log_weight[:, None] + jnp.asarray(z_weight, dtype)).ravel()
    support, query = estimate_and_posterior(settings.tasks, second_moment, grid_z, dtype, per_shot)
    return Batch(support, query, jnp.zeros((grid_z.size, 1), dtype), weights)


class _Loss(NamedTuple):
    """The loss of a run: ``draw(key)`` is what it samples (None where it is exact)."""

    draw: Callable[[Any], Any]
    value: Callable[[Any, Any, Any], Array]
    evaluate: Callable[[Any, Any, Any], Array]


def _loss(settings: Settings, table: ShotsTable | None, structure: Structure) -> _Loss:
    dtype = np.dtype(structure.dtype)
    if structure.loss == "sampled":
        tasks, num, queries = settings.tasks, structure.num_tasks, structure.num_queries
        train = SampledLoss(tasks, settings.rule, num, queries, structure.noiseless)
        # A fresh point's loss in expectation is the population's: evaluation draws no queries.
        score = SampledLoss(tasks, settings.rule, structure.eval_tasks, None, structure.noiseless)
        return _Loss(
            lambda key: train.draw(key, dtype),
            lambda params, rule, draw: autodiff.outer_loss(params, draw, rule),
            lambda params, rule, key: autodiff.outer_loss(params, score.draw(key, dtype), rule),
        )
    tasks = settings.tasks
    if structure.loss == "nodes":
        assert table is not None
        tasks = _nodes(settings, table, structure)

    def value(params: Any, rule: Any, _: Any) -> Array:
        return closed_form.outer_loss(params, tasks, rule)

    return _Loss(lambda _: None, value, value)


def _norm(grads: Any) -> Array:
    return jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(grads)))


def train(
    settings: Settings, seed: Array, table: ShotsTable | None, structure: Structure
) -> Result:
    """Meta-train one run and measure it."""
    dtype = np.dtype(structure.dtype)
    row = settings.shots_row
    settings = jax.tree.map(lambda x: jnp.asarray(x, dtype), settings)._replace(shots_row=row)
    key_init, key_train, key_eval = jax.random.split(jax.random.key(seed), 3)
    params = init(key_init, structure.widths, settings.scale, dtype)
    rule = settings.rule if structure.make_rule is None else structure.make_rule(params)
    settings = settings._replace(rule=rule)
    loss = _loss(settings, table, structure)
    optimizer = settings.optimizer.build()

    def split(trained: Any) -> tuple[Any, Any]:
        return trained if structure.learn_rule else (trained, rule)

    def slope(trained: Any, draw: Any) -> tuple[Array, Any]:
        return jax.value_and_grad(lambda t: loss.value(*split(t), draw))(trained)

    every, records = structure.record_every, structure.num_steps // structure.record_every

    def step(i: Array, carry: Any) -> Any:
        trained, state, since, t, finite, keys, first = carry
        # Drawn as they are needed: the runs of a chunk are many enough to fill the vector units.
        value, grads = slope(trained, loss.draw(keys[i]))
        norm = _norm(grads)
        updates, state = optimizer.update(grads, state, trained)
        trained = jax.tree.map(lambda p, u: (p + u).astype(p.dtype), trained, updates)
        # `since` is the first iteration of the present stretch of small gradients.
        since = jnp.where(norm <= structure.tolerance, since, t + 1)
        finite &= jnp.isfinite(value) & jnp.isfinite(norm)
        first = jax.tree.map(lambda new, old: jnp.where(i == 0, new, old), (value, norm), first)
        return trained, state, since, t + 1, finite, keys, first

    def record(carry: Any, block: Any) -> tuple[Any, tuple[Array, Array]]:
        (trained, *rest), _ = carry
        number, key = block
        # The block after the last measures where training ended: one step, whose update is dropped.
        count = jnp.where(number == records, 1, every)
        keys = jax.random.split(key, every)
        zero = jnp.zeros((), dtype)
        *moved, _, first = jax.lax.fori_loop(0, count, step, (trained, *rest, keys, (zero, zero)))
        return (tuple(moved), trained), first

    keys = jax.random.split(key_train, records + 1)
    trained = (params, rule) if structure.learn_rule else params
    start = (trained, optimizer.init(trained), jnp.array(0), jnp.array(0), jnp.array(True))
    (moved, trained), (values, norms) = jax.lax.scan(
        record, (start, trained), (jnp.arange(records + 1), keys)
    )
    _, _, since, _, finite = moved
    params, rule = split(trained)
    final = values[-1] if structure.loss != "sampled" else loss.evaluate(params, rule, key_eval)
    diverged = ~finite | ~jnp.isfinite(final) | (final > DIVERGED * values[0])
    # Where the loss has overflowed its gradient may read 0, which is no convergence.
    converged = (since <= structure.num_steps) & ~diverged
    weights = end_to_end(params)[0]
    missing = jnp.full(structure.inputs - weights.size, jnp.nan, dtype)
    return Result(
        final_loss=final,
        unadapted_loss=loss.evaluate(params, MAML(0.0, steps=0), key_eval),
        loss=values,
        grad_norm=norms,
        weights=jnp.concatenate([weights, missing]),
        distance_to_minimum=_distance(params, rule, settings, table, structure),
        diverged=diverged,
        converged_at=jnp.where(converged, since.astype(dtype), jnp.nan),
    )


def _distance(
    params: Any, rule: Any, settings: Settings, table: ShotsTable | None, structure: Structure
) -> Array:
    nothing = jnp.full((), jnp.nan, np.dtype(structure.dtype))
    if structure.learn_rule or not isinstance(settings.tasks, LinearRegression):
        return nothing
    distance = distance_to_minimum(params, settings.tasks, rule)
    if distance is None:
        return nothing
    if len(params) == 1:
        return distance
    if structure.loss == "nodes":
        assert table is not None
        per_shot = jnp.asarray(table.per_shot)[settings.shots_row]
        return jnp.where(per_shot == 0, distance, jnp.nan)
    return distance


@partial(jax.jit, static_argnames=("axes", "structure", "mesh"))
def run_chunk(
    settings: Settings,
    seeds: Array,
    table: ShotsTable | None,
    *,
    axes: tuple[int | None, ...],
    structure: Structure,
    mesh: Mesh,
) -> Result:
    """``train`` for a chunk of runs, split over the devices of ``mesh``.

    ``axes`` says of each leaf of ``settings`` whether it has a leading axis of runs (0) or is the
    same for all (None). Every device maps over its own runs: they need nothing from each other.
    """
    leaves, treedef = jax.tree.flatten(settings)

    def share(leaves: list[Array], seeds: Array, table: ShotsTable | None) -> Result:
        def one(leaves: list[Array], seed: Array) -> Result:
            return train(jax.tree.unflatten(treedef, leaves), seed, table, structure)

        return jax.vmap(one, in_axes=(list(axes), 0))(leaves, seeds)

    runs, same = PartitionSpec("runs"), PartitionSpec()
    per_leaf = [same if axis is None else runs for axis in axes]
    split = jax.shard_map(
        share, mesh=mesh, in_specs=(per_leaf, runs, same), out_specs=runs, check_vma=False
    )
    return split(leaves, seeds, table)
