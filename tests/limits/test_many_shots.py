"""Floors that go as 1/K: right to their last digits where a difference of large terms loses all."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

SCALAR = {"theta_mean": 0.0, "theta_cov": 1.5, "x_cov": 0.75, "noise_std": 0.0}


def exact(shots):
    """Of the best multiple c of the support's gradient, E s² (theta - c S theta)² / 2."""
    spread, power = Fraction(SCALAR["x_cov"]), Fraction(SCALAR["theta_cov"])
    second = spread**2 * (1 + Fraction(2, shots))  # E S²
    best = spread / second
    return float(spread * power * (1 - 2 * best * spread + best**2 * second) / 2)


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("shots", [1, 3, 1000, 10**6, 10**8])
def test_the_floor_of_many_shots(shots, x64):
    with jax.enable_x64(x64):
        tasks = tl.LinearRegression(shots=shots, **SCALAR)
        floor = tl.zero_layer_floor(tasks)
        rtol = 4 * float(jnp.finfo(floor.dtype).eps)
        np.testing.assert_allclose(floor, exact(shots), rtol=rtol)
        for kind in ("full", "diagonal", "scalar"):
            loss = tl.best_preconditioner(tasks, kind).loss
            np.testing.assert_allclose(loss, exact(shots), rtol=2 * rtol)


def test_the_floor_of_a_population_is_no_negative_number():
    x_cov = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 0.7]])
    with jax.enable_x64(False):
        loss = tl.best_preconditioner(tl.LinearRegression(dim=3, x_cov=x_cov)).loss
    assert 0 <= loss < 1e-12


@pytest.mark.parametrize("kind", ["full", "kronecker", "diagonal", "scalar"])
def test_several_outputs_of_many_shots_in_single_precision(kind):
    """The loss is that of the matrix, by extended precision."""
    rows = np.array([[1.0, 0.4], [0.4, 2.0]])
    of_x = np.array([[1.0, 0.5], [0.5, 2.0]])
    shots = 10**7
    given = {"dim": 2, "outputs": 2, "output_cov": rows, "x_cov": of_x, "shots": shots}
    sigma, prior = np.kron(np.eye(2), of_x), np.kron(rows, np.eye(2))
    slope = sigma @ prior @ sigma
    curvature = (1 + 1 / shots) * slope + np.trace(of_x) / shots * np.kron(rows, of_x)

    with jax.enable_x64(False):
        best = tl.best_preconditioner(tl.LinearRegression(**given), kind)
    matrix = np.asarray(best.matrix, np.longdouble)
    missed = np.eye(4) - matrix @ sigma
    exact = np.trace(sigma @ missed @ prior @ missed.T) / 2
    exact += np.trace(sigma @ matrix @ (curvature - slope) @ matrix.T) / 2
    np.testing.assert_allclose(best.loss, float(exact), rtol=2e-5)
