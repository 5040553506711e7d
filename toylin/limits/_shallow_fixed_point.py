"""Where meta-training of the shallow model on a finite set of tasks rests, whatever the rule."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from toylin import autodiff
from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.rules import Rule
from toylin.tasks import Batch, Minibatches, RegressionMoments, RegressionPoints


def shallow_fixed_point(batch: Batch, rule: Rule) -> tuple[Float[Array, "outputs dim"]]:
    """The start at which the outer gradient of the shallow model is zero, of least norm.

    On squared errors an affine rule makes that gradient an affine map G w - z of the start, so that
    its zero is solved for: w = G^+ z. For MAML it is the minimiser of the outer loss on these
    tasks; for FOMAML and Reptile, whose direction is no gradient, the point at which they rest.
    With ``MAML(0.0)``, or no steps, it is joint training: least squares on all queries.

    Args:
        batch: tasks of any number of outputs, ``RegressionPoints`` or ``RegressionMoments``, or as
            supports ``Minibatches`` of them; few tasks with their populations, or samples.
        rule: a rule whose update is one linear map of the gradient, or one that solves for what it
            adapts to (``Proximal``). It may differ from the one that the start is scored by.

    Returns:
        The parameters (W_1,) of the shallow model. Where the tasks leave directions of w open, as
        in an over-parameterised problem, they are zero there (to G's singular values below eps dim
        times the largest).

    Raises:
        ValueError: an argument of the wrong kind, or data that are not those of regression.
        NoClosedFormError: a rule that is not ``affine``.

    Source: Gao and Sener, "Modeling and Optimization Trade-off in Meta-Learning", NeurIPS 2020, for
    one step of MAML on points.

    >>> import toylin as tl
    >>> easy, hard = (tl.LinearRegression(x_cov=a) for a in (1.0, 0.1))
    >>> both = jax.tree.map(
    ...     lambda *x: jnp.stack(x), easy.population([-1.0]), hard.population([1.0])
    ... )
    >>> (w,) = shallow_fixed_point(tl.Batch(both, both), tl.MAML(step_size=0.5))
    >>> print(f"{w[0, 0]:.3f}")  # the easy task at -1 counts for less than without adaptation
    -0.470
    """
    checks.instance("batch", batch, Batch)
    checks.instance("rule", rule, Rule)
    for name, data in (("support", batch.support), ("query", batch.query)):
        shown = data.parts if isinstance(data, Minibatches) else data
        if not isinstance(shown, RegressionPoints | RegressionMoments):
            raise ValueError(
                f"{name} of batch must be RegressionPoints or RegressionMoments, or Minibatches of "
                f"them, got {type(shown).__name__}"
            )
    if not rule.affine:
        raise NoClosedFormError(
            "rule must be one that is affine on squared errors, whose update is one linear map of "
            f"the gradient at every step or Proximal, got {type(rule).__name__}; descend instead: "
            "meta_train(BatchLoss(batch, rule), ...)"
        )
    query: Any = batch.query
    shape = _outputs(query), query.dim
    dtype = float_type(batch)

    def slope(start: Array, batch: Batch) -> Array:
        return autodiff.outer_grad((start.reshape(shape),), batch, rule)[0].ravel()

    # By its values, not by its derivative: a first-order rule hides from that what it drops. Those
    # without targets are G w alone; as differences they would lose what targets are larger by.
    size = shape[0] * shape[1]
    alone = Batch(_without_targets(batch.support), _without_targets(batch.query))
    matrix = jax.vmap(slope, (0, None))(jnp.eye(size, dtype=dtype), alone).T
    at_zero = slope(jnp.zeros(size, dtype), batch)
    return ((jnp.linalg.pinv(matrix) @ -at_zero).reshape(shape),)


def _without_targets(data: Any) -> Any:
    """Data of the same inputs that zero fits."""
    if isinstance(data, Minibatches):
        return dataclasses.replace(data, parts=_without_targets(data.parts))
    names = ("y",) if isinstance(data, RegressionPoints) else ("theta", "xe", "ee")
    zeros = {name: jnp.zeros_like(getattr(data, name)) for name in names}
    return dataclasses.replace(data, **zeros)


def _outputs(data: RegressionPoints | RegressionMoments) -> int:
    """Of data with an axis of tasks."""
    if isinstance(data, RegressionMoments):
        return data.outputs
    return 1 if data.y.ndim == 2 else data.y.shape[2]
