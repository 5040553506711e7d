"""A formula beside the right answer: exact where there are exact nodes, else a sampled mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from toylin import autodiff
from toylin._internal.errors import NoClosedFormError
from toylin.rules import MAML
from toylin.tasks import check_nodes
from toylin.testing._slips import Setting

_GROUPS, _TASKS, _QUERIES = 16, 1000, 4
# Standard errors, from 16 groups, that chance exceeds once in a million (Student, 15 degrees).
_BEYOND = 8.0
_TINY = float(np.finfo(float).tiny)

Evaluation = Callable[[Setting], tuple[float, np.ndarray]]


class Comparison(NamedTuple):
    """A formula and the right answer at one setting.

    Attributes:
        setting: where.
        value: the formula's loss.
        grad: its gradient, all entries in one vector.
        want: the right loss.
        want_grad: the right gradient.
        value_error: how far off the loss is, relative to it or, where that is larger, to the loss
            of predicting zero; in standard errors where the right answer is sampled.
        grad_error: how far off the gradient is, relative to its largest entry or what the loss is
            compared with; in standard errors likewise.
        allowed: the largest of these that is right.
        exact: whether the right answer is exact.
    """

    setting: Setting
    value: float
    grad: np.ndarray
    want: float
    want_grad: np.ndarray
    value_error: float
    grad_error: float
    allowed: float
    exact: bool

    @property
    def right_value(self) -> bool:
        """Whether the loss is right."""
        return self.value_error <= self.allowed

    @property
    def right(self) -> bool:
        """Whether loss and gradient are right."""
        return self.right_value and self.grad_error <= self.allowed


def evaluation(formula: Callable[..., Any], grad: Callable[..., Any] | None) -> Evaluation:
    """Value and gradient of a formula at a setting: by JAX, where no gradient is given."""
    if grad is not None:
        return lambda s: (_number(formula(*s)), vector(grad(*s)))
    both = jax.jit(jax.value_and_grad(lambda p, t, r: jnp.asarray(formula(p, t, r), float)))

    def evaluate(setting: Setting) -> tuple[float, np.ndarray]:
        try:
            value, slope = both(*setting)
        except (TypeError, jax.errors.JAXTypeError) as error:
            raise ValueError(
                "formula must return a number that JAX can differentiate (written with jax.numpy), "
                "or its gradient must be given, grad(params, tasks, rule): "
                f"{str(error).splitlines()[0]}"
            ) from error
        return float(value), vector(slope)

    return evaluate


def compare(evaluate: Evaluation, setting: Setting, tolerance: float, seed: int) -> Comparison:
    """The formula beside the right answer at a setting."""
    value, grad = evaluate(setting)
    exact = _has_nodes(setting)
    if exact:
        want, slope, scale = _exact(*setting)
        want_grad = vector(slope)
        unit = max(abs(float(want)), float(scale))
        units = np.full(1 + want_grad.size, max(unit, float(np.max(np.abs(want_grad)))))
        units[0], allowed = unit, tolerance
    else:
        mean, error = by_sampling(setting, seed)
        want, want_grad = mean[0], mean[1:]
        units = error + 1e-12 * float(np.max(np.abs(mean)))
        allowed = _BEYOND
    if grad.shape != want_grad.shape:
        raise ValueError(
            f"grad must return a pytree like params, {want_grad.size} numbers, got {grad.size}"
        )
    off = np.abs(np.append(value, grad) - np.append(float(want), want_grad))
    errors = np.where(np.isfinite(off), off, np.inf) / np.maximum(units, _TINY)
    return Comparison(
        setting,
        value,
        grad,
        float(want),
        want_grad,
        float(errors[0]),
        float(np.max(errors[1:])),
        allowed,
        exact,
    )


def by_sampling(setting: Setting, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of the loss, then of every entry of the gradient."""
    losses, grads = _sampled(*setting, jax.random.key(seed))
    every = [np.reshape(np.asarray(x), (_GROUPS, -1)) for x in jax.tree.leaves(grads)]
    rows = np.concatenate([np.asarray(losses)[:, None], *every], axis=1)
    return rows.mean(0), rows.std(0, ddof=1) / _GROUPS**0.5


def right_loss(setting: Setting) -> float:
    """The exact loss, where there are exact nodes."""
    return float(_exact(*setting)[0])


def first_order_grad(setting: Setting) -> np.ndarray:
    """The exact first-order gradient, all entries in one vector."""
    rule = setting.rule.replace(first_order=True)
    return vector(_exact(setting.params, setting.tasks, rule)[1])


def vector(tree: Any) -> np.ndarray:
    """All numbers of a pytree."""
    return np.concatenate([np.ravel(np.asarray(x, float)) for x in jax.tree.leaves(tree)])


def _number(value: Any) -> float:
    if np.shape(value) != ():
        raise ValueError(f"formula must return one number, got shape {np.shape(value)}")
    return float(value)


def _has_nodes(setting: Setting) -> bool:
    """Whether there are tasks whose mean is exact."""
    try:
        check_nodes(setting.tasks, len(setting.params), setting.rule.steps)
    except (NoClosedFormError, ValueError):
        return False
    return setting.rule.linear


@jax.jit
def _exact(params: Any, tasks: Any, rule: Any) -> tuple[Any, Any, Any]:
    """Loss, gradient, and the loss of predicting zero, over exact nodes."""
    zero = jax.tree.map(jnp.zeros_like, params)
    value, grad = autodiff.outer_value_and_grad(params, tasks, rule)
    return value, grad, autodiff.outer_loss(zero, tasks, MAML(0.0, 0))


@jax.jit
def _sampled(params: Any, tasks: Any, rule: Any, key: Any) -> tuple[Any, Any]:
    """Loss and gradient of groups of sampled tasks, scored on their population if it is known."""
    queries = None if hasattr(tasks, "population") else _QUERIES

    def one(key: Any) -> tuple[Any, Any]:
        return autodiff.outer_value_and_grad(params, tasks.sample(key, _TASKS, queries), rule)

    return jax.lax.map(one, jax.random.split(key, _GROUPS))
