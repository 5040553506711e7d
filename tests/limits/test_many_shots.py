"""Floors that go as 1/K: right to their last digits where a difference of large terms loses all."""

from __future__ import annotations

from fractions import Fraction

import jax
import jax.numpy as jnp
import mpmath as mp
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


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("shots", [1, 2, 7, 3000, 22_000_000, 42_000_000, 10**8, 2 * 10**9])
def test_the_bayes_loss_of_many_shots(shots, x64):
    """Against the integral at 40 digits, in sqrt(g), around its peak."""
    noise, spread = mp.mpf("0.7") ** 2, mp.mpf("1.3")
    shape, a = mp.mpf(shots) / 2, noise / (2 * spread)

    def density(t):
        g = t * t
        log = 2 * shape * mp.log(t) - g - mp.loggamma(shape) + mp.log(2) - mp.log(t)
        return mp.exp(log) / (a + g)

    with mp.workdps(40):
        peak, width = mp.sqrt(shape), mp.mpf(1)
        edges = [mp.mpf(10) ** -k for k in (30, 12, 6, 3, 1)] if shots < 10 else []
        edges += [max(peak + k * width, mp.mpf("0.2")) for k in (-9, -4, -1.5, 0, 1.5, 4, 9)]
        exact = spread * a * mp.quad(density, sorted(set(edges)))
    with jax.enable_x64(x64):
        loss = tl.bayes_loss(tl.LinearRegression(x_cov=1.3, noise_std=0.7, shots=shots))
        eps = float(jnp.finfo(loss.dtype).eps)
    np.testing.assert_allclose(loss, float((exact + noise) / 2), rtol=20 * eps)
