"""Gaussian expectations of the softplus function and all its derivatives, exact to rounding."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array, Float

# Small spread (standard deviation below 1): the trapezoidal rule over u in N(0, 1). Softplus has
# its nearest poles at distance pi: the error is below exp(pi²/2 - 2 pi²/STEP) = 1e-32.
_STEP = 0.25
_U = np.arange(-36, 37) * _STEP
_U_WEIGHT = _STEP * np.exp(-(_U**2) / 2) / np.sqrt(2 * np.pi)

# Large spread: what is left of the function after its ramp or step is taken out decays like
# exp(-|t|), and is integrated over t in panels that resolve a Gaussian of standard deviation 1.
_EDGES = np.array([0.0, 2.0, 5.0, 9.0, 14.0, 20.0, 28.0, 38.0])
_LEGENDRE = np.polynomial.legendre.leggauss(16)
_HALF = np.concatenate([(a + b) / 2 + (b - a) / 2 * _LEGENDRE[0] for a, b in pairwise(_EDGES)])
_HALF_WEIGHT = np.concatenate([(b - a) / 2 * _LEGENDRE[1] for a, b in pairwise(_EDGES)])
_T = np.concatenate([-_HALF[::-1], _HALF])
_T_WEIGHT = np.concatenate([_HALF_WEIGHT[::-1], _HALF_WEIGHT])


def _derivative(order: int, t: Array) -> Array:
    """The derivative of softplus of that order: softplus, sigmoid s, s(1-s), s(1-s)(1-2s), ..."""
    if order == 0:
        return jax.nn.softplus(t)
    polynomial = np.polynomial.Polynomial([0.0, 1.0])
    for _ in range(order - 1):
        polynomial = polynomial.deriv() * np.polynomial.Polynomial([0.0, 1.0, -1.0])
    return jnp.polyval(jnp.asarray(polynomial.coef[::-1], t.dtype), jax.nn.sigmoid(t))


def _small_spread(order: int, mean: Array, std: Array) -> Array:
    u, weight = (jnp.asarray(a, mean.dtype) for a in (_U, _U_WEIGHT))
    return _derivative(order, mean[..., None] + std[..., None] * u) @ weight


def _large_spread(order: int, mean: Array, std: Array) -> Array:
    t, weight = (jnp.asarray(a, mean.dtype) for a in (_T, _T_WEIGHT))
    z = mean / std
    ramp_or_step = (
        (lambda t: jnp.maximum(t, 0.0), mean * jax.scipy.stats.norm.cdf(z) + std * _density(z)),
        (lambda t: jnp.where(t > 0, 1.0, 0.0).astype(t.dtype), jax.scipy.stats.norm.cdf(z)),
    )
    rest = _derivative(order, t)
    expectation = jnp.zeros_like(mean)
    if order < 2:
        function, expectation = ramp_or_step[order]
        rest = rest - function(t)
    density = _density((t - mean[..., None]) / std[..., None]) / std[..., None]
    return expectation + density @ (weight * rest)


def _density(z: Array) -> Array:
    return jnp.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _expectation(order: int, mean: Array, variance: Array) -> Array:
    small = variance < 1.0
    positive = variance > 0
    std = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
    return jnp.where(
        small,
        _small_spread(order, mean, jnp.where(small, std, 0.0)),
        _large_spread(order, mean, jnp.where(small, 1.0, std)),
    )


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
    """E log(1 + exp(t)) for t ~ N(mean, variance), with derivatives of every order."""
    dtype = jnp.result_type(mean, variance)
    return _expectation(0, jnp.asarray(mean, dtype), jnp.asarray(variance, dtype))


def expected_sigmoid(
    mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E 1/(1 + exp(-t)) for t ~ N(mean, variance), with derivatives of every order."""
    dtype = jnp.result_type(mean, variance)
    return _expectation(1, jnp.asarray(mean, dtype), jnp.asarray(variance, dtype))


def expected_softplus_derivative(
    order: int, mean: Float[Array, "*shape"], variance: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """E of the derivative of softplus of that order at t ~ N(mean, variance)."""
    dtype = jnp.result_type(mean, variance)
    return _expectation(order, jnp.asarray(mean, dtype), jnp.asarray(variance, dtype))
