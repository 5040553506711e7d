"""Outer losses as objects: what ``meta_train`` minimises and ``surface`` draws.

Each is a pytree and a function, so that it passes through ``jit`` without a compilation a setting.
"""

from __future__ import annotations

from functools import partial
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import autodiff, closed_form
from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.closed_form import _scalar
from toylin.models import Params, check_params, is_scalar
from toylin.rules import Rule, Tasks, check_linear
from toylin.tasks import (
    Batch,
    BinaryClassification,
    Data,
    LinearRegression,
    RegressionMoments,
    RegressionPoints,
    weighted_mean,
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
    num_tasks: int = static_field(default=32)
    num_queries: int | None = static_field(default=10)
    noiseless: bool = static_field(default=False)

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

    def prepared(self, params: Params) -> BatchLoss | ScalarPolynomialLoss:
        """The same function for models like ``params``, in the form that evaluates fastest."""
        data = (self.batch.support, self.batch.query)
        regression = all(isinstance(d, RegressionPoints | RegressionMoments) for d in data)
        if regression and is_scalar(params) and self.rule.steps == 1 and self.rule.linear:
            return polynomial_loss(self.batch, self.rule, depth=len(params))
        return self


@pytree_dataclass
class ScalarPolynomialLoss:
    """The loss of scalar regression tasks after one inner step, as a polynomial in the weights.

    With b = S theta + n, c_i the product of all weights but w_i and g = S p - b, the adapted
    product is prod_i (w_i - a_i g c_i) = sum_k e_k g^k, a_i the step size of layer i. Its square
    meets the tasks only through ``quadratic[i, j]`` = E[xx S^i (-b)^j], itself through ``linear[i,
    j]`` = E[(xx theta + xe) S^i (-b)^j] (xx, theta and xe the query's); both are taken once, so
    that the cost of an evaluation does not depend on the number of tasks.
    """

    quadratic: Float[Array, "powers powers"]
    linear: Float[Array, "powers powers"]
    constant: Float[Array, ""]
    step_sizes: tuple[Array, ...]

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The mean loss over the tasks behind the tables."""
        check_params(params, dim=1)
        weights = tuple(w[0, 0] for w in params)
        others = _scalar.others(weights)
        product = weights[0] * others[0]
        adapted = [jnp.ones_like(product)]
        for w, a, c in zip(weights, self.step_sizes, others, strict=True):
            adapted = _multiply(adapted, [w, -a * c])
        squared = _contract(_multiply(adapted, adapted), self.quadratic, product)
        return 0.5 * squared - _contract(adapted, self.linear, product) + self.constant


def polynomial_loss(batch: Batch, rule: Rule, depth: int) -> ScalarPolynomialLoss:
    """``BatchLoss(batch, rule)`` for scalar models of that depth, equal to rounding.

    Raises:
        ValueError: not one inner step, or tasks that are not scalar regression.
        NoClosedFormError: a rule that is not ``linear``.
    """
    checks.integer("depth", depth, minimum=1)
    for data in (batch.support, batch.query):
        checks.instance("data in batch", data, (RegressionPoints, RegressionMoments))
    if rule.steps != 1 or batch.truth.shape[-1] != 1:
        raise ValueError(
            "a polynomial loss needs steps=1 and dim=1, "
            f"got steps={rule.steps} and dim={batch.truth.shape[-1]}"
        )
    check_linear(rule)
    return _collect(batch, rule, depth)


@partial(jax.jit, static_argnames="depth")
def _collect(batch: Batch, rule: Rule, depth: int) -> ScalarPolynomialLoss:
    support, query = (_moments(data, batch) for data in (batch.support, batch.query))
    theta = support.theta[:, 0]
    s = support.xx[:, 0, 0]
    b = s * theta + support.xe[:, 0]
    q_theta, q_xx, q_xe = query.theta[:, 0], query.xx[:, 0, 0], query.xe[:, 0]
    slope = q_xx * q_theta + q_xe
    powers = range(2 * depth + 1)

    def table(factor: Array) -> Array:
        return jnp.stack(
            [
                jnp.stack([weighted_mean(factor * s**i * (-b) ** j, batch) for j in powers])
                for i in powers
            ]
        )

    constant = 0.5 * (q_xx * q_theta**2 + 2 * q_xe * q_theta + query.ee)
    return ScalarPolynomialLoss(
        table(q_xx),
        table(slope),
        weighted_mean(constant, batch),
        _scalar.step_sizes(rule, depth, s.dtype),
    )


def _moments(data: Data, batch: Batch) -> RegressionMoments:
    if isinstance(data, RegressionPoints):
        return jax.vmap(RegressionPoints.moments)(data, batch.truth)
    assert isinstance(data, RegressionMoments)
    return data


def _contract(polynomial: list[Array], table: Array, product: Array) -> Array:
    """E[sum_k e_k g^k] with g = S p - b, by the binomial theorem and the moments in ``table``."""
    total = jnp.zeros_like(product)
    for k, coefficient in enumerate(polynomial):
        inner = jnp.zeros_like(product)
        for i in range(k, -1, -1):  # Horner in p
            inner = inner * product + comb(k, i) * table[i, k - i]
        total = total + coefficient * inner
    return total


def _multiply(a: list[Array], b: list[Array]) -> list[Array]:
    """The product of two polynomials given by their coefficients."""
    product: list[Array] = [jnp.zeros_like(a[0])] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] = product[i + j] + x * y
    return product
