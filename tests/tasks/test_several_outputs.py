"""Linear regression of several outputs: the law, its draws and its losses on given data.

References are written entry by entry in NumPy, with no matrix of the package's formulas.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin import testing

X_COV = jnp.array([[1.2, -0.4], [-0.4, 0.7]])
THETA_COV = jnp.array([[0.9, 0.3], [0.3, 0.6]])
OUTPUT_COV = jnp.array([[1.0, 0.5, -0.2], [0.5, 2.0, 0.1], [-0.2, 0.1, 0.4]])
MEAN = jnp.array([[0.3, -0.2], [0.1, 0.5], [-0.4, 0.2]])


def law(shots=None, noise_std=0.4):
    return tl.LinearRegression(2, MEAN, THETA_COV, X_COV, noise_std, shots, 3, OUTPUT_COV)


def params_of(seed, *widths):
    rng = np.random.default_rng(seed)
    return tuple(
        jnp.asarray(rng.normal(size=(b, a)) / a**0.5) for a, b in itertools.pairwise(widths)
    )


def assert_mean(samples, want, errors=5.0):
    """Within that many standard errors, which are small beside the entries that matter."""
    samples = np.asarray(samples).reshape(len(samples), -1)
    error = samples.std(axis=0) / len(samples) ** 0.5
    assert np.all(np.abs(samples.mean(0) - np.ravel(want)) <= errors * error + 1e-12)


def test_theta_has_the_covariance_of_rows_kron_columns():
    theta = law().sample_theta(jax.random.key(0), 50_000)
    assert theta.shape == (50_000, 3, 2)
    assert_mean(theta, MEAN)
    away = np.asarray(theta - MEAN).reshape(-1, 6)
    want = [
        [OUTPUT_COV[i, j] * THETA_COV[k, m] for j in range(3) for m in range(2)]
        for i in range(3)
        for k in range(2)
    ]
    assert_mean(away[:, :, None] * away[:, None, :], want)


def test_the_noise_of_outputs_is_independent():
    batch = law(shots=3).sample(jax.random.key(1), 20_000, num_queries=2)
    assert batch.support.y.shape == (20_000, 3, 3)
    assert batch.query.y.shape == (20_000, 2, 3)
    for data in (batch.support, batch.query):
        noise = np.einsum("tkd,tmd->tkm", data.x, batch.truth) - data.y
        flat = noise.reshape(len(noise), -1)
        assert_mean(flat[:, :, None] * flat[:, None, :], 0.16 * np.eye(flat.shape[1]))


def statistics(data):
    """First and second moments of everything a loss sees, a row a task."""
    flat = jnp.concatenate(
        [data.xx.reshape(len(data.ee), -1), data.xe.reshape(len(data.ee), -1)], 1
    )
    flat = jnp.concatenate([flat, data.ee[:, None]], 1)
    return np.asarray(
        jnp.concatenate([flat, (flat[:, :, None] * flat[:, None]).reshape(len(flat), -1)], 1)
    )


@pytest.mark.parametrize(("shots", "num"), [(1, 20_000), (2, 20_000), (7, 20_000), (30, 4_000)])
def test_drawn_moments_are_those_of_points(shots, num):
    """Fewer points than dimensions, as many, more, and too many (times outputs) for uniforms."""
    tasks = law(shots=shots)
    batch = tasks.sample(jax.random.key(3), num)
    counted = jax.vmap(tl.RegressionPoints.moments)(batch.support, batch.truth)
    for_truth = tasks.sample_support(jax.random.key(4), batch.truth)
    np.testing.assert_array_equal(for_truth.theta, batch.truth)
    for drawn in (tasks.sample_moments(jax.random.key(2), num).support, for_truth):
        a, b = statistics(drawn), statistics(counted)
        error = np.sqrt(a.var(0) + b.var(0)) / len(a) ** 0.5
        assert np.all(np.abs(a.mean(0) - b.mean(0)) <= 5 * error + 1e-12)


def test_noiseless_moments_have_no_noise():
    drawn = law(shots=4, noise_std=0.0).sample_moments(jax.random.key(2), 5, noiseless=True)
    assert drawn.support.xe.shape == (5, 3, 2)
    assert not np.any(drawn.support.xe)
    assert not np.any(drawn.support.ee)


def by_entries(params, x, y):
    """Loss and gradient of each layer, by loops over points, outputs and entries' chain rule."""
    product = np.eye(x.shape[1])
    below = [product]
    for w in params:
        product = np.asarray(w) @ product
        below.append(product)
    loss, slope = 0.0, np.zeros_like(product)
    for xk, yk in zip(x, y, strict=True):
        for i in range(len(yk)):
            miss = sum(product[i, j] * xk[j] for j in range(len(xk))) - yk[i]
            loss += miss**2 / (2 * len(x))
            slope[i] += miss * xk / len(x)
    grads, above = [], slope
    for layer in reversed(range(len(params))):
        grads.append(above @ below[layer].T)
        above = np.asarray(params[layer]).T @ above
    return loss, grads[::-1]


@pytest.mark.parametrize("depth", [1, 2, 3])
@given(st.data())
def test_loss_and_gradient_on_given_data(depth, data):
    params = data.draw(testing.params(depth, 2, outputs=3))
    points = data.draw(testing.regression_points(5, 2, 3, size=30.0))
    loss, grads = by_entries(params, np.asarray(points.x), np.asarray(points.y))
    moments = points.moments(data.draw(testing.params(1, 2, outputs=3))[0])
    size = max(loss, *(np.abs(g).max() for g in grads), 30.0**2)
    for shown in (points, moments):
        for route in (tl.closed_form, tl.autodiff):
            np.testing.assert_allclose(
                route.inner_loss(params, shown), loss, rtol=1e-12, atol=1e-12 * size
            )
            assert_close(route.inner_grad(params, shown), tuple(grads), 1e-12, scale=size)


@pytest.mark.parametrize("rule", [tl.MAML(0.1, 3), tl.Reptile(0.1, 2), tl.MAML(0.1, 2, True)])
@pytest.mark.parametrize("widths", [(2, 3), (2, 4, 3)])
def test_adaptation_and_outer_gradient_on_drawn_tasks(rule, widths):
    params = params_of(5, *widths)
    batch = law(shots=4).sample(jax.random.key(4), 6, num_queries=3)
    one = jax.tree.map(lambda a: a[0], batch.support)
    assert_close(
        tl.closed_form.adapt(params, one, rule), tl.autodiff.adapt(params, one, rule), 1e-12
    )
    got = tl.closed_form.outer_value_and_grad(params, batch, rule)
    assert_close(got, tl.autodiff.outer_value_and_grad(params, batch, rule), 1e-10)
    assert tl.closed_form.route(params, batch, rule).name == "layered batch"


def test_nodes_of_several_outputs_are_exact():
    """Against the shallow formula, 1/2 tr[M E (W - Theta)'(W - Theta)] + m sigma²/2."""
    (w,) = params_of(7, 2, 3)
    left = np.linalg.matrix_power(np.eye(2) - 0.1 * np.asarray(X_COV), 2)
    quadratic = left.T @ np.asarray(X_COV) @ left
    square = (w - MEAN).T @ (w - MEAN) + np.trace(OUTPUT_COV) * np.asarray(THETA_COV)
    want = 0.5 * np.trace(quadratic @ square) + 3 * 0.16 / 2
    got = tl.closed_form.outer_loss((w,), law(), tl.MAML(0.1, 2))
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(
        tl.autodiff.outer_loss((w,), law(), tl.MAML(0.1, 2)), want, rtol=1e-12
    )


def test_estimates_contain_the_exact_value():
    params = params_of(8, 2, 2, 3)
    exact = tl.closed_form.outer_loss(params, law(), tl.MAML(0.1))
    found = tl.estimate(params, law(), tl.MAML(0.1), jax.random.key(0), 2**13)
    assert found.high - found.low < 0.05 * exact
    assert abs(found.mean - exact) < 5 * found.stderr
    plain, _ = tl.estimate_value_and_grad(params, law(), tl.MAML(0.1), jax.random.key(1), 10_000)
    assert abs(plain.mean - exact) < 5 * plain.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"outputs": 0}, "outputs must be an integer of at least 1, got 0"),
        ({"output_cov": 2.0}, "output_cov must be None for outputs=1"),
        (
            {"outputs": 3, "output_cov": jnp.eye(2)},
            r"output_cov must be a number or have shape \(3",
        ),
        ({"outputs": 3, "theta_mean": jnp.ones((2, 3))}, "theta_mean must be a number or have"),
        ({"outputs": 3, "theta_mean": jnp.full((3, 2), np.nan)}, "theta_mean must be finite"),
    ],
)
def test_bad_laws_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        tl.LinearRegression(dim=2, **settings)


@pytest.mark.parametrize(
    "function",
    [
        lambda tasks: tl.deep_floor(tasks, tl.MAML(0.1)),
        lambda tasks: tl.solve_critical_points(tasks, tl.MAML(0.1)),
        lambda tasks: tl.known_minimum(tasks, tl.MAML(0.1), 0),
        lambda tasks: tl.check_routes((jnp.ones((2, 1)),), tasks, tl.MAML(0.1)),
    ],
)
def test_what_serves_one_output_refuses_several(function):
    with pytest.raises(tl.NoClosedFormError, match="tasks must have outputs=1 here, got outputs=2"):
        function(tl.LinearRegression(outputs=2))


def test_polynomials_refuse_several():
    batch = tl.LinearRegression(outputs=2, shots=3).sample(jax.random.key(0), 4)
    with pytest.raises(ValueError, match="a polynomial loss needs one output"):
        tl.batch_polynomial(batch, tl.MAML(0.1), depth=2)


def test_models_start_with_the_outputs_of_the_tasks():
    start = tl.DeepLinear(depth=2, width=4).init(jax.random.key(0), law())
    assert [w.shape for w in start] == [(4, 2), (3, 4)]
    loss = tl.SampledLoss(law(shots=3), tl.MAML(0.05))
    result = tl.meta_train(loss, start, optax.sgd(0.01), key=jax.random.key(1), num_steps=3)
    assert np.all(np.isfinite(result.loss))


@pytest.mark.parametrize("wrong", ["xx", "xe", "ee"])
def test_moments_of_shapes_that_disagree_are_refused(wrong):
    shapes = {"xx": (2, 2), "theta": (3, 2), "xe": (3, 2), "ee": ()}
    parts = {
        n: jnp.ones((*s[:-1], 5) if n == wrong and s else (s or ((1,) if n == wrong else ())))
        for n, s in shapes.items()
    }
    with pytest.raises(ValueError, match=f"{wrong} must have shape"):
        tl.RegressionMoments(**parts)


def test_one_output_in_two_axes_is_refused():
    with pytest.raises(ValueError, match=r"theta must have shape \(dim,\) for one output"):
        tl.RegressionMoments(jnp.eye(2), jnp.ones((1, 2)), jnp.ones((1, 2)), jnp.ones(()))
