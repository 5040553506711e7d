"""Outer losses as objects: what ``meta_train`` minimises and ``surface`` draws.

Each is a pytree and a function, so that it passes through ``jit`` without a compilation a setting.
"""

from __future__ import annotations

import inspect
from functools import partial
from math import comb
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import autodiff, closed_form
from toylin._internal import checks
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Float, PRNGKeyArray
from toylin.autodiff._outer import mean_over
from toylin.closed_form import _scalar
from toylin.models import Model, Params, check_params, is_scalar, predict
from toylin.rules import Rule, Tasks, check_linear, check_problem
from toylin.tasks import (
    Batch,
    Data,
    RegressionMoments,
    RegressionPoints,
    TaskLaw,
    weighted_mean,
)


@pytree_dataclass
class ExactLoss:
    """``loss(params)``: the expected outer loss of the deep linear model, by ``closed_form``.

    Args:
        tasks: a law of tasks that ``closed_form.outer_loss`` serves.
        rule: the adaptation rule.
    """

    tasks: Tasks
    rule: Rule

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The loss in expectation over tasks, supports and queries."""
        return closed_form.outer_loss(params, self.tasks, self.rule)


@pytree_dataclass
class SampledLoss:
    """``loss(params, key)``: the mean outer loss of freshly sampled tasks.

    For the deep linear model and ``LinearRegression`` what is drawn is what the loss needs in place
    of the points behind it, the moments of support and query: the loss is equal in law, and several
    times cheaper. ``meta_train`` and ``sweep`` do likewise for binary tasks, by draws of their own,
    which are equal in law where a draw is scored once and differentiated once.

    Args:
        tasks: the law of tasks, anything with ``sample(key, num_tasks, num_queries)``.
        rule: the adaptation rule.
        num_tasks: tasks an evaluation.
        num_queries: query points a task; None scores on the population, where the law knows it.
        model: the model, a function ``model(params, x)``.

    Raises:
        ValueError: an argument of the wrong kind, or a number below 1.
    """

    tasks: TaskLaw
    rule: Rule
    num_tasks: int = static_field(default=32)
    num_queries: int | None = static_field(default=10)
    model: Model = static_field(default=predict)

    def __post_init__(self) -> None:
        if not isinstance(self.tasks, TaskLaw):
            raise ValueError(
                "tasks must be a law of tasks, a pytree with a method "
                f"sample(key, num_tasks, num_queries), got {self.tasks!r}"
            )
        checks.instance("rule", self.rule, Rule)
        checks.integer("num_tasks", self.num_tasks, minimum=1)
        if self.num_queries is not None:
            checks.integer("num_queries", self.num_queries, minimum=1)
        _check_model(self.model)

    def draw(self, key: PRNGKeyArray, dtype: DTypeLike | None = None) -> Batch:
        """The tasks of one evaluation.

        Args:
            key: a JAX random key.
            dtype: of the draws, where the law takes one; JAX's default float type if None.
        """
        return _sample(self, key, dtype, is_noiseless(self.tasks), scored_once=False)

    def on(self, params: Any, batch: Batch) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``batch``."""
        return autodiff.outer_loss(params, batch, self.rule, self.model)

    def __call__(self, params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss on freshly drawn tasks."""
        return self.on(params, self.draw(key, float_type(params)))

    def for_training(self, params: Any, noiseless: bool | None = None) -> ScoredOnce:
        """The same in law, for a loop that scores every draw once, at models like ``params``."""
        check_problem(params, self.tasks, self.rule, self.model)
        quiet = is_noiseless(self.tasks) if noiseless is None else noiseless
        return ScoredOnce(self, float_type(params).name, quiet)


@pytree_dataclass
class ScoredOnce:
    """A ``SampledLoss`` by the cheapest draws that equal it in law where each is scored once.

    ``noiseless`` saves drawing a noise that is known to be zero. It is compiled in, so it is
    decided where the tasks' values are known, and does not outlive that call.
    """

    loss: SampledLoss
    dtype: str = static_field()
    noiseless: bool = static_field()

    def draw(self, key: PRNGKeyArray) -> Batch:
        """The tasks of one evaluation."""
        return _sample(self.loss, key, self.dtype, self.noiseless, scored_once=True)

    def on(self, params: Any, batch: Batch) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``batch``."""
        return mean_over(params, batch, self.loss.rule, self.loss.model)


def _sample(
    loss: SampledLoss,
    key: PRNGKeyArray,
    dtype: DTypeLike | None,
    noiseless: bool,
    scored_once: bool,
) -> Batch:
    tasks: Any = loss.tasks
    sizes = (key, loss.num_tasks, loss.num_queries)
    if loss.model is predict:
        if hasattr(tasks, "sample_moments"):
            return tasks.sample_moments(*sizes, dtype, noiseless=noiseless)
        if scored_once and loss.num_queries is not None and hasattr(tasks, "sample_margins"):
            return tasks.sample_margins(*sizes, dtype)
    if "dtype" in inspect.signature(tasks.sample).parameters:
        return tasks.sample(*sizes, dtype=dtype)
    return tasks.sample(*sizes)


def is_noiseless(tasks: Any) -> bool:
    """Whether it is known that these tasks have no label noise."""
    noise = getattr(tasks, "noise_std", None)
    return not isinstance(noise, jax.core.Tracer | None) and not np.any(np.asarray(noise))


def float_type(params: Any) -> np.dtype:
    """The float type of the parameters (of the first array, where they differ)."""
    return jnp.result_type(jax.tree.leaves(params)[0])


def _check_model(model: Any) -> None:
    if not callable(model):
        raise ValueError(f"model must be a function model(params, x), got {model!r}")


def sampled_loss(
    tasks: TaskLaw,
    rule: Rule,
    num_tasks: int = 32,
    num_queries: int | None = 10,
    model: Model = predict,
) -> SampledLoss:
    """``SampledLoss(tasks, rule, num_tasks, num_queries, model)``."""
    return SampledLoss(tasks, rule, num_tasks, num_queries, model)


@pytree_dataclass
class BatchLoss:
    """``loss(params)``: the mean outer loss of one fixed batch of tasks.

    Args:
        batch: the tasks.
        rule: the adaptation rule.
        model: the model, a function ``model(params, x)``.

    Raises:
        ValueError: an argument of the wrong kind.
    """

    batch: Batch
    rule: Rule
    model: Model = static_field(default=predict)

    def __post_init__(self) -> None:
        checks.instance("batch", self.batch, Batch)
        checks.instance("rule", self.rule, Rule)
        _check_model(self.model)

    def __call__(self, params: Any) -> Float[Array, ""]:
        """The mean loss over the batch."""
        return autodiff.outer_loss(params, self.batch, self.rule, self.model)

    def prepared(self, params: Any) -> BatchLoss | ScalarPolynomialLoss:
        """The same function for models like ``params``, in the form that evaluates fastest."""
        data = (self.batch.support, self.batch.query)
        regression = all(isinstance(d, RegressionPoints | RegressionMoments) for d in data)
        if self.model is not predict or not regression or not is_scalar(params):
            return self
        if self.rule.steps == 1 and self.rule.linear:
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
