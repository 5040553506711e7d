"""Reference values, found in exact rational arithmetic before the package was written."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from helpers import ROUTES, WEIGHTS, scalar_params, value_and_grad

import toylin as tl

# At w = (0.7, -0.9, 1.1)[:L], alpha = 0.1, mu = 0.3, tau = 1, s = 1, sigma = 0.2, K = 5.
NUMBERS = {
    (1, 1): 0.49216,
    (1, 2): 0.41133376,
    (2, 1): 0.75743534058622645,
    (2, 2): 0.66176646284954014,
    (3, 1): 0.73694273257573886,
    (3, 2): 1050436.1173201865,
}


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r.__name__)
@pytest.mark.parametrize(("depth", "steps"), NUMBERS)
def test_five_shots_with_noise(route, depth, steps):
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    rule = tl.MAML(step_size=0.1, steps=steps)
    loss, _ = value_and_grad(route, scalar_params(WEIGHTS[:depth]), tasks, rule)
    np.testing.assert_allclose(loss, NUMBERS[depth, steps], rtol=2e-12)


def test_a_heavy_tail_hides_from_samples():
    """The exact mean at depth 3, two steps, is a million; a large sample sees well below one."""
    tasks = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
    batch = tasks.sample_moments(jax.random.key(0), 100_000)
    rule = tl.MAML(step_size=0.1, steps=2)
    estimate = jax.jit(tl.autodiff.outer_loss)(scalar_params(WEIGHTS[:3]), batch, rule)
    assert 0.6 < estimate < 10
