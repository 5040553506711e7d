"""The loss as a function of the end-to-end matrix w alone: its gradient and Hessian, by formula.

Regression is quadratic in w, which has a row an output; binary tasks have one row, classes one
each. The logistic loss of points has the gradient -E y s(-z) x, s the sigmoid and z = y w.x the
margin. In the population of a binary task the margin is N(w.m, w' C w) and, by Stein's lemma, the
gradient is -(A m - B C w) with A = E s(-z) and B = E s(z) s(-z). The cross-entropy of classes has
the gradient E (p - e_y) x', p the softmax of w x and e_y the unit vector of the class.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from toylin._internal.shapes import Array, Float
from toylin.quadrature import expected_softplus_derivatives
from toylin.tasks import BinaryMoments, BinaryPoints, ClassPoints, RegressionMoments

Differentiable = RegressionMoments | BinaryPoints | BinaryMoments | ClassPoints


def slope(w: Float[Array, "outputs dim"], data: Differentiable) -> Float[Array, "outputs dim"]:
    """The gradient of ``data``'s loss in w."""
    match data:
        case RegressionMoments():
            return (w - data.theta) @ data.xx - data.xe
        case BinaryPoints():
            wrong = jax.nn.sigmoid(-data.y * (data.x @ w[0]))
            return -((data.y * wrong) @ data.x)[None, :] / data.y.shape[-1]
        case BinaryMoments():
            cov_w = data.cov @ w[0]
            a, b = _derivatives((1, 2), w, data)
            return (b * cov_w - a * data.mean)[None, :]
        case ClassPoints():
            own = jax.nn.one_hot(data.y, data.classes, dtype=w.dtype)
            wrong = jax.nn.softmax(data.x @ w.T) - own
            return wrong.T @ data.x / data.y.shape[-1]


def curvature(
    w: Float[Array, "outputs dim"], data: Differentiable, direction: Float[Array, "outputs dim"]
) -> Float[Array, "outputs dim"]:
    """The Hessian of ``data``'s loss in w, times ``direction``."""
    match data:
        case RegressionMoments():
            return direction @ data.xx
        case BinaryPoints():
            z = data.x @ w[0]
            spread = jax.nn.sigmoid(z) * jax.nn.sigmoid(-z) * (data.x @ direction[0])
            return (spread @ data.x)[None, :] / data.y.shape[-1]
        case BinaryMoments():
            # -z has mean -w.m and variance w' C w, whose derivatives along v are -v.m and
            # 2 v' C w; those of E f(-z) in mean and variance are E f' and E f''/2.
            cov_w, cov_v = data.cov @ w[0], data.cov @ direction[0]
            along_m, along_c = direction[0] @ data.mean, direction[0] @ cov_w
            b, third, fourth = _derivatives((2, 3, 4), w, data)
            d_a = third * along_c - b * along_m
            d_b = fourth * along_c - third * along_m
            return (b * cov_v + d_b * cov_w - d_a * data.mean)[None, :]
        case ClassPoints():
            p, along = jax.nn.softmax(data.x @ w.T), data.x @ direction.T
            spread = p * (along - jnp.sum(p * along, axis=-1, keepdims=True))
            return spread.T @ data.x / data.y.shape[-1]


def _derivatives(orders: tuple[int, ...], w: Array, data: BinaryMoments) -> tuple[Array, ...]:
    """E of softplus's derivatives of those orders at -z."""
    return expected_softplus_derivatives(orders, -(w[0] @ data.mean), w[0] @ (data.cov @ w[0]))
