"""Gaussian expectations of the softplus function and all its derivatives, to relative rounding.

By symmetry the mean is at most 0. The function then decays like exp(t) to the left, so that far in
the tail the expectation is that of exp(t), a Gaussian integral about mean + variance instead of
mean. Whatever is integrated by nodes is a sum of terms as small as the result: no small difference
of large numbers, however small the expectation.
"""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float

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
    """Coefficients, from the highest, of the derivative of that order (>= 1) in the sigmoid s.

    The derivative of s is s - s².
    """
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order - 1):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([0.0, 1.0, -1.0])
    return polynomial.coef[::-1]


def _derivative(order: int, t: Array) -> Array:
    """The derivative of softplus of that order, to relative rounding on either side.

    From the third on they are odd or even, so that the sigmoid of -|t| serves: s and not 1 - s.
    """
    if order == 0:
        return jax.nn.softplus(t)
    if order == 1:
        return jax.nn.sigmoid(t)
    s = jax.nn.sigmoid(-jnp.abs(t))
    sign = 1.0 if order % 2 == 0 else -jnp.sign(t)
    return sign * jnp.polyval(jnp.asarray(_polynomial(order), t.dtype), s)


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
        rest = sign * np.polyval(_polynomial(order), s)
        quotient = np.where(left, rest / small, rest * small)
    return _T_WEIGHT * (np.where(left, quotient - 1, quotient) if tilted else rest)


def _small_spread(order: int, mean: Array, std: Array) -> Array:
    u, weight = (jnp.asarray(a, mean.dtype) for a in (_U, _U_WEIGHT))
    return _derivative(order, mean[..., None] + std[..., None] * u) @ weight


def _large_spread(order: int, mean: Array, std: Array) -> Array:
    """For mean <= 0: as it is where mean > -variance / 2, by the quotient by exp(t) below.

    The larger the spread, the more of a derivative of order 3 or above cancels. By parts it is
    that of order 2, which is positive, times the Hermite polynomial of the remaining order.
    """
    variance = std**2
    tilted = -mean >= variance / 2
    centre = jnp.where(tilted, mean + variance, mean)
    z = centre / std
    t = jnp.asarray(_T, mean.dtype)
    density = _density((t - centre[..., None]) / std[..., None]) / std[..., None]
    quotient = density @ jnp.asarray(_rest(order, tilted=True), mean.dtype)
    if order > 2:
        density *= _hermite(order - 2, (t - centre[..., None]) / std[..., None])
        density /= std[..., None] ** (order - 2)
    plain = density @ jnp.asarray(_rest(min(order, 2), tilted=False), mean.dtype)
    if order < 2:
        plain += std * _ramp(z) if order == 0 else jax.scipy.special.ndtr(z)
    quotient += jax.scipy.special.ndtr(-z)
    factor = jnp.exp(jnp.where(tilted, mean + variance / 2, 0.0))
    return jnp.where(tilted, factor * quotient, plain)


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
    near = z * jax.scipy.special.ndtr(z) + _density(z)
    return jnp.where(z < -4.0, _density(z) * k / (x + k), near)


def _density(z: Array) -> Array:
    return jnp.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _expectation(order: int, mean: Array, variance: Array) -> Array:
    small = variance < 1.0
    positive = variance > 0
    std = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
    below = -jnp.abs(mean)
    value = jnp.where(
        small,
        _small_spread(order, below, jnp.where(small, std, 0.0)),
        _large_spread(order, below, jnp.where(small, 1.0, std)),
    )
    if order == 0:  # softplus(t) = t + softplus(-t)
        return jnp.maximum(mean, 0.0) + value
    if order == 1:
        return jnp.where(mean > 0, 1 - value, value)
    return value if order % 2 == 0 else -jnp.sign(mean) * value


@_expectation.defjvp
def _expectation_jvp(
    order: int, primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    mean, variance = primals
    d_mean, d_variance = tangents
    # d/dmean E f = E f' and d/dvariance E f = E f''/2: exact to every order, also at variance 0,
    # where differentiating through the square root would fail.
    tangent = _expectation(order + 1, mean, variance) * d_mean
    tangent += 0.5 * _expectation(order + 2, mean, variance) * d_variance
    return _expectation(order, mean, variance), tangent


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
        variance: finite, at least 0.

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
    dtype = jnp.result_type(mean, variance)
    return _expectation(order, jnp.asarray(mean, dtype), jnp.asarray(variance, dtype))
