"""The one compiled program of a structure: meta-training of many runs, batched and sharded."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from toylin._internal.shapes import Array, Bool, Float
from toylin.landscape import distance_to_minimum
from toylin.models import DeepLinear, end_to_end, predict
from toylin.rules import MAML, Rule
from toylin.sweeps._problem import Problem
from toylin.sweeps._shots import ShotsTable, nodes_at
from toylin.tasks import LinearRegression, loss_degrees
from toylin.training import ExactLoss, SampledLoss
from toylin.training._drawing import block_size, in_parts
from toylin.training._joint import JointLoss, JointSampledLoss
from toylin.training._loop import Loop, advance, begin

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
    diverged_at: Float[Array, ""]
    converged_at: Float[Array, ""]


class Recipe(NamedTuple):
    """What is compiled in besides the structure of the problem.

    ``loss`` is "exact" or "sampled"; ``tabulated``: the shots are a row of a table. ``inputs`` is
    the length of ``Result.weights``; 0 where the model has no end-to-end vector.
    """

    num_steps: int
    record_every: int
    loss: str
    test_tasks: int
    learn_rule: bool
    tolerance: float
    dtype: str
    tabulated: bool = False
    noiseless: bool = False
    inputs: int = 0


class Inputs(NamedTuple):
    """The numbers of a run: leaves of its problem, its row in the table of shots, its seed."""

    problem: Problem
    row: Any
    seed: Any


def model_function(model: Any) -> Any:
    """The model as a function; the deep linear one as that for which there are formulas."""
    return predict if isinstance(model, DeepLinear) else lambda params, x: model(params, x)


def _as_number(leaf: Any, dtype: np.dtype) -> Array:
    """A setting in the float type of the run; arrays of integers are data (bytes, counts)."""
    whole = jnp.ndim(leaf) > 0 and jax.dtypes.issubdtype(jnp.result_type(leaf), np.integer)
    return jnp.asarray(leaf) if whole else jnp.asarray(leaf, dtype)


def start(problem: Problem, seed: Any, dtype: str) -> tuple[Any, Rule, tuple[Array, Array]]:
    """Where a run starts: parameters, rule, and the keys of its tasks and of its evaluation."""
    key_init, key_train, key_eval = jax.random.split(jax.random.key(seed), 3)
    params = problem.model.init(key_init, problem.tasks, np.dtype(dtype))
    return params, problem.rule_for(params), (key_train, key_eval)


class _Losses(NamedTuple):
    """The loss to train on, and ``evaluate(params, rule, key)``, the one to report."""

    train: Any
    evaluate: Any


def _losses(
    inputs: Inputs, params: Any, rule: Rule, table: ShotsTable | None, recipe: Recipe
) -> _Losses:
    problem, tasks = inputs.problem, inputs.problem.tasks
    if recipe.loss == "sampled":
        model = model_function(problem.model)
        sizes = (problem.loss.num_tasks, problem.loss.num_queries)
        # A fresh point's loss in expectation is the population's: where the law and the model know
        # that, evaluation draws no queries.
        known = problem.linear and hasattr(tasks, "population")
        eval_sizes = (recipe.test_tasks, None if known else problem.loss.num_queries)

        def score(params: Any, rule: Rule, key: Any) -> Array:
            loss = SampledLoss(tasks, rule, *eval_sizes, model)
            parts = loss.for_training(params, recipe.noiseless)
            return parts.on(params, parts.draw(key))

        train = SampledLoss(tasks, rule, *sizes, model).for_training(params, recipe.noiseless)
        return _Losses(JointSampledLoss(train) if recipe.learn_rule else train, score)
    if recipe.tabulated:
        assert table is not None
        degree = loss_degrees(len(params), rule.steps)[0]
        tasks = nodes_at(tasks, table, inputs.row, degree, np.dtype(recipe.dtype))
    exact = ExactLoss(tasks, rule)
    loss = JointLoss(exact) if recipe.learn_rule else exact
    return _Losses(in_parts(loss, params), lambda params, rule, _: ExactLoss(tasks, rule)(params))


def _observe(tolerance: float) -> Any:
    def since(state: Array, i: Array, _params: Any, _value: Array, norm: Array) -> Array:
        # The first iteration of the present stretch of small gradients.
        return jnp.where(norm <= tolerance, state, i + 1)

    return since


def train(
    inputs: Inputs,
    table: ShotsTable | None,
    recipe: Recipe,
    *,
    runs: int = 1,
    unrolled: bool = False,
) -> Result:
    """Meta-train one run, of ``runs`` that are mapped together, and measure it.

    ``unrolled``: with trip counts that can be read off the traced program.
    """
    dtype = np.dtype(recipe.dtype)
    problem = jax.tree.map(lambda x: _as_number(x, dtype), inputs.problem)
    inputs = inputs._replace(problem=problem)
    params, rule, (key_train, key_eval) = start(problem, inputs.seed, recipe.dtype)
    losses = _losses(inputs, params, rule, table, recipe)
    steps = recipe.num_steps + 1  # the last one measures where training ended
    key = key_train if recipe.loss == "sampled" else None
    loop = Loop(
        problem.optimizer.build(),
        steps,
        recipe.record_every,
        trajectory=False,
        observe=_observe(recipe.tolerance),
        ahead=block_size(losses.train, key, steps, runs),
        measure_end=True,
    )
    trained = (params, rule) if recipe.learn_rule else params
    carry = begin(loop, losses.train, trained, key, jnp.zeros((), jnp.int32))
    carry = advance(loop, losses.train, carry, key, 0, steps if unrolled else jnp.int32(steps))
    params, rule = carry.params if recipe.learn_rule else (carry.params, rule)
    sampled = recipe.loss == "sampled"
    final = losses.evaluate(params, rule, key_eval) if sampled else carry.loss[-1]
    finite = carry.diverged_at == steps
    diverged = ~finite | ~jnp.isfinite(final) | (final > DIVERGED * carry.loss[0])
    # Where the loss has overflowed its gradient may read 0, which is no convergence.
    converged = (carry.observed <= recipe.num_steps) & ~diverged
    return Result(
        final_loss=final,
        unadapted_loss=losses.evaluate(params, MAML(0.0, steps=0), key_eval),
        loss=carry.loss,
        grad_norm=carry.grad_norm,
        weights=_weights(params, recipe),
        distance_to_minimum=_distance(params, rule, inputs, table, recipe),
        diverged=diverged,
        diverged_at=jnp.where(finite, jnp.nan, carry.diverged_at.astype(dtype)),
        converged_at=jnp.where(converged, carry.observed.astype(dtype), jnp.nan),
    )


def _weights(params: Any, recipe: Recipe) -> Array:
    """The end-to-end vector, filled up to the longest in the sweep."""
    if not recipe.inputs:
        return jnp.zeros(0, np.dtype(recipe.dtype))
    weights = end_to_end(params)[0]
    missing = jnp.full(recipe.inputs - weights.size, jnp.nan, weights.dtype)
    return jnp.concatenate([weights, missing])


def _distance(
    params: Any, rule: Rule, inputs: Inputs, table: ShotsTable | None, recipe: Recipe
) -> Array:
    nothing = jnp.full((), jnp.nan, np.dtype(recipe.dtype))
    tasks = inputs.problem.tasks
    if recipe.learn_rule or not inputs.problem.linear or not isinstance(tasks, LinearRegression):
        return nothing
    distance = distance_to_minimum(params, tasks, rule)
    if distance is None:
        return nothing
    if len(params) == 1:
        return distance
    if recipe.tabulated:
        assert table is not None
        return jnp.where(jnp.asarray(table.per_shot)[inputs.row] == 0, distance, jnp.nan)
    return distance


@partial(jax.jit, static_argnames=("axes", "recipe", "mesh"))
def run_chunk(
    inputs: Inputs,
    table: ShotsTable | None,
    *,
    axes: tuple[int | None, ...],
    recipe: Recipe,
    mesh: Mesh,
) -> Result:
    """``train`` for a chunk of runs, split over the devices of ``mesh``.

    ``axes`` says of each leaf of ``inputs`` whether it has a leading axis of runs (0) or is the
    same for all (None). Every device maps over its own runs: they need nothing from each other.
    """
    leaves, treedef = jax.tree.flatten(inputs)

    def share(leaves: list[Array], table: ShotsTable | None) -> Result:
        runs = len(leaves[-1])  # of the seeds, which every run has its own of

        def one(leaves: list[Array]) -> Result:
            return train(jax.tree.unflatten(treedef, leaves), table, recipe, runs=runs)

        return jax.vmap(one, in_axes=(list(axes),))(leaves)

    many, same = PartitionSpec("runs"), PartitionSpec()
    per_leaf = [same if axis is None else many for axis in axes]
    split = jax.shard_map(
        share, mesh=mesh, in_specs=(per_leaf, same), out_specs=many, check_vma=False
    )
    return split(leaves, table)
