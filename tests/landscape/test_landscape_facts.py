"""What is known of the loss surface of the deep scalar model: every critical point and its kind."""

from __future__ import annotations

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import scalar_params

import toylin as tl


def loss_of(weights, tasks, rule):
    layers = tuple(w[None, None] for w in weights)
    return tl.closed_form.outer_loss(layers, tasks, rule)


@jax.jit
def second_order(weights, tasks, rule):
    """Loss, gradient (by formula) and Hessian at an array of weights."""
    layers = tuple(w[None, None] for w in weights)
    grad = jnp.concatenate(tl.closed_form.outer_grad(layers, tasks, rule)).ravel()
    return loss_of(weights, tasks, rule), grad, jax.hessian(loss_of)(weights, tasks, rule)


def index(hessian):
    """The number of descending directions; no direction may be flat."""
    values = np.linalg.eigvalsh(hessian)
    assert np.min(np.abs(values)) > 1e-6
    return int(np.sum(values < 0))


@jax.jit
def newton(starts, tasks, rule):
    """Critical points that Newton's method reaches from each start."""

    def refine(w):
        def step(w, _):
            _, grad, hessian = second_order(w, tasks, rule)
            return w - jnp.linalg.solve(hessian, grad), None

        return jax.lax.scan(step, w, length=60)[0]

    return jax.vmap(refine)(starts)


def critical_points(tasks, rule):
    side = np.linspace(-4.5, 4.5, 37)
    starts = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2) + 0.01
    points = np.asarray(newton(jnp.asarray(starts), tasks, rule))
    points = points[np.all(np.isfinite(points), axis=1)]
    value, grad, hessian = jax.vmap(second_order, (0, None, None))(jnp.asarray(points), tasks, rule)
    good = (np.max(np.abs(grad), axis=1) < 1e-10) & (np.max(np.abs(points), axis=1) < 10)
    _, unique = np.unique(np.round(points[good], 6) + 0.0, axis=0, return_index=True)
    return points[good][unique], np.asarray(value)[good][unique], np.asarray(hessian)[good][unique]


def rings(tasks, rule):
    """How many critical points there are by index, size of the largest weight and loss."""
    return Counter(
        (index(h), round(float(np.max(np.abs(p))), 5), round(float(abs(v)), 5))
        for p, v, h in zip(*critical_points(tasks, rule), strict=True)
    )


def test_seventeen_critical_points():
    assert rings(tl.LinearRegression(), tl.MAML(step_size=0.1)) == {
        (0, round(10**0.5, 5), 0.0): 4,  # the minima
        (2, 0.0, 0.5): 1,  # the origin is a maximum
        (1, 0.45198, 0.48040): 4,  # saddles on the diagonals
        (1, 2.85866, 0.31548): 4,
        (2, 1.80478, 1.30357): 4,  # maxima
    }


def test_nine_critical_points_at_a_large_step():
    assert rings(tl.LinearRegression(), tl.MAML(step_size=0.5)) == {
        (0, round(2**0.5, 5), 0.0): 4,
        (2, 0.0, 0.5): 1,
        (1, 0.79551, 0.28903): 4,
    }


def test_saddles_and_maxima_lie_on_the_diagonals():
    points, value, _ = critical_points(tl.LinearRegression(), tl.MAML(step_size=0.1))
    off_axis = points[(value > 1e-9) & (np.hypot(*points.T) > 1e-6)]
    assert len(off_axis) == 12
    np.testing.assert_allclose(np.abs(off_axis[:, 0]), np.abs(off_axis[:, 1]), rtol=1e-8)


@pytest.mark.parametrize("mean", [0.0, 0.5, -2.0])
def test_four_minima_adapt_exactly(mean):
    """At (0, +-b) and (+-b, 0), b² = 1/(alpha s²), one step reaches theta, whatever theta is."""
    step_size, spread = 0.2, 1.6
    tasks = tl.LinearRegression(theta_mean=mean, theta_cov=0.7, x_cov=spread)
    b = (step_size * spread) ** -0.5
    for point in ([0, b], [0, -b], [b, 0], [-b, 0]):
        value, grad, hessian = second_order(jnp.array(point), tasks, tl.MAML(step_size))
        assert abs(value) < 1e-28
        assert np.max(np.abs(grad)) < 1e-13
        assert index(hessian) == 0


def test_the_origin_is_a_maximum_and_a_saddle_for_a_distant_mean():
    step_size, spread, prior = 0.1, 1.3, 0.9
    at_origin = jnp.zeros(2)
    tasks = tl.LinearRegression(theta_cov=prior, x_cov=spread)
    _, grad, hessian = second_order(at_origin, tasks, tl.MAML(step_size))
    np.testing.assert_array_equal(grad, 0)
    np.testing.assert_allclose(hessian, -2 * step_size * spread**2 * prior * np.eye(2), atol=1e-13)

    _, grad, hessian = second_order(at_origin, tl.LinearRegression(theta_mean=0.5), tl.MAML(0.1))
    np.testing.assert_array_equal(grad, 0)
    assert index(hessian) == 1


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_deeper_minima_are_a_manifold(depth):
    """One weight zero, the product q of the others with q² = 1/(alpha s²): L - 2 flat directions.

    The remaining two directions, the zero weight and the product of the others, are curved.
    """
    tasks, rule = tl.LinearRegression(theta_mean=0.4, x_cov=0.8), tl.MAML(step_size=0.3)
    free = np.linspace(0.9, 1.3, depth - 2)
    last = (0.3 * 0.8) ** -0.5 / np.prod(free)
    point = jnp.array([*free, 0.0, -last])
    value, grad, hessian = second_order(point, tasks, rule)
    assert abs(value) < 1e-27
    assert np.max(np.abs(grad)) < 1e-12
    values = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(values[: depth - 2], 0, atol=1e-12)
    assert np.all(values[depth - 2 :] > 0.05)
    off = point.at[-1].mul(1.01)
    assert second_order(off, tasks, rule)[0] > 1e-6


@pytest.mark.parametrize(("noise", "shots"), [(0.0, 3), (0.6, 3), (0.3, 10)])
def test_best_upper_layer_for_few_shots(noise, shots):
    """At (0, b) the loss is least at c = alpha b² = 1/(s² (1 + 2/K) + sigma²/(K tau²))."""
    step_size, spread, prior = 0.1, 1.4, 0.7
    tasks = tl.LinearRegression(theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots)
    c = 1 / (spread * (1 + 2 / shots) + noise**2 / (shots * prior))
    best = 0.5 * spread * prior * (1 - c * spread) + noise**2 / 2
    b = (c / step_size) ** 0.5
    value, grad, hessian = second_order(jnp.array([0.0, b]), tasks, tl.MAML(step_size))
    np.testing.assert_allclose(value, best, rtol=1e-13)
    assert np.max(np.abs(grad)) < 1e-13
    assert hessian[1, 1] > 0
    # The upper layer is the meta-optimizer: so does a shallow model with that inner step size.
    shallow = tl.closed_form.outer_loss(scalar_params([0.0]), tasks, tl.MAML(c))
    np.testing.assert_allclose(shallow, best, rtol=1e-13)


@pytest.mark.parametrize("shots", [1, 4, 50])
def test_best_few_shot_loss_without_noise(shots):
    b = ((1 + 2 / shots) * 0.1) ** -0.5
    tasks = tl.LinearRegression(shots=shots)
    loss = tl.closed_form.outer_loss(scalar_params([0.0, b]), tasks, tl.MAML(0.1))
    np.testing.assert_allclose(loss, 1 / (shots + 2), rtol=1e-13)
