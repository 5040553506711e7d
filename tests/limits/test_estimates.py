"""Averages over drawn tasks: unbiased, with a standard error that means what it says."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

RULE = tl.MAML(step_size=0.4)
SERVED = [
    tl.BinaryClassification(dim=4, mean_std=0.8),
    tl.LinearRegression(dim=4, theta_mean=0.3, theta_cov=0.7, x_cov=0.5, noise_std=0.3),
    tl.LinearRegression(dim=4, theta_mean=0.3, theta_cov=0.7, x_cov=0.5, noise_std=0.3, shots=6),
]


@pytest.mark.parametrize("method", ["qmc", "mc"])
@pytest.mark.parametrize("tasks", SERVED)
def test_errors_are_as_large_as_the_standard_error_says(tasks, method):
    params = tl.init(jax.random.key(0), (4, 1))
    exact = tl.closed_form.outer_loss(params, tasks, RULE)
    keys = jax.random.split(jax.random.key(1), 60)
    found = jax.vmap(lambda k: tl.estimate(params, tasks, RULE, k, 256, method))(keys)
    score = np.asarray((found.mean - exact) / found.stderr)
    assert abs(score.mean()) < 4 / 60**0.5
    assert 0.75 < np.sqrt(np.mean(score**2)) < 1.35


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
