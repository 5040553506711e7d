"""Outer losses as objects: what ``meta_train`` minimises and ``surface`` draws.

Each is a pytree and a function, so that it passes through ``jit`` without a compilation a setting.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import autodiff, closed_form
from toylin._internal import checks
from toylin._internal.dtypes import float_type
from toylin._internal.pytree import pytree_dataclass, static_field
from toylin._internal.shapes import Array, Bool, Float, PRNGKeyArray
from toylin.autodiff._outer import mean_over
from toylin.closed_form._batch_polynomial import BatchPolynomial, batch_polynomial
from toylin.models import Model, Params, is_scalar, predict
from toylin.rules import Rule, check_problem
from toylin.tasks import (
    Batch,
    RegressionMoments,
    RegressionPoints,
    TaskLaw,
    check_law,
    sample_as,
)


@pytree_dataclass
class ExactLoss:
    """``loss(params)``: the expected outer loss of the deep linear model, by ``closed_form``.

    Args:
        tasks: a law of tasks (or a batch) that ``closed_form.outer_loss`` serves.
        rule: the adaptation rule.

    Raises:
        ValueError: an argument of the wrong kind.

    >>> import toylin as tl
    >>> loss = ExactLoss(tl.LinearRegression(), tl.MAML(step_size=0.1))
    >>> print(f"{loss((jax.numpy.zeros((1, 1)),)):.3f}")  # 0.9²/2
    0.405
    """

    tasks: TaskLaw | Batch
    rule: Rule

    def __post_init__(self) -> None:
        if not isinstance(self.tasks, Batch):
            check_law(self.tasks)
        checks.instance("rule", self.rule, Rule)

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

    >>> import toylin as tl
    >>> loss = SampledLoss(tl.LinearRegression(shots=5), tl.MAML(step_size=0.1), num_tasks=100)
    >>> params = (jax.numpy.zeros((1, 1)),)
    >>> first, again, other = (loss(params, jax.random.key(k)) for k in (0, 0, 1))
    >>> bool(first == again), bool(first == other)
    (True, False)
    """

    tasks: TaskLaw
    rule: Rule
    num_tasks: int = static_field(default=32)
    num_queries: int | None = static_field(default=10)
    model: Model = static_field(default=predict)

    def __post_init__(self) -> None:
        check_law(self.tasks)
        checks.instance("rule", self.rule, Rule)
        checks.integer("num_tasks", self.num_tasks, minimum=1)
        if self.num_queries is not None:
            checks.integer("num_queries", self.num_queries, minimum=1)
        checks.function("model", self.model, "model(params, x)")

    def draw(self, key: PRNGKeyArray, dtype: DTypeLike | None = None) -> Batch:
        """The tasks of one evaluation.

        Args:
            key: a JAX random key.
            dtype: of the draws, where the law takes one; JAX's default float type if None.
        """
        return _sample(self, key, dtype, is_noiseless(self.tasks), scored_once=False)

    def on(self, params: Any, batch: Batch) -> Float[Array, ""]:
        """The mean outer loss of the tasks in ``batch``."""
        checks.instance("batch", batch, Batch)
        return autodiff.outer_loss(params, batch, self.rule, self.model)

    def __call__(self, params: Any, key: PRNGKeyArray) -> Float[Array, ""]:
        """The loss on freshly drawn tasks."""
        checks.float_leaves("params", params)
        return self.on(params, self.draw(key, float_type(params)))

    def for_training(self, params: Any, noiseless: bool | None = None) -> ScoredOnce:
        """The same in law, for a loop that scores every draw once, at models like ``params``."""
        check_problem(params, self.tasks, self.rule, self.model)
        if noiseless is not None:
            checks.flag("noiseless", noiseless)
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
    return sample_as(tasks, *sizes, dtype)


def is_noiseless(tasks: Any) -> bool:
    """Whether it is known that these tasks have no label noise."""
    noise = getattr(tasks, "noise_std", None)
    return not isinstance(noise, jax.core.Tracer | None) and not np.any(np.asarray(noise))


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
        checks.function("model", self.model, "model(params, x)")

    def __call__(self, params: Any) -> Float[Array, ""]:
        """The mean loss over the batch."""
        return autodiff.outer_loss(params, self.batch, self.rule, self.model)

    def prepared(self, params: Any) -> BatchLoss | PreparedLoss:
        """The same function for models like ``params``, in the form that evaluates fastest."""
        checks.float_leaves("params", params)
        data = (self.batch.support, self.batch.query)
        regression = all(isinstance(d, RegressionPoints | RegressionMoments) for d in data)
        if self.model is not predict or not regression or not is_scalar(params):
            return self
        if self.rule.steps == 1 and self.rule.linear:
            polynomial = batch_polynomial(self.batch, self.rule, depth=len(params))
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

    def __call__(self, params: Params) -> Float[Array, ""]:
        """The loss at one model, by whichever of the two is accurate there."""
        value, bound = self.by_polynomial(params)
        return jax.lax.cond(self.accurate(value, bound), lambda: value, lambda: self.loss(params))

    def by_polynomial(self, params: Params) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The polynomial's value, and the bound on its rounding."""
        return self.polynomial(params), self.polynomial.error_bound(params)

    def accurate(self, value: Array, bound: Array) -> Bool[Array, "*models"]:
        """Whether the polynomial serves where it and its bound are these."""
        return bound <= float(jnp.finfo(value.dtype).eps) ** 0.5 * value
