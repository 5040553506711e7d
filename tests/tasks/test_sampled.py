"""Both ways to sample tasks against the exact answers, within five standard errors.

Settings are those in which the tail of the loss is light enough for a sample to see its mean.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import WEIGHTS, flat, scalar_params

import toylin as tl

SAMPLERS = ["sample", "sample_moments"]
each_sampler = pytest.mark.parametrize("sampler", SAMPLERS)

X_COV = {
    1: 1.3,
    2: jnp.array([[1.2, -0.4], [-0.4, 0.7]]),
    3: jnp.array([[1.0, 0.3, -0.2], [0.3, 0.8, 0.1], [-0.2, 0.1, 1.1]]),
}


def regression(dim, shots, noise_std=0.4):
    return tl.LinearRegression(
        dim=dim, theta_mean=0.3, theta_cov=0.8, x_cov=X_COV[dim], noise_std=noise_std, shots=shots
    )


def assert_within(samples, want, errors=5.0):
    """The mean of the rows of ``samples`` is ``want`` within that many standard errors."""
    samples = np.asarray(samples).reshape(len(samples), -1)
    error = samples.std(axis=0) / len(samples) ** 0.5
    distance = np.abs(samples.mean(axis=0) - np.ravel(want))
    assert np.all(distance <= errors * error + 1e-12), (distance / error, samples.mean(0), want)


@jax.jit
def per_task(params, batch, rule):
    """Every task's outer loss and gradient, one row each."""

    def one(task):
        single = jax.tree.map(lambda a: a[None], task)
        return tl.autodiff.outer_value_and_grad(params, single, rule)

    loss, grad = jax.lax.map(one, batch, batch_size=2000)
    return jnp.concatenate([loss[:, None], *(g.reshape(len(loss), -1) for g in grad)], axis=1)


def exact(params, tasks, rule):
    loss, grad = tl.closed_form.outer_value_and_grad(params, tasks, rule)
    return np.concatenate([[loss], flat(grad)])


@pytest.mark.parametrize(("num_queries", "sampler"), [(None, "sample"), (4, "sample_moments")])
@pytest.mark.parametrize(("depth", "steps", "shots"), [(1, 2, 5), (2, 1, 1), (2, 1, 6), (3, 1, 8)])
def test_scalar(depth, steps, shots, num_queries, sampler):
    tasks, rule = regression(1, shots), tl.MAML(0.04, steps)
    params = scalar_params(WEIGHTS[:depth])
    batch = getattr(tasks, sampler)(jax.random.key(depth), 40_000, num_queries)
    want = exact(params, tasks, rule)
    assert_within(per_task(params, batch, rule), want)
    unadapted = exact(params, tasks, tl.MAML(0.0, steps))
    assert abs(want[0] - unadapted[0]) > 0.02


@each_sampler
@pytest.mark.parametrize(
    ("dim", "depth", "steps", "shots"),
    [(2, 1, 1, 1), (2, 1, 1, 5), (3, 1, 1, 2), (3, 1, 1, 3), (3, 1, 3, None), (2, 2, 2, None)],
)
def test_several_dimensions(dim, depth, steps, shots, sampler):
    tasks, rule = regression(dim, shots), tl.MAML(0.1, steps)
    params = tl.init(jax.random.key(5), (dim, *[2] * (depth - 1), 1))
    batch = getattr(tasks, sampler)(jax.random.key(dim), 40_000, 3)
    assert_within(per_task(params, batch, rule), exact(params, tasks, rule))


@pytest.mark.parametrize(("dim", "shots"), [(2, 1), (2, 2), (3, 2), (3, 6)])
def test_deep_few_shots_in_several_dimensions(dim, shots):
    """Without a closed form: points and moments, drawn independently, have one mean."""
    tasks, rule = regression(dim, shots), tl.MAML(0.05, 2)
    params = tl.init(jax.random.key(6), (dim, 2, 1), scale=0.7)
    rows = [
        np.asarray(per_task(params, getattr(tasks, name)(jax.random.key(i), 40_000, 3), rule))
        for i, name in enumerate(SAMPLERS)
    ]
    assert_within(rows[0] - rows[1], 0.0)


def moments_of(tasks, sampler, num_queries):
    """Support and query moments of sampled tasks, about the true parameters."""
    batch = getattr(tasks, sampler)(jax.random.key(11), 60_000, num_queries)
    if sampler == "sample":
        moments = jax.vmap(tl.RegressionPoints.moments)
        return batch.truth, moments(batch.support, batch.truth), moments(batch.query, batch.truth)
    return batch.truth, batch.support, batch.query


moments_jitted = partial(jax.jit, moments_of, static_argnums=(1, 2))
few_moments_of = moments_jitted()
# Drawing many points takes longer than compiling that well.
many_moments_of = moments_jitted(compiler_options={"xla_backend_optimization_level": 1})


@each_sampler
@pytest.mark.parametrize(
    ("dim", "shots"), [(1, 1), (1, 4), (1, 70), (2, 1), (2, 3), (2, 70), (3, 2), (3, 3), (3, 5)]
)
def test_law_of_the_sampled_moments(dim, shots, sampler):
    """Means, variances and correlations of theta, xx, xe and ee, of support and of query."""
    tasks = regression(dim, shots)
    queries = shots + 2
    # In NumPy from here on: JAX would compile each of these operations for each number of shots.
    draw = many_moments_of if sampler == "sample" and shots > 10 else few_moments_of
    theta, support, query = jax.tree.map(np.asarray, draw(tasks, sampler, queries))
    sigma = np.reshape(X_COV[dim], (dim, dim))
    noise = 0.4**2
    d_theta = theta - 0.3
    assert_within(theta, np.full(dim, 0.3))
    assert_within(d_theta[:, :, None] * d_theta[:, None, :], 0.8 * np.eye(dim))
    for data, points in ((support, shots), (query, queries)):
        xx, xe, ee = data.xx, data.xe, data.ee
        np.testing.assert_allclose(data.theta, theta)
        np.testing.assert_allclose(xx, np.swapaxes(xx, 1, 2), rtol=1e-12)
        assert_within(xx, sigma)
        variance = (np.outer(np.diag(sigma), np.diag(sigma)) + sigma**2) / points
        d_xx = xx - sigma
        assert_within(d_xx**2, variance)
        assert_within(d_xx[:, 0, 0] * d_xx[:, -1, -1], 2 * sigma[0, -1] ** 2 / points)
        assert_within(d_xx[:, 0, 0] ** 3, 8 * sigma[0, 0] ** 3 / points**2)
        assert_within(xe, np.zeros(dim))
        xe_xe = xe[:, :, None] * xe[:, None, :]
        assert_within(xe_xe, noise * sigma / points)
        # Given the inputs, xe has covariance sigma² xx / K.
        assert_within(xe_xe * xx, noise / points * (sigma**2 + variance))
        assert_within(ee, [noise])
        assert_within((ee - noise) ** 2, [2 * noise**2 / points])
        assert_within((ee - noise) * d_xx[:, 0, 0], [0.0])
        assert_within(xe_xe * ee[:, None, None], noise**2 * sigma / points * (1 + 2 / points))
        assert_within(xe * d_theta, np.zeros(dim))
        if points < dim:
            assert np.max(np.abs(np.linalg.det(xx))) < 1e-12
    assert_within((support.ee - noise) * (query.ee - noise), [0.0])
    assert_within((support.xx - sigma) * (query.xx - sigma), np.zeros((dim, dim)))


@pytest.mark.parametrize("sampler", [*SAMPLERS, "binary"])
def test_support_and_query_are_independent(sampler):
    """As many queries as shots, so that a key used twice would draw the same numbers twice."""
    tasks = tl.BinaryClassification(shots=4) if sampler == "binary" else regression(1, 4)
    draw = tasks.sample_moments if sampler == "sample_moments" else tasks.sample
    batch = jax.tree.map(np.asarray, draw(jax.random.key(3), 10_000, num_queries=4))
    for name, support in vars(batch.support).items():
        same = np.mean(support == vars(batch.query)[name])
        if name == "theta":
            assert same == 1
        else:  # labels of two classes agree half of the time, numbers never
            assert same < 0.6


def test_noiseless_moments_have_no_noise():
    tasks = regression(2, 4, noise_std=0.0)
    batch = tasks.sample_moments(jax.random.key(0), 5, noiseless=True)
    same = tasks.sample_moments(jax.random.key(0), 5)
    for got, want in zip(jax.tree.leaves(batch), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(batch.support.xe, 0)


@pytest.mark.parametrize("dim", [1, 3])
def test_binary_points_have_their_law(dim):
    tasks = tl.BinaryClassification(dim=dim, mean_std=0.8, x_cov=X_COV[dim], shots=5)
    batch = jax.tree.map(np.asarray, tasks.sample(jax.random.key(2), 40_000, num_queries=7))
    sigma = np.reshape(X_COV[dim], (dim, dim))
    assert_within(batch.truth, np.zeros(dim))
    assert_within(batch.truth[:, :, None] * batch.truth[:, None, :], 0.64 * np.eye(dim))
    for data, points in ((batch.support, 5), (batch.query, 7)):
        assert data.x.shape == (40_000, points, dim)
        assert set(np.unique(data.y)) == {-1.0, 1.0}
        assert_within(data.y, np.zeros(points))
        rest = data.x - data.y[:, :, None] * batch.truth[:, None, :]
        assert_within(rest.mean(1), np.zeros(dim))
        assert_within(rest[:, 0, :, None] * rest[:, 0, None, :], sigma)
        assert_within(rest[:, 0] * rest[:, 1], np.zeros(dim))
        assert_within(rest * data.y[:, :, None], np.zeros((points, dim)))


def test_population_support_and_query():
    regression_batch = regression(2, None).sample(jax.random.key(0), 3)
    binary_batch = tl.BinaryClassification(dim=2, x_cov=X_COV[2]).sample(jax.random.key(0), 3)
    for batch in (regression_batch, binary_batch):
        for data in (batch.support, batch.query):
            spread = data.xx if batch is regression_batch else data.cov
            centre = data.theta if batch is regression_batch else data.mean
            np.testing.assert_allclose(spread, np.broadcast_to(X_COV[2], (3, 2, 2)))
            np.testing.assert_array_equal(centre, batch.truth)
    np.testing.assert_allclose(regression_batch.query.ee, 0.16)
    np.testing.assert_array_equal(regression_batch.query.xe, 0)
