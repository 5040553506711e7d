"""Distances to the nearest minimum, as sweeps report them."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import toylin as tl
from toylin.landscape import distance_to_minimum


def product_slopes(u):
    """The gradient of the product of the entries."""
    u = u.tolist()
    return [math.prod(u[:i] + u[i + 1 :]) for i in range(len(u))]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_distance_to_the_nearest_minimum(depth):
    tasks, rule = tl.LinearRegression(x_cov=1.7), tl.MAML(0.4)
    product = 1 / np.sqrt(0.4 * 1.7)
    rng = np.random.default_rng(depth)
    distance = jax.jit(distance_to_minimum)
    # The last: where the nearest point has the smaller root only just.
    more = [np.array([1.0, 2.6, 0.1])] if depth == 3 else []
    for weights in (*rng.normal(size=(6, depth)), 3 + rng.random(depth), np.zeros(depth), *more):
        params = tuple(jnp.full((1, 1), w) for w in weights)
        best = np.inf
        for zero in range(depth):
            kept = np.delete(weights, zero)
            for sign in (-1, 1):
                for begin in rng.normal(scale=2.0, size=(12, depth - 1)):
                    found = minimize(
                        lambda u, kept=kept: np.sum((u - kept) ** 2),
                        begin,
                        jac=lambda u, kept=kept: 2 * (u - kept),
                        constraints={
                            "type": "eq",
                            "fun": lambda u, sign=sign: math.prod(u) - sign * product,
                            "jac": product_slopes,
                        },
                        method="SLSQP",
                        options={"ftol": 1e-14, "maxiter": 500},
                    )
                    if found.success and abs(abs(np.prod(found.x)) - product) < 1e-8:
                        best = min(best, weights[zero] ** 2 + found.fun)
        got = float(distance(params, tasks, rule))
        assert got == pytest.approx(np.sqrt(best), rel=1e-5)


def test_the_minima_are_minima():
    # The points that distances are taken to have zero loss: one step fits every task.
    product = 1 / np.sqrt(0.4 * 1.7)
    params = tuple(jnp.full((1, 1), w) for w in (0.0, 2.0, product / 2))
    tasks = tl.LinearRegression(theta_mean=0.6, x_cov=1.7)
    assert float(tl.closed_form.outer_loss(params, tasks, tl.MAML(0.4))) < 1e-25
    assert float(distance_to_minimum(params, tasks, tl.MAML(0.4))) < 1e-7
    assert np.isnan(float(distance_to_minimum(params, tasks, tl.MAML(-0.4))))
