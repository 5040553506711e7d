"""Binary losses of given tasks, population and points: integrals over the margin, autodiff."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from helpers import assert_close, half_as_many
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl

DIM = 3


SHAPES = [(DIM, 1), (DIM, 2, 1), (DIM, 4, 2, 1)]


def covariance(seed: int) -> jax.Array:
    root = jax.random.normal(jax.random.key(seed), (DIM, DIM + 1))
    return root @ root.T / DIM


def margin_integral(function, params, mean, cov):
    """E function(z) over the margin by adaptive quadrature, with no code of the package."""
    from scipy.integrate import quad

    w = np.linalg.multi_dot([np.asarray(p) for p in reversed(params)] + [np.eye(DIM)])[0]
    centre, std = float(w @ mean), float(np.sqrt(w @ cov @ w))

    def integrand(u):
        return function(centre + std * u) * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)

    return quad(integrand, -12, 12, points=[0, -centre / std], epsabs=0, epsrel=1e-12, limit=400)[0]


@given(widths=st.sampled_from(SHAPES), seed=st.integers(0, 99), scale=st.floats(0.1, 5.0))
def test_population_loss_and_accuracy_are_margin_integrals(widths, seed, scale):
    params = tl.init(jax.random.key(seed), widths, scale=scale)
    mean, cov = np.arange(1.0, DIM + 1) / 3, covariance(seed)
    task = tl.BinaryClassification(dim=DIM, x_cov=cov).population(jnp.asarray(mean))
    loss = margin_integral(lambda z: np.logaddexp(0, -z), params, mean, np.asarray(cov))
    np.testing.assert_allclose(tl.closed_form.inner_loss(params, task), loss, rtol=1e-10)
    share = margin_integral(lambda z: float(z > 0), params, mean, np.asarray(cov))
    np.testing.assert_allclose(task.accuracy(params), share, rtol=1e-10)


@given(
    widths=st.sampled_from(SHAPES),
    seed=st.integers(0, 99),
    scale=st.floats(0.1, 5.0),
    points=st.sampled_from([None, 4]),
)
def test_inner_gradient_and_adaptation_agree_with_autodiff(widths, seed, scale, points):
    tasks = tl.BinaryClassification(dim=DIM, x_cov=covariance(seed), shots=points)
    batch = tasks.sample(jax.random.key(seed), 1)
    support = jax.tree.map(lambda x: x[0], batch.support)
    params = tl.init(jax.random.key(seed + 1), widths, scale=scale)
    rule = tl.MAML(step_size=0.3, steps=3)
    assert_close(
        tl.closed_form.inner_grad(params, support),
        tl.autodiff.inner_grad(params, support),
        rtol=1e-10,
    )
    adapted = tl.closed_form.adapt(params, support, rule)
    assert_close(adapted, tl.autodiff.adapt(params, support, rule), rtol=1e-10)
    assert max(float(jnp.abs(a - w).max()) for a, w in zip(adapted, params, strict=True)) > 1e-6


@half_as_many
@given(
    widths=st.sampled_from(SHAPES[1:]),
    seed=st.integers(0, 99),
    points=st.sampled_from([None, 4]),
    first_order=st.booleans(),
)
def test_outer_gradient_on_a_batch_agrees_with_autodiff(widths, seed, points, first_order):
    tasks = tl.BinaryClassification(dim=DIM, mean_std=1.4, x_cov=covariance(seed), shots=points)
    batch = tasks.sample(jax.random.key(seed), 5, 6)
    params = tl.init(jax.random.key(seed + 1), widths)
    rule = tl.MAML(step_size=0.4, steps=2, first_order=first_order)
    loss, grads = tl.closed_form.outer_value_and_grad(params, batch, rule)
    want, want_grads = tl.autodiff.outer_value_and_grad(params, batch, rule)
    np.testing.assert_allclose(loss, want, rtol=1e-12)
    assert_close(grads, want_grads, rtol=1e-10)
