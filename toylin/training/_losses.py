"""Outer losses as objects: what ``meta_train`` minimises and ``surface`` draws.

Each is a pytree and a function, so that it passes through ``jit`` without a compilation a setting.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import autodiff, closed_form
from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.closed_form._batch_polynomial import BatchPolynomial, polynomial_loss
from toylin.models import Params, is_scalar
from toylin.rules import Rule, Tasks
from toylin.tasks import (
    Batch,
    BinaryClassification,
    LinearRegression,
    RegressionMoments,
    RegressionPoints,
)


@pytree_dataclass
class ExactLoss:
    """``loss(params)``: the expected outer loss, by ``closed_form.outer_loss``."""

    tasks: Tasks
    rule: Rule

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The loss in expectation over tasks, supports and queries."""
        return closed_form.outer_loss(params, self.tasks, self.rule)


@pytree_dataclass
class SampledLoss:
    """``loss(params, key)``: the mean outer loss of freshly sampled tasks.

    What is drawn is what the loss needs in place of the points behind it. For regression those are
    the moments of support and query: the loss is equal in law, and several times cheaper. For
    binary tasks the query points are ``BinaryMargins``: loss and gradient are equal in law at the
    parameters that a key is used at. Make one with ``sampled_loss``.
    """

    tasks: Tasks
    rule: Rule
    num_tasks: int = static(default=32)
    num_queries: int | None = static(default=10)
    noiseless: bool = static(default=False)

    def draw(self, key: PRNGKeyArray, dtype: DTypeLike | None = None) -> Batch:
        """The tasks of one evaluation."""
        if isinstance(self.tasks, LinearRegression):
            return self.tasks.sample_moments(
                key, self.num_tasks, self.num_queries, dtype, noiseless=self.noiseless
            )
        if self.num_queries is None:
            return self.tasks.sample(key, self.num_tasks, None, dtype)
        return self.tasks.sample_margins(key, self.num_tasks, self.num_queries, dtype)

    def on(self, params: Params, batch: Batch) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``batch``."""
        return autodiff.outer_loss(params, batch, self.rule)

    def __call__(self, params: Params, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss on freshly drawn tasks."""
        return self.on(params, self.draw(key, params[0].dtype))


def sampled_loss(
    tasks: Tasks, rule: Rule, num_tasks: int = 32, num_queries: int | None = 10
) -> SampledLoss:
    """An outer loss over tasks sampled anew at every call, ``loss(params, key)``.

    Args:
        tasks: the distribution of tasks.
        rule: the adaptation rule.
        num_tasks: tasks an evaluation.
        num_queries: query points a task; None scores on the population.

    Raises:
        ValueError: an argument of the wrong kind, or a number below 1.
    """
    checks.instance("tasks", tasks, (LinearRegression, BinaryClassification))
    checks.instance("rule", rule, Rule)
    checks.integer("num_tasks", num_tasks, minimum=1)
    if num_queries is not None:
        checks.integer("num_queries", num_queries, minimum=1)
    noise = getattr(tasks, "noise_std", None)
    noiseless = not isinstance(noise, jax.core.Tracer | None) and float(np.asarray(noise)) == 0
    return SampledLoss(tasks, rule, num_tasks, num_queries, noiseless)


@pytree_dataclass
class BatchLoss:
    """``loss(params)``: the mean outer loss of one fixed batch of tasks."""

    batch: Batch
    rule: Rule

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The mean loss over the batch."""
        return autodiff.outer_loss(params, self.batch, self.rule)

    def prepared(self, params: Params) -> BatchLoss | PreparedLoss:
        """The same function for models like ``params``, in the form that evaluates fastest."""
        data = (self.batch.support, self.batch.query)
        regression = all(isinstance(d, RegressionPoints | RegressionMoments) for d in data)
        if regression and is_scalar(params) and self.rule.steps == 1 and self.rule.linear:
            polynomial = polynomial_loss(self.batch, self.rule, depth=len(params))
            return PreparedLoss(polynomial, self)
        return self


@pytree_dataclass
class PreparedLoss:
    """A ``BatchLoss`` at many models: a polynomial where that is accurate, else the tasks' mean.

    The polynomial serves where the bound on its rounding is below sqrt(eps) of its value (3e-4 in
    float32, 1.5e-8 in float64); it is far closer as a rule.
    """

    polynomial: BatchPolynomial
    loss: BatchLoss

    def block(self, models: Params) -> Float[Array, " models"]:
        """The losses of models stacked along a leading axis."""
        value = jax.vmap(self.polynomial)(models)
        accurate = jax.vmap(self.polynomial.error_bound)(models) <= accuracy(value.dtype) * value

        def one(at: tuple[Array, Array, Params]) -> Array:
            accurate, value, params = at
            return jax.lax.cond(accurate, lambda: value, lambda: self.loss(params))

        every = (accurate, value, models)
        return jax.lax.cond(jnp.all(accurate), lambda: value, lambda: jax.lax.map(one, every))


def accuracy(dtype: DTypeLike) -> float:
    """The rounding that a ``PreparedLoss`` allows relative to the loss: half of the digits."""
    return float(jnp.finfo(dtype).eps) ** 0.5
