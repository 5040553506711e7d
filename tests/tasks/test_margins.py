"""Query points drawn as margins: loss and gradient have the law that points give them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl

COV = jnp.array([[1.3, 0.4, 0.0], [0.4, 0.9, -0.3], [0.0, -0.3, 0.6]])
RULE = tl.MAML(0.6, steps=2)


def losses_and_grads(batch, params):
    def one(support, query):
        def loss(p):
            return query.loss(tl.autodiff.adapt(p, support, RULE))

        return jax.value_and_grad(loss)(params)

    value, grads = jax.jit(jax.vmap(one))(batch.support, batch.query)
    flat = [value[:, None], *(g.reshape(g.shape[0], -1) for g in grads)]
    return np.concatenate(flat, axis=1)


def check_equal_moments(a, b):
    """Means and all second moments agree within five standard errors."""
    for f in (lambda x: x, lambda x: np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)):
        x, y = f(a), f(b)
        error = np.sqrt(x.var(0) / len(x) + y.var(0) / len(y))
        assert np.all(np.abs(x.mean(0) - y.mean(0)) < 5 * error)


@pytest.mark.parametrize(
    ("shots", "cov"), [(4, COV), (4, 1.7), (None, COV)], ids=["matrix", "number", "population"]
)
def test_margins_have_the_law_of_points(shots, cov):
    tasks = tl.BinaryClassification(dim=3, mean_std=0.7, x_cov=cov, shots=shots)
    params = tl.init(jax.random.key(3), (3, 2, 1))
    points = tasks.sample(jax.random.key(1), 60_000, 3)
    margins = tasks.sample_margins(jax.random.key(2), 60_000, 3)
    check_equal_moments(losses_and_grads(points, params), losses_and_grads(margins, params))


def test_margins_at_zero_weights():
    tasks = tl.BinaryClassification(dim=3, x_cov=COV, shots=None)
    params = (jnp.zeros((1, 3)),)
    batch = [
        f(jax.random.key(i), 60_000, 3) for i, f in enumerate((tasks.sample, tasks.sample_margins))
    ]

    def grads(batch):
        return np.asarray(jax.vmap(lambda q: jax.grad(lambda p: q.loss(p))(params))(batch.query)[0])

    check_equal_moments(*(grads(b)[:, 0] for b in batch))
    losses = jax.vmap(lambda q: q.loss(params))(batch[1].query)
    np.testing.assert_allclose(losses, np.log(2), rtol=1e-14)


def test_margins_are_for_scoring_only():
    batch = tl.BinaryClassification(dim=3).sample_margins(jax.random.key(0), 2, 1)
    one = jax.tree.map(lambda x: x[0], batch.query)
    with pytest.raises(ValueError, match="support must be"):
        tl.autodiff.adapt(tl.init(jax.random.key(0), (3, 1)), one, RULE)


@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form], ids=["autodiff", "closed form"])
def test_no_public_door_takes_margins(route):
    batch = tl.BinaryClassification(dim=3, shots=4).sample_margins(jax.random.key(0), 2, 4)
    params = tl.init(jax.random.key(0), (3, 1))
    with pytest.raises(ValueError, match="margins can be scored once"):
        route.outer_loss(params, batch, RULE)
    with pytest.raises(ValueError, match="margins can be scored once"):
        tl.BatchLoss(batch, RULE)(params)


def test_second_derivatives_are_refused_and_points_have_them():
    sampled = tl.SampledLoss(tl.BinaryClassification(dim=1, shots=4), RULE, num_tasks=4)
    start = tl.init(jax.random.key(0), (1, 1, 1))

    def final(loss, rate):
        return tl.meta_train(loss, start, optax.sgd(rate), 3, jax.random.key(1)).loss[-1]

    with pytest.raises(ValueError, match="margins of binary tasks have no second derivatives"):
        jax.grad(lambda rate: final(sampled, rate))(0.1)

    def points(params, key):
        return sampled(params, key)

    slope = jax.grad(lambda rate: final(points, rate))(0.1)
    step = 1e-5
    want = (final(points, 0.1 + step) - final(points, 0.1 - step)) / (2 * step)
    np.testing.assert_allclose(slope, want, rtol=1e-5)
