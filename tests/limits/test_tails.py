"""Tail diagnostics against distributions known exactly and against samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl


def scalar(*weights):
    return tuple(jnp.array([[w]]) for w in weights)


@given(
    shots=st.sampled_from([1, 2, 5, 40]),
    step_size=st.floats(0.2, 2.0),
    x_var=st.floats(0.5, 2.0),
    noise=st.sampled_from([0.0, 0.3]),
)
def test_the_shallow_model_diverges_where_the_step_times_curvature_exceeds_two(
    shots, step_size, x_var, noise
):
    tasks = tl.LinearRegression(theta_mean=0.3, x_cov=x_var, noise_std=noise, shots=shots)
    tail = tl.tails(scalar(0.7), tasks, tl.MAML(step_size))
    exact = scipy.special.gammaincc(shots / 2, shots / (step_size * x_var))
    assert float(tail.divergence_probability) == pytest.approx(exact, rel=0.02, abs=1e-12)


@given(w=st.floats(-2.0, 2.0), mu=st.floats(-1.0, 1.0), noise=st.floats(0.0, 0.5))
def test_the_median_of_the_shallow_population_loss(w, mu, noise):
    tasks = tl.LinearRegression(theta_mean=mu, theta_cov=0.8, noise_std=noise)
    tail = tl.tails(scalar(w), tasks, tl.MAML(0.1))
    error = scipy.stats.foldnorm(abs(w - mu) / 0.8**0.5, scale=0.9 * 0.8**0.5)
    exact = 0.5 * error.median() ** 2 + noise**2 / 2
    assert float(tail.median) == pytest.approx(exact, rel=0.01)
    assert float(tail.divergence_probability) == 0


@pytest.mark.parametrize(("weights", "steps"), [((0.7, -0.9), 1), ((0.7, -0.9, 1.1), 2)])
def test_median_and_divergence_agree_with_samples(weights, steps):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.5, shots=2)
    params, rule, number = scalar(*weights), tl.MAML(0.3, steps), 200_000
    tail = tl.tails(params, tasks, rule)
    batch = tasks.sample_moments(jax.random.key(0), number)
    losses = tl.autodiff.task_losses(params, batch, rule)
    share_below = float(jnp.mean(losses < tail.median))
    assert abs(share_below - 0.5) < 5 * 0.5 / number**0.5
    adapted = jax.vmap(lambda s: tl.autodiff.adapt(params, s, rule))(batch.support)
    after = jax.vmap(tl.autodiff.inner_loss)(adapted, batch.support)
    before = jax.vmap(tl.autodiff.inner_loss, (None, 0))(params, batch.support)
    diverged = float(jnp.mean(~(after <= before)))
    error = (diverged * (1 - diverged) / number) ** 0.5
    assert diverged > 0.01
    assert abs(diverged - float(tail.divergence_probability)) < 5 * error + 0.01 * diverged


def test_a_mean_carried_by_its_tail_is_called_so():
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    tail = tl.tails(scalar(0.7, -0.9, 1.1), tasks, tl.MAML(0.1, 2))
    assert float(tail.mean) == pytest.approx(1050436.1173201865, rel=1e-12)
    assert float(tail.median) == pytest.approx(0.303, abs=0.001)
    assert float(tail.tail_share) > 0.999
    with pytest.warns(tl.TailWarning, match="carried by rare supports"):
        tail.warn()


def test_a_mean_that_is_typical_is_not():
    tail = tl.tails(scalar(0.7), tl.LinearRegression(), tl.MAML(0.1))
    # The worst thousandth of chi² with one degree of freedom carries 1.3 % of its mean (w = mu).
    at_mean = tl.tails(scalar(0.0), tl.LinearRegression(), tl.MAML(0.1))
    z = scipy.stats.norm.isf(5e-4)
    carried = 2 * (z * scipy.stats.norm.pdf(z) + scipy.stats.norm.sf(z))
    assert float(at_mean.tail_share) == pytest.approx(carried, rel=0.05)
    assert not tail.dominated
    tail.warn()


def test_only_the_scalar_problem_has_them():
    with pytest.raises(tl.NoClosedFormError, match="scalar linear regression"):
        tl.tails(tl.init(jax.random.key(0), (2, 1)), tl.LinearRegression(dim=2), tl.MAML(0.1))
    with pytest.raises(ValueError, match="tasks must be a LinearRegression"):
        tl.tails(scalar(1.0), "tasks", tl.MAML(0.1))


def test_a_mean_beyond_floats_is_infinite_and_dominated():
    tasks = tl.LinearRegression(noise_std=0.2, shots=2)
    tail = tl.tails(scalar(0.7, -0.9, 1.1, 0.8), tasks, tl.MAML(0.5, 3))
    assert np.isinf(float(tail.mean))
    assert tail.dominated
    assert np.isfinite(float(tail.median))
