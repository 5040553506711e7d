"""The best starts of shallow and of deep models, and how low their outer loss goes."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from toylin import closed_form
from toylin._internal import checks
from toylin._internal.dtypes import float_dtype
from toylin._internal.errors import NoClosedFormError
from toylin._internal.shapes import Array, Float
from toylin.landscape import CriticalPoints, require_maml, solve_critical_points
from toylin.rules import MAML, Rule
from toylin.tasks import LinearRegression, check_one_output, check_regression, covariance_matrix


def shallow_optimum(
    tasks: LinearRegression, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "outputs dim"]]:
    """The best start of the shallow model: the mean of theta, whatever the ``linear`` rule.

    What such a rule's steps leave of the error w - theta is a linear map of it that does not depend
    on w, and label noise has mean zero, so the outer loss is a quadratic around mu. A rule of
    another kind, such as a ``GBML`` that squares gradients, can have its best start elsewhere.

    Args:
        tasks: linear regression, of any dimension and number of shots and outputs.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: tasks of another kind.
    """
    check_regression(tasks)
    mean = jnp.asarray(tasks.theta_mean, float_dtype(dtype))
    return (jnp.broadcast_to(mean, (tasks.outputs, tasks.dim)),)


def shallow_floor(
    tasks: LinearRegression, rule: Rule, dtype: DTypeLike | None = None
) -> Float[Array, ""]:
    """The lowest outer loss of the shallow model, with the label noise.

    Args:
        tasks: linear regression, of any dimension and number of shots.
        rule: the adaptation rule.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: an argument of the wrong kind.
        NoClosedFormError: several steps on K shots in several dimensions.

    >>> import toylin as tl
    >>> print(f"{shallow_floor(tl.LinearRegression(), tl.MAML(step_size=0.1)):.3f}")  # 0.9²/2
    0.405
    """
    return closed_form.outer_loss(shallow_optimum(tasks, dtype), tasks, rule)


def deep_optimum(
    tasks: LinearRegression, rule: MAML, depth: int = 2, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "1 1"], ...]:
    """A start of least outer loss of the deep scalar model at one step: a global minimum.

    - In the population, at any depth and a positive step size, (0, b, ..., b) with
      b^(2 (L - 1)) = 1/(alpha s²): one step learns every task exactly, and what is left is the
      label noise, below which no loss is.
    - With two layers, for any shots, mean and step size that is not 0: the lowest of all critical
      points (``solve_critical_points``). The loss grows at infinity, so that its minimum is among
      them. Of its mirror images, the one with w_2 >= abs(w_1). Needs concrete values; cannot be
      differentiated.

    For K shots at more than two layers no minimum is known to be global: ``zero_layer_floor`` is an
    upper bound of the lowest loss, ``bayes_loss`` a lower one.

    Args:
        tasks: scalar linear regression.
        rule: one step of MAML.
        depth: the number of layers L, at least 2.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: not one step of MAML, a step size of zero, a depth below 2, several dimensions,
            or values that are traced where they must be concrete.
        NoClosedFormError: more than two layers, and K shots or a negative step size.

    >>> w = deep_optimum(LinearRegression(theta_mean=2.0, shots=4), MAML(0.1))
    >>> [round(float(x[0, 0]), 3) for x in w]
    [0.847, 2.461]
    """
    dtype = _check_deep(tasks, rule, depth, dtype)
    if _fits_exactly(tasks, rule):
        return zero_layer_optimum(tasks, rule, depth, dtype)
    lowest = _lowest(tasks, rule, depth).points[0]
    small, large = np.sort(np.abs(lowest))
    sign = 1 if np.prod(np.sign(lowest)) >= 0 else -1
    return tuple(jnp.full((1, 1), w, dtype) for w in (sign * small, large))


def deep_floor(
    tasks: LinearRegression, rule: MAML, depth: int = 2, dtype: DTypeLike | None = None
) -> Float[Array, ""]:
    """The lowest outer loss of the deep scalar model at one step: that of ``deep_optimum``.

    In the population sigma²/2, at any depth and positive step size (a traced one is taken to be
    positive). With two layers and K shots it is certified, and depends on the step size where theta
    has a mean. Nothing else is served: see ``deep_optimum``, whose arguments and errors these are.

    Args:
        tasks: as for ``deep_optimum``.
        rule: as for ``deep_optimum``.
        depth: as for ``deep_optimum``.
        dtype: of the result; JAX's default float type if None.

    >>> round(float(deep_floor(LinearRegression(shots=5), MAML(0.1))), 6)  # 1 / (K + 2)
    0.142857
    """
    dtype = _check_deep(tasks, rule, depth, dtype)
    if _fits_exactly(tasks, rule):
        return jnp.asarray(tasks.noise_std, dtype) ** 2 / 2
    return jnp.asarray(_lowest(tasks, rule, depth).loss[0], dtype)


def zero_layer_optimum(
    tasks: LinearRegression, rule: MAML, depth: int = 2, dtype: DTypeLike | None = None
) -> tuple[Float[Array, "1 1"], ...]:
    """The best scalar start with a layer of zero, (0, b, ..., b), at one step.

    With one zero weight and r the product of the others, the adapted product is alpha r² (S theta +
    n): the loss depends on c = alpha r² alone, and is lowest at
    c = 1 / (s² (1 + 2/K) + sigma² / (K E theta²)). In the population that is r² = 1/(alpha s²), a
    global minimum. For K shots it is a critical point where theta has mean zero, with two layers
    the global minimum in each of 1,500 such settings that were solved; where theta has a mean it is
    not critical in general.

    Args:
        tasks: scalar linear regression; any mean, shots and noise.
        rule: one step of MAML, of a positive size (a traced one is taken to be positive).
        depth: the number of layers, at least 2.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: not one step of MAML of a positive size, a depth below 2, several dimensions.
    """
    dtype = _check_deep(tasks, rule, depth, dtype)
    size = checks.concrete("step_size", rule.step_size)
    if size is not None and not size > 0:
        raise ValueError(f"step_size must be positive, got {rule.step_size!r}")
    square = _best_response(tasks, dtype) / jnp.asarray(rule.step_size, dtype)
    weight = square ** (0.5 / (depth - 1))
    return (jnp.zeros((1, 1), dtype), *[weight.reshape(1, 1)] * (depth - 1))


def zero_layer_floor(tasks: LinearRegression, dtype: DTypeLike | None = None) -> Float[Array, ""]:
    """The lowest outer loss of deep scalar starts with a layer of zero, at one step.

    An upper bound of the lowest loss of the deep model, whatever the depth and the positive step
    size: s² E[theta²] (1 - c s²) / 2 + sigma²/2, the loss at ``zero_layer_optimum``. A shallow
    model with a meta-learned step size reaches the same value at mean zero: the upper layer is the
    meta-optimizer. Where theta has a mean and shots are few, other starts can be far lower.

    Args:
        tasks: scalar linear regression; any mean, shots and noise.
        dtype: of the result; JAX's default float type if None.

    Raises:
        ValueError: several dimensions.
    """
    check_one_output(tasks)
    if tasks.dim != 1:
        raise ValueError(f"tasks must have dim=1, got dim={tasks.dim}")
    dtype = float_dtype(dtype)
    spread, power, noise = _scalar_moments(tasks, dtype)
    signal = spread * power
    # As 1 - c s² would be the difference of nearly equal numbers for many shots.
    sampled = (0.0 if tasks.shots is None else 1 / tasks.shots) * (2 * signal + noise)
    return 0.5 * (signal * sampled / (signal + sampled) + noise)


def _check_deep(
    tasks: LinearRegression, rule: MAML, depth: int, dtype: DTypeLike | None
) -> np.dtype:
    """One step of MAML on scalar regression with two layers or more; the float type."""
    check_one_output(tasks)
    require_maml(rule)
    checks.integer("depth", depth, minimum=2)
    if tasks.dim != 1 or rule.steps != 1:
        raise ValueError(
            f"tasks must have dim=1 and rule steps=1, got dim={tasks.dim} and steps={rule.steps}"
        )
    return float_dtype(dtype)


def _fits_exactly(tasks: LinearRegression, rule: MAML) -> bool:
    size = checks.concrete("step_size", rule.step_size)
    return tasks.shots is None and (size is None or bool(size > 0))


def _lowest(tasks: LinearRegression, rule: MAML, depth: int) -> CriticalPoints:
    if depth > 2:
        raise NoClosedFormError(
            "the lowest loss of more than two layers is known in the population at a positive step "
            f"size; got depth={depth}, shots={tasks.shots} and step_size={rule.step_size!r}; "
            "zero_layer_floor is an upper bound, bayes_loss a lower one"
        )
    return solve_critical_points(tasks, rule)


def _scalar_moments(tasks: LinearRegression, dtype: np.dtype) -> tuple[Array, Array, Array]:
    """s², E theta² and sigma²."""
    mean = jnp.asarray(tasks.theta_mean, dtype).reshape(())
    prior = covariance_matrix(tasks.theta_cov, 1, dtype)[0, 0]
    spread = covariance_matrix(tasks.x_cov, 1, dtype)[0, 0]
    return spread, mean**2 + prior, jnp.asarray(tasks.noise_std, dtype) ** 2


def _best_response(tasks: LinearRegression, dtype: np.dtype) -> Array:
    """The c that minimises E[s² (theta - c (S theta + n))²]."""
    spread, power, noise = _scalar_moments(tasks, dtype)
    per_shot = 0.0 if tasks.shots is None else 1 / tasks.shots
    return 1 / (spread * (1 + 2 * per_shot) + per_shot * noise / power)
