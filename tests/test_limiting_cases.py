"""Limits in which the answer is known without any of the machinery."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROUTES, WEIGHTS, assert_close, flat, scalar_params, value_and_grad

import toylin as tl

TASKS = tl.LinearRegression(theta_mean=0.3, theta_cov=0.8, x_cov=1.4, noise_std=0.5)

each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)


def with_shots(shots, noise_std=0.5):
    return tl.LinearRegression(
        theta_mean=0.3, theta_cov=0.8, x_cov=1.4, noise_std=noise_std, shots=shots
    )


def no_adaptation(weights):
    """1/2 s² [(p - mu)² + tau²] + sigma²/2 and its gradient s² (p - mu) p / w_i."""
    p = np.prod(weights)
    loss = 0.5 * 1.4 * ((p - 0.3) ** 2 + 0.8) + 0.125
    return loss, 1.4 * (p - 0.3) * p / np.array(weights)


@each_route
@pytest.mark.parametrize("shots", [None, 3])
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize(("step_size", "steps"), [(0.0, 2), (0.4, 0)])
def test_no_step_size_and_no_steps(route, depth, shots, step_size, steps):
    weights = WEIGHTS[:depth]
    want, want_grad = no_adaptation(weights)
    rule = tl.MAML(step_size, steps)
    loss, grad = value_and_grad(route, scalar_params(weights), with_shots(shots), rule)
    np.testing.assert_allclose(loss, want, rtol=1e-13)
    np.testing.assert_allclose(flat(grad), want_grad, rtol=1e-12)


@each_route
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_shallow_population(route, steps):
    """1/2 s² (1 - alpha s²)^2T [(w - mu)² + tau²] + sigma²/2."""
    left = 1.4 * (1 - 0.2 * 1.4) ** (2 * steps)
    loss, grad = value_and_grad(route, scalar_params([0.9]), TASKS, tl.MAML(0.2, steps))
    np.testing.assert_allclose(loss, 0.5 * left * (0.6**2 + 0.8) + 0.125, rtol=1e-13)
    np.testing.assert_allclose(flat(grad), [left * 0.6], rtol=1e-12)


@each_route
def test_a_layer_that_barely_learns_leaves_the_shallow_model(route):
    """With W_2 = c large and W_1 = w / c, the upper layer moves by a factor 1/c² less.

    The end-to-end weight then takes the shallow step with step size alpha c² .
    """
    c, step_size = 1e5, 0.2
    shallow, _ = value_and_grad(route, scalar_params([0.9]), TASKS, tl.MAML(step_size))
    deep, _ = value_and_grad(route, scalar_params([0.9 / c, c]), TASKS, tl.MAML(step_size / c**2))
    np.testing.assert_allclose(deep, shallow, rtol=1e-8)


@pytest.mark.parametrize("steps", [1, 2])
def test_shallow_in_layers_of_one_unit(steps):
    """A d-dimensional shallow model by its formula and by the layer-by-layer route on nodes."""
    tasks = tl.LinearRegression(
        dim=2,
        theta_mean=jnp.array([0.3, -0.2]),
        theta_cov=jnp.array([[0.8, 0.2], [0.2, 0.5]]),
        x_cov=jnp.array([[1.2, -0.3], [-0.3, 0.7]]),
        noise_std=0.5,
    )
    params = (jnp.array([[0.9, -0.4]]),)
    rule = tl.MAML(0.2, steps)
    nodes = tl.quadrature_batch(tasks, depth=1, steps=steps)
    for route in ROUTES:
        formula = value_and_grad(tl.closed_form, params, tasks, rule)
        assert_close(value_and_grad(route, params, nodes, rule), formula, 1e-12)


@each_route
@pytest.mark.parametrize(("depth", "steps"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_many_shots_approach_the_population(route, depth, steps):
    """The difference is O(1/K), with or without noise: from K to 10 K it falls tenfold."""
    params, rule = scalar_params(WEIGHTS[:depth]), tl.MAML(0.05, steps)
    population = value_and_grad(route, params, TASKS, rule)
    error = [
        np.abs(flat(value_and_grad(route, params, with_shots(shots), rule)) - flat(population))
        for shots in (10_000, 100_000)
    ]
    assert np.all(error[0] > 1e-8)
    np.testing.assert_allclose(error[0] / error[1], 10, rtol=0.01)


@each_route
def test_noise_adds_its_half_and_what_adaptation_carries(route):
    """Without noise nothing of it is left; with it the population loss gains sigma²/2 alone."""
    params, rule = scalar_params(WEIGHTS[:2]), tl.MAML(0.1)
    noiseless, _ = value_and_grad(route, params, with_shots(None, 0.0), rule)
    noisy, _ = value_and_grad(route, params, with_shots(None, 0.5), rule)
    np.testing.assert_allclose(noisy - noiseless, 0.125, rtol=1e-12)
    noiseless, noisy, tiny = (
        value_and_grad(route, params, with_shots(3, sigma), rule)[0] for sigma in (0.0, 0.5, 1e-9)
    )
    np.testing.assert_allclose(tiny, noiseless, rtol=1e-14)
    assert noisy - noiseless > 0.125 + 1e-3


@each_route
def test_first_order_is_exact_where_the_hessian_is_zero(route):
    """Both weights zero and S = 0 but for the query: no curvature, so FOMAML is MAML."""
    zero, one = jnp.zeros((3, 1)), jnp.ones((3, 1, 1))
    support = tl.RegressionMoments(xx=0 * one, theta=zero, xe=zero, ee=zero[:, 0])
    query = tl.RegressionMoments(xx=one, theta=zero + 2.0, xe=zero, ee=zero[:, 0])
    batch = tl.Batch(support, query, zero)
    params = scalar_params(WEIGHTS[:2])
    full, first = (
        value_and_grad(route, params, batch, tl.MAML(0.3, 2, first_order))[1]
        for first_order in (False, True)
    )
    assert np.max(np.abs(flat(full))) > 1
    np.testing.assert_allclose(flat(first), flat(full), rtol=1e-14)


@each_route
def test_shallow_first_order_loses_one_factor(route):
    """d/dw is E[(1 - alpha S) s² (1 - alpha S)] (w - mu); to first order E[s² (1 - alpha S)]."""
    tasks, params = with_shots(4), scalar_params([0.9])
    _, grad = value_and_grad(route, params, tasks, tl.MAML(0.2, 1, first_order=True))
    np.testing.assert_allclose(flat(grad), [1.4 * (1 - 0.2 * 1.4) * 0.6], rtol=1e-12)


def test_first_order_leaves_the_value_alone():
    params = scalar_params(WEIGHTS[:3])
    for route in ROUTES:
        full, first = (
            value_and_grad(route, params, with_shots(4), tl.MAML(0.05, 2, first_order))[0]
            for first_order in (False, True)
        )
        assert full == first


def test_loss_does_not_depend_on_the_parameter_it_is_centred_on():
    """The moments of points about any theta give the loss of the points."""
    points = tl.LinearRegression(dim=2, noise_std=0.3, shots=5).sample(jax.random.key(0), 1).support
    points = jax.tree.map(lambda a: a[0], points)
    params = tl.init(jax.random.key(1), (2, 3, 1))
    want = points.loss(params)
    for centre in ([0.0, 0.0], [3.0, -2.0]):
        np.testing.assert_allclose(points.moments(jnp.array(centre)).loss(params), want, rtol=1e-12)
