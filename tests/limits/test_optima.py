"""The lowest losses, against special functions, exact formulas and optimisation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl


def bayes_by_mpmath(tasks: tl.LinearRegression) -> float:
    """s² tau² a^k U(k, k, a) / 2 + sigma²/2 with Tricomi's function: an independent evaluation."""
    with mpmath.workdps(40):
        noise = mpmath.mpf(float(tasks.noise_std)) ** 2
        signal = mpmath.mpf(float(tasks.theta_cov)) * mpmath.mpf(float(tasks.x_cov))
        a, k = noise / (2 * signal), mpmath.mpf(tasks.shots) / 2
        return float((signal * a**k * mpmath.hyperu(k, k, a) + noise) / 2)


@given(
    shots=st.sampled_from([1, 2, 3, 4, 5, 10, 101, 4000]),
    noise=st.floats(1e-6, 100.0),
    prior=st.floats(0.1, 10.0),
    spread=st.floats(0.1, 10.0),
)
def test_bayes_loss_is_tricomis_function(shots, noise, prior, spread):
    tasks = tl.LinearRegression(theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots)
    np.testing.assert_allclose(tl.bayes_loss(tasks), bayes_by_mpmath(tasks), rtol=1e-12)


def test_bayes_loss_is_what_ridge_regression_attains():
    tasks = tl.LinearRegression(theta_mean=0.4, theta_cov=0.8, x_cov=1.7, noise_std=0.5, shots=3)
    batch = tasks.sample(jax.random.key(0), num_tasks=200_000)
    x, y = batch.support.x[..., 0], batch.support.y
    penalty = tasks.noise_std**2 / tasks.theta_cov
    ridge = (jnp.sum(x * y, 1) + penalty * tasks.theta_mean) / (jnp.sum(x**2, 1) + penalty)
    losses = jax.vmap(lambda q, w: q.loss((w[None, None],)))(batch.query, ridge)
    error = (jnp.mean(losses) - tl.bayes_loss(tasks)) / (jnp.std(losses) / 200_000**0.5)
    assert abs(error) < 4
    assert jnp.std(losses) / 200_000**0.5 < 2e-3 * tl.bayes_loss(tasks)


def test_bayes_loss_without_noise_or_in_the_population():
    assert tl.bayes_loss(tl.LinearRegression(shots=2)) == 0.0
    np.testing.assert_allclose(tl.bayes_loss(tl.LinearRegression(noise_std=0.6)), 0.18)
    assert np.isfinite(
        jax.grad(lambda s: tl.bayes_loss(tl.LinearRegression(noise_std=s, shots=2)))(0.0)
    )


@pytest.mark.parametrize("shots", [1, 2, 3, 4])
def test_bayes_loss_where_there_is_hardly_any_noise(shots):
    """At one shot or two the mean reciprocal is carried by supports as small as the noise."""
    tasks = tl.LinearRegression(noise_std=1e-30, shots=shots)
    np.testing.assert_allclose(tl.bayes_loss(tasks), bayes_by_mpmath(tasks), rtol=1e-12)


def test_bayes_loss_differentiates():
    def loss(s):
        return tl.bayes_loss(tl.LinearRegression(noise_std=s, shots=5))

    slope = (loss(0.3 + 1e-5) - loss(0.3 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(loss)(0.3), slope, rtol=1e-8)


@pytest.mark.parametrize(
    ("tasks", "steps"),
    [
        (tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5), 1),
        (tl.LinearRegression(theta_mean=-1.2, theta_cov=0.4, x_cov=1.5, noise_std=0.2, shots=7), 3),
        (tl.LinearRegression(dim=2, theta_mean=np.array([0.3, -1.0]), shots=4), 1),
        (tl.LinearRegression(dim=3, theta_mean=0.2, noise_std=0.1), 2),
    ],
)
def test_shallow_optimum_is_stationary_and_lowest(tasks, steps):
    rule = tl.MAML(step_size=0.1, steps=steps)
    best = tl.shallow_optimum(tasks)
    (slope,) = tl.closed_form.outer_grad(best, tasks, rule)
    np.testing.assert_allclose(slope, 0.0, atol=1e-14)
    floor = tl.shallow_floor(tasks, rule)
    for shift in (-0.1, 0.1):
        assert tl.closed_form.outer_loss((best[0] + shift,), tasks, rule) > floor + 1e-4


@pytest.mark.parametrize(("dim", "shots"), [(2, 3), (3, 2), (3, 3), (4, 9)])
def test_bayes_loss_in_dimensions_is_the_mean_posterior_variance(dim, shots):
    tasks = tl.LinearRegression(dim=dim, theta_cov=0.8, x_cov=1.7, noise_std=0.9, shots=shots)
    x = jax.random.normal(jax.random.key(dim), (100_000, shots, dim)) * tasks.x_cov**0.5
    precision = jnp.eye(dim) / 0.8 + jnp.einsum("tki,tkj->tij", x, x) / 0.9**2
    traces = 1.7 * jnp.trace(jnp.linalg.inv(precision), axis1=1, axis2=2)
    stderr = jnp.std(traces) / traces.size**0.5
    assert abs(jnp.mean(traces) - (2 * tl.bayes_loss(tasks) - 0.81)) < 4 * stderr
    assert stderr < 5e-3 * jnp.mean(traces)


def test_bayes_loss_in_dimensions_with_one_shot_is_one_dimensional():
    # One point sees one direction, of squared length s² chi²_d: the scalar problem with d shots.
    one = tl.bayes_loss(tl.LinearRegression(theta_cov=0.8, noise_std=0.7, shots=4))
    tasks = tl.LinearRegression(dim=4, theta_cov=0.8, noise_std=0.7, shots=1)
    np.testing.assert_allclose(tl.bayes_loss(tasks), one + 3 * 0.8 / 2, rtol=1e-12)


@given(
    shots=st.sampled_from([None, 1, 4]),
    depth=st.sampled_from([2, 3]),
    noise=st.floats(0.0, 2.0),
    prior=st.floats(0.2, 4.0),
    spread=st.floats(0.2, 4.0),
    step_size=st.floats(0.01, 1.0),
)
def test_zero_layer_optimum_is_critical_at_mean_zero_and_has_the_stated_loss(
    shots, depth, noise, prior, spread, step_size
):
    tasks = tl.LinearRegression(theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots)
    rule = tl.MAML(step_size=step_size)
    params = tl.zero_layer_optimum(tasks, rule, depth)
    loss = tl.closed_form.outer_loss(params, tasks, rule)
    floor = tl.zero_layer_floor(tasks)
    np.testing.assert_allclose(floor, loss, rtol=1e-10, atol=1e-12)
    for slope in tl.closed_form.outer_grad(params, tasks, rule):
        np.testing.assert_allclose(slope, 0.0, atol=1e-9 * (1 + spread * prior + noise**2))
    assert tl.bayes_loss(tasks) <= loss * (1 + 1e-12) + 1e-12
    if depth == 2:
        np.testing.assert_allclose(tl.deep_floor(tasks, rule), floor, rtol=1e-12, atol=1e-14)


@given(
    shots=st.sampled_from([None, 1, 4]),
    depth=st.sampled_from([2, 3]),
    mean=st.floats(-3.0, 3.0),
    noise=st.floats(0.0, 2.0),
    factor=st.floats(0.2, 3.0),
)
def test_zero_layer_optimum_is_the_best_with_a_layer_of_zero(shots, depth, mean, noise, factor):
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=0.7, x_cov=1.3, noise_std=noise, shots=shots
    )
    rule = tl.MAML(0.2)
    best = tl.zero_layer_optimum(tasks, rule, depth)
    floor = tl.zero_layer_floor(tasks)
    np.testing.assert_allclose(
        tl.closed_form.outer_loss(best, tasks, rule), floor, rtol=1e-10, atol=1e-12
    )
    other = (best[0], best[1] * factor, *best[2:])
    assert tl.closed_form.outer_loss(other, tasks, rule) >= floor * (1 - 1e-12) - 1e-12


def test_floors_without_noise():
    few = tl.LinearRegression(shots=5)
    np.testing.assert_allclose(tl.zero_layer_floor(few), 1 / 7, rtol=1e-14)
    np.testing.assert_allclose(tl.deep_floor(few, tl.MAML(0.1)), 1 / 7, rtol=1e-14)
    many = tl.LinearRegression(theta_mean=2.0)
    assert tl.deep_floor(many, tl.MAML(0.1), depth=5) == 0.0
    np.testing.assert_allclose(tl.zero_layer_floor(many), 0.0, atol=1e-15)


@jax.jit
def value_and_grad(w, tasks, rule):
    def loss(w):
        return tl.closed_form.outer_loss((w[:1, None], w[1:, None]), tasks, rule)

    return jax.value_and_grad(loss)(w)


def descend(start, tasks, rule):
    """The end of BFGS on the exact loss, by a library's own route."""

    def on_numpy(w):
        value, slope = value_and_grad(jnp.asarray(w), tasks, rule)
        return float(value), np.asarray(slope)

    found = scipy.optimize.minimize(on_numpy, start, jac=True, method="BFGS", tol=1e-10)
    return found.fun, found.x


@given(
    shots=st.sampled_from([1, 3]),
    mean=st.floats(-3.0, 3.0),
    prior=st.floats(0.1, 5.0),
    spread=st.floats(0.1, 5.0),
    noise=st.one_of(st.just(0.0), st.floats(0.1, 3.0)),
    step_size=st.floats(0.01, 1.0).flatmap(lambda a: st.sampled_from([a, -a])),
)
def test_descent_from_many_starts_never_gets_below_the_deep_floor(
    shots, mean, prior, spread, noise, step_size
):
    tasks = tl.LinearRegression(
        theta_mean=mean, theta_cov=prior, x_cov=spread, noise_std=noise, shots=shots
    )
    rule = tl.MAML(step_size)
    best = tl.deep_optimum(tasks, rule)
    floor = float(tl.deep_floor(tasks, rule))
    value, slope = value_and_grad(jnp.ravel(jnp.stack(best)), tasks, rule)
    np.testing.assert_allclose(value, floor, rtol=1e-11)
    reach = 1.5 * (abs(step_size) * spread) ** -0.5
    starts = np.random.default_rng(0).uniform(-reach, reach, (8, 2))
    ends = [descend(start, tasks, rule)[0] for start in starts]
    assert min(ends) >= floor * (1 - 1e-11)
    assert tl.bayes_loss(tasks) <= floor * (1 + 1e-12) + 1e-12
    # Of the mirror images it is the one that the function promises, and critical.
    assert abs(best[0][0, 0]) <= best[1][0, 0]
    assert np.linalg.norm(slope) < 1e-8 * (1 + value) * (1 + float(best[1][0, 0]))


def test_deep_optimum_where_one_layer_of_zero_is_far_from_best():
    tasks, rule = tl.LinearRegression(theta_mean=2.5, shots=1), tl.MAML(0.1)
    floor = float(tl.deep_floor(tasks, rule))
    ends = [descend(start, tasks, rule) for start in np.random.default_rng(1).normal(0, 2, (12, 2))]
    lowest, at = min(ends, key=lambda end: end[0])
    np.testing.assert_allclose(lowest, floor, rtol=1e-9)
    found = np.ravel(tl.deep_optimum(tasks, rule))
    np.testing.assert_allclose(np.sort(np.abs(at)), np.sort(np.abs(found)), rtol=1e-4)
    assert np.prod(at) * np.prod(found) > 0
    assert floor < 0.25 * tl.zero_layer_floor(tasks)


def test_the_bound_is_no_floor_at_three_layers_either():
    tasks, rule = tl.LinearRegression(theta_mean=2.5, shots=2), tl.MAML(0.05)
    weights = tuple(jnp.full((1, 1), w) for w in (1.3, 1.3, 1.4))
    assert tl.closed_form.outer_loss(weights, tasks, rule) < 0.5 * tl.zero_layer_floor(tasks)


def test_floors_compose():
    def bound(mean):
        return tl.zero_layer_floor(tl.LinearRegression(theta_mean=mean, shots=3))

    slope = (bound(0.7 + 1e-5) - bound(0.7 - 1e-5)) / 2e-5
    np.testing.assert_allclose(jax.jit(jax.grad(bound))(0.7), slope, rtol=1e-8)

    def floor(noise, alpha):
        return tl.deep_floor(tl.LinearRegression(noise_std=noise), tl.MAML(alpha), depth=3)

    np.testing.assert_allclose(jax.vmap(floor)(jnp.arange(3.0), jnp.ones(3)), [0, 0.5, 2])
    start = jax.jit(lambda a: tl.deep_optimum(tl.LinearRegression(), tl.MAML(a), 3))(0.25)
    np.testing.assert_allclose(np.ravel(start), [0, 2**0.5, 2**0.5], rtol=1e-12)


@pytest.mark.parametrize("function", [tl.deep_optimum, tl.deep_floor])
@pytest.mark.parametrize(
    ("tasks", "rule", "depth", "error", "message"),
    [
        (tl.LinearRegression(shots=3), tl.MAML(0.1), 3, tl.NoClosedFormError, "depth=3, shots=3"),
        (tl.LinearRegression(), tl.MAML(-0.1), 3, tl.NoClosedFormError, "zero_layer_floor is an"),
        (tl.LinearRegression(), tl.MAML(0.1, 2), 2, ValueError, "steps=2"),
        (tl.LinearRegression(dim=2), tl.MAML(0.1), 2, ValueError, "dim=2"),
        (tl.LinearRegression(), tl.MAML(0.1), 1, ValueError, "depth must be an integer of at"),
        (tl.LinearRegression(), tl.MAML(0.0), 2, ValueError, "step_size must not be 0"),
        (tl.LinearRegression(), tl.Reptile(0.1), 2, ValueError, "rule must be MAML"),
    ],
)
def test_deep_optimum_names_what_it_cannot_do(function, tasks, rule, depth, error, message):
    with pytest.raises(error, match=message):
        function(tasks, rule, depth)


def test_zero_layer_optimum_names_what_it_cannot_do():
    for size in (-0.1, 0.0):
        with pytest.raises(ValueError, match=rf"step_size must be positive, got {size}"):
            tl.zero_layer_optimum(tl.LinearRegression(), tl.MAML(size))
    with pytest.raises(ValueError, match="dim=2"):
        tl.zero_layer_floor(tl.LinearRegression(dim=2))
    with pytest.raises(ValueError, match="concrete number"):
        jax.grad(lambda m: tl.deep_floor(tl.LinearRegression(theta_mean=m, shots=2), tl.MAML(0.1)))(
            1.0
        )


def test_bayes_loss_names_what_it_cannot_do():
    with pytest.raises(tl.NoClosedFormError, match=r"dim=2, shots=3, theta_cov of shape \(2, 2\)"):
        tl.bayes_loss(tl.LinearRegression(dim=2, theta_cov=np.eye(2), shots=3))
    with pytest.raises(ValueError, match="tasks must be a LinearRegression"):
        tl.bayes_loss(tl.BinaryClassification())
