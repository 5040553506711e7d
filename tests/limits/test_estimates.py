"""Averages over drawn tasks: unbiased, with a standard error that means what it says."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import toylin as tl

RULE = tl.MAML(step_size=0.4)
SERVED = [
    tl.BinaryClassification(dim=4, mean_std=0.8),
    tl.LinearRegression(dim=4, theta_mean=0.3, theta_cov=0.7, x_cov=0.5, noise_std=0.3),
    tl.LinearRegression(dim=4, theta_mean=0.3, theta_cov=0.7, x_cov=0.5, noise_std=0.3, shots=6),
    tl.LinearRegression(dim=4, outputs=2, output_cov=1.5, noise_std=2.0, shots=90),
]


@pytest.mark.parametrize("method", ["qmc", "mc"])
@pytest.mark.parametrize("tasks", SERVED)
def test_errors_are_as_large_as_the_standard_error_says(tasks, method):
    params = tl.init(jax.random.key(0), (4, tasks.outputs))
    exact = tl.closed_form.outer_loss(params, tasks, RULE)
    keys = jax.random.split(jax.random.key(1), 60)
    found = jax.vmap(lambda k: tl.estimate(params, tasks, RULE, k, 256, method))(keys)
    score = np.asarray((found.mean - exact) / found.stderr)
    assert abs(score.mean()) < 4 / 60**0.5
    assert 0.75 < np.sqrt(np.mean(score**2)) < 1.35


@pytest.mark.parametrize(("method", "freedom"), [("qmc", 15), ("mc", 255)])
def test_the_interval_is_that_of_student(method, freedom):
    """Its probability by adding up Student's density, which is a formula of its own."""
    params = tl.init(jax.random.key(0), (4, 1))
    found = tl.estimate(params, SERVED[1], RULE, jax.random.key(1), 256, method)
    assert found.degrees_of_freedom == freedom
    reach = float((found.high - found.low) / (2 * found.stderr))
    assert float(found.mean - found.low) == pytest.approx(reach * float(found.stderr), rel=1e-12)
    t = np.linspace(-reach, reach, 4001)
    density = (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
    norm = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / (freedom * math.pi) ** 0.5
    assert norm * np.trapezoid(density, t) == pytest.approx(0.95, abs=1e-6)


def test_any_number_of_shots_is_drawn_at_the_cost_of_their_moments():
    tasks = tl.LinearRegression(dim=2, outputs=2, noise_std=0.5, shots=10**9)
    params = tl.init(jax.random.key(0), (2, 3, 2))
    found = tl.estimate(params, tasks, RULE, jax.random.key(3), 2**14)
    population = tl.LinearRegression(dim=2, outputs=2, noise_std=0.5)
    exact = tl.closed_form.outer_loss(params, population, RULE)
    assert abs(found.mean - exact) < 4 * found.stderr
    assert found.stderr < 3e-3 * exact


def test_quasi_monte_carlo_converges_faster():
    tasks, params = SERVED[0], tl.init(jax.random.key(0), (4, 3, 1))
    errors = {
        method: float(tl.estimate(params, tasks, RULE, jax.random.key(2), 2**14, method).stderr)
        for method in ("qmc", "mc")
    }
    assert errors["qmc"] < errors["mc"] / 10


@pytest.mark.parametrize("shots", [None, 5])
def test_deep_classification_agrees_with_autodiff_on_fresh_tasks(shots):
    tasks = tl.BinaryClassification(dim=3, shots=shots)
    params = tl.init(jax.random.key(5), (3, 3, 1))
    losses = tl.autodiff.task_losses(params, tasks.sample(jax.random.key(6), 5_000), RULE)
    found = tl.estimate(params, tasks, RULE, jax.random.key(7), 2**14)
    error = jnp.hypot(found.stderr, jnp.std(losses) / losses.size**0.5)
    assert abs(found.mean - jnp.mean(losses)) < 4 * error
    assert error < 0.02 * found.mean


def test_the_mean_differentiates():
    tasks = SERVED[0]
    params = tl.init(jax.random.key(0), (4, 1))
    grad = jax.grad(lambda p: tl.estimate(p, tasks, RULE, jax.random.key(2), 2**13).mean)(params)
    exact = tl.closed_form.outer_grad(params, tasks, RULE)
    assert jnp.linalg.norm(grad[0] - exact[0]) < 1e-3 * jnp.linalg.norm(exact[0])


@pytest.mark.parametrize(
    ("num_tasks", "method", "message"),
    [
        (48, "qmc", "16 times a power of two for method 'qmc', got 48"),
        (50, "mc", "16 times a whole number for method 'mc', got 50"),
        (8, "mc", "num_tasks must be an integer of at least 32"),
        (64, "sobol", "method must be one of qmc, mc, got 'sobol'"),
    ],
)
def test_bad_input_is_named(num_tasks, method, message):
    with pytest.raises(ValueError, match=message):
        tl.estimate(
            tl.init(jax.random.key(0), (4, 1)),
            SERVED[0],
            RULE,
            jax.random.key(0),
            num_tasks,
            method,
        )


def plainly(params, tasks, rule, key, num_tasks, block):
    """Losses and gradients of the same tasks, one by one, and their mean and error by NumPy."""
    blocks = -(-num_tasks // block)
    size = -(-num_tasks // blocks)
    rows = []
    for draw in jax.random.split(key, blocks):
        batch = tasks.sample_moments(draw, size, dtype=params[0].dtype)
        for i in range(size):
            one = jax.tree.map(lambda x, i=i: x[i : i + 1], batch)
            loss, grads = tl.autodiff.outer_value_and_grad(params, one, rule)
            rows.append(np.concatenate([[loss], *[np.ravel(g) for g in grads]]))
    rows = np.array(rows)[:num_tasks]
    return rows.mean(0), rows.std(0, ddof=1) / num_tasks**0.5


@pytest.mark.parametrize("num_tasks", [7, 14, 17])
def test_means_over_tasks_are_those_of_numpy_whatever_the_blocks(num_tasks, monkeypatch):
    from toylin.limits import _estimate

    monkeypatch.setattr(_estimate, "_BLOCK", 7)
    jax.clear_caches()
    params, key = tl.init(jax.random.key(0), (2, 2, 1)), jax.random.key(3)
    tasks = tl.LinearRegression(dim=2, theta_mean=0.3, noise_std=0.3, shots=6)
    loss, grads = tl.estimate_value_and_grad(params, tasks, RULE, key, num_tasks)
    mean, stderr = plainly(params, tasks, RULE, key, num_tasks, 7)
    got = [np.concatenate([[loss[i]], *[np.ravel(g[i]) for g in grads]]) for i in range(2)]
    np.testing.assert_allclose(got[0], mean, rtol=1e-12)
    np.testing.assert_allclose(got[1], stderr, rtol=1e-11)
    assert loss.degrees_of_freedom == num_tasks - 1
    jax.clear_caches()


def test_the_points_in_single_precision_are_those_in_double():
    """Also in the upper tail, where a probability would round to 1."""
    from toylin.limits._estimate import _shifted_sobol

    single, double = (
        _shifted_sobol(jax.random.key(4), 2**16, 2, dtype) for dtype in (jnp.float32, jnp.float64)
    )
    assert float(single.max()) > 4
    np.testing.assert_allclose(single, double, rtol=1e-5, atol=1e-6)


def test_the_points_are_the_middles_of_their_cells(monkeypatch):
    """Unshifted they are those of SciPy, the first of which stands at 2^-31 rather than 0."""
    from toylin.limits._estimate import _shifted_sobol

    monkeypatch.setattr(jax.random, "bits", lambda _, shape, dtype: jnp.zeros(shape, dtype))
    points = scipy.stats.qmc.Sobol(2, scramble=False, bits=30).random(64) + 2.0**-31
    found = _shifted_sobol(jax.random.key(0), 64, 2, jnp.float64)
    np.testing.assert_allclose(found, scipy.stats.norm.ppf(points), rtol=1e-12, atol=1e-15)


def test_copies_of_two_points_are_unbiased():
    """The points are opposite corners' but for the shift, and the loss sees their product."""
    x_cov, start = jnp.array([[1.0, 0.8], [0.8, 1.0]]), (jnp.zeros((1, 2)),)
    tasks = tl.LinearRegression(dim=2, x_cov=x_cov)
    keys = jax.random.split(jax.random.key(9), 1_000)
    found = jax.vmap(lambda k: tl.estimate(start, tasks, RULE, k, 32, "qmc").mean)(keys)
    exact = tl.closed_form.outer_loss(start, tasks, RULE)
    error = np.std(found) / 1_000**0.5
    assert error < 0.01 * exact
    assert abs(np.mean(found) - exact) < 3 * error


def test_the_squared_standard_error_is_unbiased():
    """Its mean is the variance of the mean: of c u² / 2 with u ~ N(0, 1), c² / 2 a task."""
    tasks, start, number = tl.LinearRegression(theta_cov=0.7), (jnp.zeros((1, 1)),), 20_000
    keys = jax.random.split(jax.random.key(8), number)
    found = jax.vmap(lambda k: tl.estimate(start, tasks, RULE, k, 32, "mc").stderr ** 2)(keys)
    exact = (0.7 * (1 - 0.4) ** 2) ** 2 / 2 / 32
    error = np.std(found) / number**0.5
    assert error < 0.006 * exact
    assert abs(np.mean(found) - exact) < 3 * error


def test_two_tasks_are_enough_for_an_interval():
    loss, _ = tl.estimate_value_and_grad(
        tl.init(jax.random.key(0), (4, 1)), SERVED[1], RULE, jax.random.key(1), 2
    )
    assert loss.degrees_of_freedom == 1
    assert loss.high - loss.low == pytest.approx(2 * math.tan(0.95 * math.pi / 2) * loss.stderr)


def test_means_over_tasks_enclose_the_exact_loss_and_gradient():
    for tasks in SERVED[1:]:
        params = tl.init(jax.random.key(0), (4, tasks.outputs))
        loss, grads = tl.estimate_value_and_grad(params, tasks, RULE, jax.random.key(5), 25_000)
        exact, slope = tl.closed_form.outer_value_and_grad(params, tasks, RULE)
        in_grad = np.ravel((grads[0].mean - slope[0]) / grads[0].stderr)
        scores = [(loss.mean - exact) / loss.stderr, *in_grad]
        assert np.max(np.abs(scores)) < 4.5
        assert 0 < loss.stderr < 0.02 * exact
        assert loss.low < loss.mean < loss.high


@pytest.mark.parametrize("method", ["mc", "qmc"])
def test_the_error_scales_with_the_loss_in_single_precision(method):
    """Tasks and weights times c: the loss times c squared, the step, of one layer, as it is."""
    params = (jnp.array([[0.7]], jnp.float32),)

    def at(c):
        tasks = tl.LinearRegression(theta_mean=0.3 * c, theta_cov=c * c, noise_std=c, shots=3)
        scaled = (c * params[0],)
        return tl.estimate(scaled, tasks, tl.MAML(0.3), jax.random.key(0), 64, method)

    one = at(1.0)
    for c in (2.0**-40, 2.0**40):
        found = at(c)
        np.testing.assert_allclose(found.mean / c**2, one.mean, rtol=1e-5)
        np.testing.assert_allclose(found.stderr / c**2, one.stderr, rtol=1e-4)
        np.testing.assert_allclose(found.high / c**2, one.high, rtol=1e-5)
