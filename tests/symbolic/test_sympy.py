"""A third opinion in exact rational arithmetic: the expected loss derived from scratch by SymPy.

The post-adaptation loss is expanded as a polynomial in theta, S, n and the weights, and every
monomial replaced by its exact moment. Nothing here is shared with the package.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import sympy
from helpers import ROUTES, flat, scalar_params, value_and_grad
from sympy import QQ, Rational

import toylin as tl

W = [Rational(7, 10), Rational(-9, 10), Rational(11, 10)]
ALPHA = Rational(1, 8)
MEAN, PRIOR, SPREAD, NOISE = Rational(3, 10), Rational(4, 5), Rational(13, 10), Rational(1, 4)


def normal_moment(mean, variance, order):
    """E z^order for z ~ N(mean, variance), by the recurrence of Gaussian moments."""
    below, moment = 0, 1
    for k in range(order):
        below, moment = moment, mean * moment + k * variance * below
    return moment


def support_moment(power_s, power_n, shots):
    """E S^i n^j: S ~ (spread / K) chi²_K and n | S ~ N(0, noise² S / K); S = spread for all."""
    if shots is None:
        return SPREAD**power_s if power_n == 0 else 0
    if power_n % 2:
        return 0
    order = power_s + power_n // 2
    gamma = prod((Rational(shots, 2) + k for k in range(order)), start=Rational(1))
    odd = normal_moment(0, 1, power_n) * (NOISE**2 / shots) ** (power_n // 2)
    return odd * gamma * (2 * SPREAD / shots) ** order


def expectation(polynomial, shots):
    total = 0
    for (i, j, k), coefficient in polynomial.terms():
        moment = normal_moment(MEAN, PRIOR, i) * support_moment(j, k, shots)
        total += Rational(coefficient) * moment
    return total


def exact(depth, steps, shots):
    """The expected loss and its gradient, as rational numbers."""
    ring, *symbols = sympy.ring(["theta", "S", "n", *(f"w{i}" for i in range(depth))], QQ)
    theta, s, n = symbols[:3]
    start = symbols[3:]

    def constant(number):
        return ring(QQ(number.p, number.q))

    weights = start
    for _ in range(steps):
        slope = s * (prod(weights) - theta) - n
        weights = [
            w - constant(ALPHA) * slope * prod(weights[:i] + weights[i + 1 :], start=ring(1))
            for i, w in enumerate(weights)
        ]
    error = prod(weights) - theta
    loss = constant(SPREAD / 2) * error**2 + constant(NOISE**2 / 2)

    at = [(w, QQ(value.p, value.q)) for w, value in zip(start, W, strict=False)]
    return [expectation(p.evaluate(at), shots) for p in (loss, *map(loss.diff, start))]


@pytest.mark.parametrize("shots", [None, 1, 5])
@pytest.mark.parametrize(("depth", "steps"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)])
def test_both_routes_against_rational_arithmetic(depth, steps, shots):
    want, *want_grad = (float(x) for x in exact(depth, steps, shots))
    tasks = tl.LinearRegression(
        theta_mean=float(MEAN),
        theta_cov=float(PRIOR),
        x_cov=float(SPREAD),
        noise_std=float(NOISE),
        shots=shots,
    )
    params = scalar_params([float(w) for w in W[:depth]])
    for route in ROUTES:
        loss, grad = value_and_grad(route, params, tasks, tl.MAML(float(ALPHA), steps))
        np.testing.assert_allclose(loss, want, rtol=2e-12)
        scale = max(map(abs, want_grad))
        np.testing.assert_allclose(flat(grad), want_grad, rtol=0, atol=2e-12 * scale)
