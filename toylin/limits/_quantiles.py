"""Errors that are mixtures of normal ones: what lies inside a radius, and its quantiles."""

from __future__ import annotations

from functools import partial
from math import ceil, log, log2, sqrt
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jax.scipy.stats import norm

from toylin._internal.shapes import Array


class Outcomes(NamedTuple):
    """Weighted errors of the adapted product, each spread as |error + std u|, u ~ N(0, 1)."""

    error: Array
    std: Array
    weight: Array

    def inside(self, radius: Array) -> tuple[Array, Array]:
        """Probability and second moment of the errors of at most ``radius``."""
        finite = jnp.isfinite(self.error**2)
        error = jnp.where(finite, self.error, 0.0)
        spread = self.std > 0
        std = jnp.where(spread, self.std, 1.0)
        high, low = (radius - error) / std, (radius + error) / std
        # A mass far smaller than a rounding error of 1 does not count here, and erf is quicker.
        mass = 0.5 * (erf(high / sqrt(2)) + erf(low / sqrt(2)))
        edges = (radius + error) * norm.pdf(high) + (radius - error) * norm.pdf(low)
        within = (error <= radius).astype(error.dtype)
        square = jnp.where(spread, (error**2 + std**2) * mass - std * edges, within * error**2)
        weight = jnp.where(finite, self.weight, 0.0)
        return jnp.sum(weight * jnp.where(spread, mass, within)), jnp.sum(weight * square)


def quantiles(outcomes: Outcomes, levels: np.ndarray) -> Array:
    """Radii that hold these probabilities; inf beyond floats."""
    return jax.lax.map(partial(_quantile, outcomes), jnp.asarray(levels, outcomes.error.dtype))


def _quantile(outcomes: Outcomes, level: Array) -> Array:
    """The radius that holds a probability, to a millionth: a root in its logarithm.

    Oliveira and Takahashi's method (2020) of bracketing, interpolating and projecting: at worst
    one evaluation more than bisection, on what is smooth half as many. An evaluation is what costs.
    """
    bounds = jnp.finfo(level.dtype)
    start, end = (0.5 * log(float(x)) for x in (bounds.tiny, bounds.max))
    accuracy = 5e-7
    most = ceil(log2((end - start) / (2 * accuracy))) + 1

    def excess(log_radius: Array) -> Array:
        return outcomes.inside(jnp.exp(log_radius))[0] - level

    def go_on(state: _Bracket) -> Array:
        return (state.high - state.low > 2 * accuracy) & (state.evaluations < most)

    def shrink(state: _Bracket) -> _Bracket:
        low, high, below, above, count = state
        width, middle = high - low, 0.5 * (low + high)
        crossing = (above * low - below * high) / (above - below)
        inwards = jnp.sign(middle - crossing)
        cut = 0.2 * width**2 / (end - start)
        slack = accuracy * 2.0 ** (most - count).astype(width.dtype) - 0.5 * width
        x = jnp.where(cut <= jnp.abs(middle - crossing), crossing + inwards * cut, middle)
        x = jnp.where(jnp.abs(x - middle) <= slack, x, middle - inwards * slack)
        value = excess(x)
        reached = value >= 0
        return _Bracket(
            jnp.where(reached, low, x),
            jnp.where(reached, x, high),
            jnp.where(reached, below, value),
            jnp.where(reached, value, above),
            count + 1,
        )

    low, high = jnp.full_like(level, start), jnp.full_like(level, end)
    above = excess(high)
    found = jax.lax.while_loop(
        go_on, shrink, _Bracket(low, high, -level, above, jnp.zeros((), int))
    )
    return jnp.where(above >= 0, jnp.exp(found.high), jnp.inf)


class _Bracket(NamedTuple):
    """Logarithms of radii about a root, what is missing below it and what is too much above."""

    low: Array
    high: Array
    below: Array
    above: Array
    evaluations: Array
