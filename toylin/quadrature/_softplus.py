"""Gaussian expectations of the softplus function and all its derivatives, to relative rounding.

By symmetry the mean is at most 0. The function then decays like exp(t) to the left, so that far in
the tail the expectation is that of exp(t), a Gaussian integral about mean + variance instead of
mean. Whatever is integrated by nodes is a sum of terms as small as the result: no small difference
of large numbers, however small the expectation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.batching import all_at_once
from toylin._internal.shapes import Array, Float

Orders: TypeAlias = tuple[int, ...]

# Small spread (standard deviation below 1): the trapezoidal rule over u in N(0, 1). Softplus has
# its nearest poles at distance pi: the error is below exp(pi²/2 - 2 pi²/_STEP) = 2e-21.
_STEP = 0.375
_U = np.arange(-26, 27) * _STEP
_U_WEIGHT = _STEP * np.exp(-(_U**2) / 2) / np.sqrt(2 * np.pi)

# Large spread: what is left of the function after its ramp or step is taken out decays at least
# like |t| exp(-|t| / 2) times a Gaussian about 0 of standard deviation 1 or more.
_EDGES = np.array([0.0, 1.5, 3.5, 6.5, 11.0, 18.0, 29.0, 45.0, 85.0])
_LEGENDRE = np.polynomial.legendre.leggauss(16)
_HALF = np.concatenate([(a + b) / 2 + (b - a) / 2 * _LEGENDRE[0] for a, b in pairwise(_EDGES)])
_HALF_WEIGHT = np.concatenate([(b - a) / 2 * _LEGENDRE[1] for a, b in pairwise(_EDGES)])
_T = np.concatenate([-_HALF[::-1], _HALF])
_T_WEIGHT = np.concatenate([_HALF_WEIGHT[::-1], _HALF_WEIGHT])


@cache
def _polynomial(order: int) -> np.ndarray:
    """Coefficients, from the highest, of the derivative of that order (>= 2) over s (1 - s).

    A polynomial in h = 1 - 2 s, s the sigmoid: the derivative of s (1 - s) is s (1 - s) h, that of
    h is -2 s (1 - s) = (h² - 1) / 2. Odd or even, so that what is zero at t = 0 keeps its digits
    beside it.
    """
    polynomial = np.polynomial.Polynomial([1.0])
    for _ in range(order - 2):
        change = polynomial.deriv() * np.polynomial.Polynomial([-0.5, 0.0, 0.5])
        polynomial = polynomial * np.polynomial.Polynomial([0.0, 1.0]) + change
    return polynomial.coef[::-1]


def _derivatives(orders: Orders, t: Array) -> list[Array]:
    """The derivatives of softplus of those orders, to relative rounding on either side.

    From the second on they are odd or even, so that the sigmoid of -|t| serves: s and not 1 - s.
    """
    small = jnp.exp(-jnp.abs(t))
    return [_derivative(order, t, small) for order in orders]


def _derivative(order: int, t: Array, small: Array) -> Array:
    if order == 0:
        return jnp.maximum(t, 0.0) + jnp.log1p(small)
    if order == 1:
        return jnp.where(t > 0, 1.0, small) / (1 + small)
    sign = 1.0 if order % 2 == 0 else -jnp.sign(t)
    h = -jnp.expm1(-jnp.abs(t)) / (1 + small)
    polynomial = jnp.polyval(jnp.asarray(_polynomial(order), t.dtype), h)
    return sign * polynomial * small / (1 + small) ** 2


@cache
def _rest(order: int, tilted: bool) -> np.ndarray:
    """What is left at the nodes: of the function, or of its quotient by exp(t), times the weights.

    To the right the ramp (order 0) or step (order 1) is taken out of the function; to the left the
    limit 1 is taken out of the quotient.
    """
    small = np.exp(-np.abs(_T))
    left = _T < 0
    s = small / (1 + small)
    if order == 0:
        rest = np.log1p(small)
        quotient = np.where(left, rest / small, small * (rest + np.abs(_T)))
    elif order == 1:
        rest = np.where(left, s, -s)
        quotient = np.where(left, 1 / (1 + small), small / (1 + small))
    else:
        sign = np.where(left, 1.0, (-1.0) ** order)
        of_h = sign * np.polyval(_polynomial(order), np.tanh(np.abs(_T) / 2)) / (1 + small) ** 2
        rest = of_h * small
        quotient = np.where(left, of_h, rest * small)
    return _T_WEIGHT * (np.where(left, quotient - 1, quotient) if tilted else rest)


def _small_spread(orders: Orders, mean: Array, std: Array) -> list[Array]:
    u, weight = (jnp.asarray(a, mean.dtype) for a in (_U, _U_WEIGHT))
    return [f @ weight for f in _derivatives(orders, mean[..., None] + std[..., None] * u)]


def _large_spread(orders: Orders, mean: Array, std: Array) -> list[Array]:
    """For mean <= 0: as it is where mean > -variance / 2, by the quotient by exp(t) below."""
    variance = std**2
    tilted = -mean >= variance / 2
    centre = jnp.where(tilted, mean + variance, mean)
    z = centre / std
    u = (jnp.asarray(_T, mean.dtype) - centre[..., None]) / std[..., None]
    density = _density(u) / std[..., None]
    rests = np.stack([_rest(order, tilted=True) for order in orders], -1)
    quotients = density @ jnp.asarray(rests, mean.dtype) + _normal_cdf(-z)[..., None]
    factor = jnp.exp(jnp.where(tilted, mean + variance / 2, 0.0))
    plain = (_plain(order, density, u, z, std) for order in orders)
    return [jnp.where(tilted, factor * quotients[..., i], x) for i, x in enumerate(plain)]


def _plain(order: int, density: Array, u: Array, z: Array, std: Array) -> Array:
    """The expectation as it is: what is left at the nodes, and the ramp or step.

    The larger the spread, the more of a derivative of order 3 or above cancels. By parts it is
    that of order 2, which is positive, times the Hermite polynomial of the remaining order.
    """
    if order > 2:
        density = density * _hermite(order - 2, u) / std[..., None] ** (order - 2)
    plain = density @ jnp.asarray(_rest(min(order, 2), tilted=False), z.dtype)
    if order < 2:
        plain += std * _ramp(z) if order == 0 else _normal_cdf(z)
    return plain


def _hermite(order: int, u: Array) -> Array:
    """The polynomial He_order: E f^(order)(u) = E f(u) He_order(u) for u in N(0, 1)."""
    coefficients = np.polynomial.hermite_e.herme2poly([0.0] * order + [1.0])
    return jnp.polyval(jnp.asarray(coefficients[::-1], u.dtype), u)


def _ramp(z: Array) -> Array:
    """E max(z + u, 0) for u in N(0, 1) at z <= 0: z Phi(z) + phi(z), which cancels in the tail.

    There it is phi(z) k / (x + k) with x = -z and k the continued fraction 1/(x + 2/(x + 3/...)).
    """
    x = jnp.maximum(-z, 4.0)
    k = jax.lax.fori_loop(0, 40, lambda i, k: (40 - i) / (x + k), jnp.zeros_like(x))
    near = z * _normal_cdf(z) + _density(z)
    return jnp.where(z < -4.0, _density(z) * k / (x + k), near)


def _normal_cdf(z: Array) -> Array:
    return 0.5 * jax.lax.erfc(-z * 0.5**0.5)


def _density(z: Array) -> Array:
    return jnp.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _expectations(orders: Orders, mean: Array, variance: Array) -> tuple[Array, ...]:
    values = all_at_once(partial(_below, orders))(*jnp.broadcast_arrays(-jnp.abs(mean), variance))
    return tuple(_mirrored(k, mean, x) for k, x in zip(orders, values, strict=True))


def _below(orders: Orders, mean: Array, variance: Array) -> list[Array]:
    """The expectations at means of at most 0, by those of the two ways that an element needs."""
    small = variance < 1.0
    positive = variance > 0
    std = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)

    def where(needed: Array, way: Callable[..., list[Array]], std: Array) -> list[Array]:
        none = [jnp.zeros_like(mean)] * len(orders)
        return jax.lax.cond(jnp.any(needed), lambda: way(orders, mean, std), lambda: none)

    near = where(small, _small_spread, jnp.where(small, std, 0.0))
    far = where(~small, _large_spread, jnp.where(small, 1.0, std))
    found = [jnp.where(small, a, b) for a, b in zip(near, far, strict=True)]
    # A variance that left the range of floats: what it multiplies derivatives by is not known.
    limits = [jnp.inf if order == 0 else jnp.nan for order in orders]
    return [jnp.where(variance < jnp.inf, x, at) for x, at in zip(found, limits, strict=True)]


def _mirrored(order: int, mean: Array, value: Array) -> Array:
    """The expectation at ``mean`` from that at -|mean|."""
    if order == 0:  # softplus(t) = t + softplus(-t)
        return jnp.maximum(mean, 0.0) + value
    if order == 1:
        return jnp.where(mean > 0, 1 - value, value)
    return value if order % 2 == 0 else -jnp.sign(mean) * value


@_expectations.defjvp
def _expectations_jvp(
    orders: Orders, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """d/dmean E f = E f' and d/dvariance E f = E f''/2: exact to every order, also at variance 0.

    There differentiating through the square root would fail.
    """
    needed = tuple(sorted({k + further for k in orders for further in (0, 1, 2)}))
    found = dict(zip(needed, _expectations(needed, *primals), strict=True))
    d_mean, d_variance = tangents
    changes = (found[k + 1] * d_mean + 0.5 * found[k + 2] * d_variance for k in orders)
    return tuple(found[k] for k in orders), tuple(changes)


def expected_softplus(
    mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E log(1 + exp(t)) for t ~ N(mean, variance), with derivatives of every order.

    Its relative error is below 64 eps (1 + |log E|), eps that of the float type, wherever E is a
    normal number (above 1e-290; in single precision above 1e-30): the second term is what rounding
    the arguments does. The same holds of derivatives, from the third on relative to the expectation
    of their absolute value.

    Args:
        mean: finite.
        variance: finite, at least 0. Where it is infinite, as a square that overflowed, so is the
            expectation, and derivatives are NaN.

    >>> print(f"{expected_softplus(jnp.array(0.5), jnp.array(2.0)):.4f}")
    1.1753
    """
    return expected_softplus_derivative(0, mean, variance)


def expected_sigmoid(
    mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E 1/(1 + exp(-t)) for t ~ N(mean, variance): the derivative of ``expected_softplus``."""
    return expected_softplus_derivative(1, mean, variance)


def expected_softplus_derivative(
    order: int, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E of the derivative of softplus of that order at t ~ N(mean, variance)."""
    return expected_softplus_derivatives((order,), mean, variance)[0]


def expected_softplus_derivatives(
    orders: Orders, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> tuple[Float[Array, "*shape"], ...]:
    """Those of several orders, which share what they cost."""
    dtype = jnp.result_type(float, mean, variance)
    return _expectations(orders, jnp.asarray(mean, dtype), jnp.asarray(variance, dtype))
