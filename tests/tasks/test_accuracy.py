"""Accuracies: of outputs that are no numbers, of weights of any size."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import toylin as tl

NAN = float("nan")


def as_they_are(params, x):
    """A model whose outputs are its parameters."""
    return params


@pytest.mark.parametrize(
    ("logits", "share"),
    [
        ([[NAN, NAN, NAN]], 0),
        ([[NAN, 0.0, 0.0]], 0),
        ([[2.0, NAN, 0.0]], 0),
        ([[2.0, 1.0, 0.0]], 1),
        ([[2.0, 2.0, 0.0]], 1 / 2),
        ([[np.inf, 2.0, -np.inf]], 1),
        ([[-np.inf, 0.0, NAN]], 0),
        ([[1.0, 0.0, 0.0], [NAN, 0.0, 0.0], [0.0, 0.0, 0.0]], (1 + 0 + 1 / 3) / 3),
    ],
)
def test_a_point_without_a_number_is_wrong(logits, share):
    points = tl.ClassPoints(jnp.ones((len(logits), 1)), jnp.zeros(len(logits), int), 3)
    got = points.accuracy(jnp.array(logits), as_they_are)
    np.testing.assert_allclose(got, share, rtol=1e-15)


def test_a_binary_point_without_a_number_is_wrong():
    points = tl.BinaryPoints(jnp.ones((4, 1)), jnp.array([1.0, 1.0, -1.0, 1.0]))
    outputs = jnp.array([[NAN], [2.0], [-np.inf], [0.0]])
    np.testing.assert_array_equal(points.accuracy(outputs[:, 0], as_they_are), 2.5 / 4)


def test_a_learner_that_diverges_is_no_perfect_classifier():
    tasks = tl.Classification(dim=2, classes=5, x_cov=0.1, shots=5)
    start = tl.init(jax.random.key(0), (2, 4, 4, 5))
    found = tl.evaluate(start, tasks, tl.MAML(1e80, 5), jax.random.key(1), num_tasks=4)
    assert (found.accuracy.mean, found.accuracy.high) == (0, 0)
    assert not np.isfinite(found.loss.mean)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-300, 1e-25, 1.0, 1e20, 1e300])
def test_the_accuracy_on_a_population_does_not_depend_on_the_size(size, dtype):
    if size not in (1.0, 1e20, 1e-25) and dtype == np.float32:
        pytest.skip("no number of single precision")
    mean, cov = np.array([0.3, -0.7]), np.array([[1.0, 0.4], [0.4, 2.0]])
    w = np.array([2.0, -1.0])
    wanted = norm.cdf(w @ mean / np.sqrt(w @ cov @ w))
    task = tl.BinaryMoments(jnp.asarray(mean, dtype), jnp.asarray(cov, dtype))
    got = task.accuracy((jnp.asarray(size * w[None], dtype),))
    np.testing.assert_allclose(got, wanted, rtol=8 * np.finfo(dtype).eps)
    assert task.accuracy((jnp.zeros((1, 2), dtype),)) == 0.5
    for bad in (np.nan, np.inf):
        assert task.accuracy((jnp.array([[bad, 1.0]], dtype),)) == 0


def test_the_accuracy_on_a_population_has_its_slope():
    task = tl.BinaryMoments(jnp.array([0.3, -0.7]), jnp.array([[1.0, 0.4], [0.4, 2.0]]))
    w, way, h = jnp.array([[2.0, -1.0]]), jnp.array([[0.6, 0.8]]), 1e-6
    slope = jax.jvp(lambda w: task.accuracy((w,)), (w,), (way,))[1]
    ends = [task.accuracy((w + s * h * way,)) for s in (1, -1)]
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-7)


@pytest.mark.parametrize("route", [tl.closed_form, tl.autodiff], ids=["closed_form", "autodiff"])
@pytest.mark.parametrize("size", [1e15, 1e18, 1e20, 1e30])
def test_a_population_loss_of_huge_weights_is_right_or_infinite(size, route):
    """In single precision, by extended: E max(-z, 0) of the Gaussian margin z, to within log 2."""
    mean, cov = np.array([0.3, -0.7]), np.array([[1.0, 0.4], [0.4, 2.0]])
    w = size * np.array([2.0, -1.0])
    centre, spread = -w @ mean, np.sqrt(w @ cov @ w)
    exact = centre * norm.cdf(centre / spread) + spread * norm.pdf(centre / spread)
    slope = -mean * norm.cdf(centre / spread) + cov @ w / spread * norm.pdf(centre / spread)
    task = tl.BinaryMoments(jnp.asarray(mean, jnp.float32), jnp.asarray(cov, jnp.float32))
    params = (jnp.asarray(w[None], jnp.float32),)
    loss = task.loss(params)
    (grad,) = route.inner_grad(params, task)
    if size < 1e19:
        np.testing.assert_allclose(loss, exact, rtol=1e-5)
        error = np.linalg.norm(grad[0] - slope)
        assert error < 1e-6 * np.linalg.norm(slope)
    else:
        assert loss == np.inf
        assert not np.any(np.isfinite(grad))
