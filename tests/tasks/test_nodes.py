"""Exact nodes: as many as are allowed, and a support that is worth what points would be."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl
from toylin.tasks import count_nodes
from toylin.tasks._nodes import MAX_NODES, check_nodes


def test_as_many_nodes_as_are_allowed_are_not_too_many():
    """Depth 9 after a step: degree 18, ten nodes in each of six numbers."""
    assert count_nodes(tl.LinearRegression(dim=6), 9, 1) == MAX_NODES
    check_nodes(tl.LinearRegression(dim=6), 9, 1)
    with pytest.raises(ValueError, match=r"1e\+07 nodes, more than MAX_NODES"):
        check_nodes(tl.LinearRegression(dim=7), 9, 1)


@pytest.mark.parametrize("shots", [1, 3])
def test_unadapted_a_support_is_worth_the_loss_of_fresh_points(shots):
    """1/2 E (w x - theta x - eps)², by the variances of independent parts."""
    tasks = tl.LinearRegression(
        theta_mean=0.3, theta_cov=0.7, x_cov=1.3, noise_std=0.4, shots=shots
    )
    nodes = tl.quadrature_batch(tasks, depth=1, steps=1)
    losses = jax.vmap(lambda data: data.loss((jnp.full((1, 1), 1.1),)))(nodes.support)
    want = (1.3 * ((1.1 - 0.3) ** 2 + 0.7) + 0.4**2) / 2
    np.testing.assert_allclose(jnp.exp(nodes.log_weight) @ losses, want, rtol=1e-12)
