"""Minima of the scalar problem that are known in closed form, and the distance to the nearest.

One step of size alpha fits every task in the population exactly where one weight is zero and the
others' product r has r² = 1/(alpha s²): for each zero weight and each sign of r a manifold of
dimension L - 2. No loss is lower, since what is left is the label noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal import checks
from toylin._internal.shapes import Array, Float
from toylin.landscape._scalar_polynomial import require_maml
from toylin.models import Params, Scalar, is_scalar
from toylin.rules import MAML
from toylin.tasks import LinearRegression, check_one_output, covariance_matrix

_BISECTIONS = 100


def known_minimum(
    tasks: LinearRegression, rule: MAML, zero_layer: int, free: Sequence[float] | Array = ()
) -> tuple[Float[Array, "1 1"], ...]:
    """A global minimum of the population problem at one step, at any depth: one zero weight.

    The minima of L = len(free) + 2 layers are the points with exactly one zero weight and the
    others' product r with r² = 1/(alpha s²), where one step learns every task exactly: for each
    zero weight and each sign of r a manifold of dimension L - 2, whose coordinates are ``free``.

    Args:
        tasks: scalar linear regression in the population.
        rule: one step of MAML of a positive size.
        zero_layer: which weight is zero, from 0.
        free: the other weights but the last, L - 2 finite numbers that are not zero.

    Returns:
        The parameters; the last weight that is not zero is positive and chosen to fit.

    Raises:
        ValueError: a setting whose minima are not known so (several dimensions, K shots, another
            number of steps or rule, a step size that is not positive), a last weight that no float
            is (inf or 0 where it is a tracer), or a bad argument.
    """
    check_one_output(tasks)
    require_maml(rule)
    checks.real("free", free)
    free = jnp.asarray(free, float)
    if free.ndim != 1:
        raise ValueError(f"free must be a row of numbers, got shape {free.shape}")
    checks.integer("zero_layer", zero_layer, minimum=0)
    if zero_layer > free.size + 1:
        raise ValueError(f"zero_layer must be below the depth {free.size + 2}, got {zero_layer}")
    values = checks.concrete("free", free)
    if values is not None and not (np.all(values) and np.all(np.isfinite(values))):
        raise ValueError(
            f"free must be finite and hold no zero: one weight is zero already, got {values}"
        )
    _require_known(tasks, rule)
    spread = covariance_matrix(tasks.x_cov, 1, free.dtype)[0, 0]
    # Powers of two apart: the product of weights may leave the range of floats, and r / it not.
    powers = jnp.floor(jnp.log2(jnp.abs(jax.lax.stop_gradient(free))))
    product = jnp.prod(jnp.ldexp(jnp.abs(free), -powers.astype(int)))
    last = jnp.sqrt(1 / jnp.asarray(rule.step_size)) / jnp.sqrt(spread) / product
    last = jnp.ldexp(last, -jnp.sum(powers).astype(int))
    size = checks.concrete("free", last)
    if size is not None and not (0 < size < np.inf):
        raise ValueError(
            f"free must leave the last weight in the range of {last.dtype}, got {values} at "
            f"step_size={rule.step_size!r}"
        )
    weights = [*free, last]
    weights.insert(zero_layer, jnp.zeros((), free.dtype))
    return tuple(jnp.reshape(w, (1, 1)) for w in weights)


def _require_known(tasks: LinearRegression, rule: MAML) -> None:
    size = checks.concrete("step_size", rule.step_size)
    positive = size is None or size > 0
    if tasks.dim != 1 or tasks.shots is not None or rule.steps != 1 or not positive:
        raise ValueError(
            "minima are known in closed form for dim=1, shots=None, steps=1 and a positive "
            f"step_size; got dim={tasks.dim}, shots={tasks.shots}, steps={rule.steps} and "
            f"step_size={rule.step_size!r}"
        )


def distance_to_minimum(
    params: Params, tasks: LinearRegression, rule: Any
) -> Float[Array, ""] | None:
    """The distance in parameter space to the nearest global minimum; None where none is known.

    Known under MAML: the shallow model's minimum, the mean of theta; and for the deep scalar model,
    one step and the population, all points with one weight 0 and the product of the others
    +-1 / sqrt(alpha x_cov), on which one step fits every task. Those exist for alpha > 0; for
    other step sizes the distance is NaN.
    """
    if type(rule) is not MAML:
        return None
    if len(params) == 1:
        return jnp.linalg.norm(jnp.ravel(params[0] - tasks.theta_mean))
    if not is_scalar(params) or rule.steps != 1 or tasks.shots is not None:
        return None
    weights = jnp.stack([w[0, 0] for w in params])
    spread = jnp.asarray(tasks.x_cov, weights.dtype).reshape(())
    curvature = rule.step_size * spread
    product = 1 / jnp.sqrt(jnp.where(curvature > 0, curvature, jnp.nan))
    away = [weights[i] ** 2 + _square_to_product(weights, i, product) for i in range(len(params))]
    return jnp.sqrt(jnp.min(jnp.stack(away)))


def _square_to_product(weights: Array, left_out: int, product: Scalar) -> Array:
    """The squared distance of the weights but one to the surface |product of them| = ``product``.

    By symmetry the nearest point has their signs, so take v = |weights|. It is stationary where
    u_j (u_j - v_j) = m for one multiplier m: u_j = (v_j + sqrt(v_j² + 4 m)) / 2, whose product
    increases with m >= m_0 = -min(v)²/4. Where it is too large at m_0 already, the smallest
    coordinate takes the other root, and the product falls to 0 as m goes from m_0 to 0.
    """
    v = jnp.sort(jnp.abs(jnp.delete(weights, left_out, assume_unique_indices=True)))
    lowest = -(v[0] ** 2) / 4

    def point(multiplier: Array, sign: Array) -> Array:
        roots = jnp.sqrt(jnp.maximum(v**2 + 4 * multiplier, 0.0))
        return (v + roots * jnp.where(jnp.arange(v.size) == 0, sign, 1.0)) / 2

    beyond = jnp.prod(point(lowest, jnp.ones_like(lowest))) > product
    sign = jnp.where(beyond, -1.0, 1.0).astype(v.dtype)
    # At m = q² + q max(v), every root is at least q = product^(1/n), so that their product is.
    each = product ** (1 / v.size)
    low, high = lowest, jnp.where(beyond, 0.0, each**2 + each * v[-1])

    def halve(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        # On the first branch the product grows with m, on the second it falls.
        right = (jnp.prod(point(middle, sign)) < product) != beyond
        return jnp.where(right, middle, low), jnp.where(right, high, middle)

    low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (low, high))
    return jnp.sum((point((low + high) / 2, sign) - v) ** 2)
