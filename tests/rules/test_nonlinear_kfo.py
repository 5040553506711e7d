"""Non-linear Meta-KFO: how large its hidden layers start, and which arrays it takes."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import toylin as tl


def test_hidden_layers_start_so_large_that_unit_entries_give_unit_entries():
    rule = tl.NonlinearKFO.identity((jnp.ones((900, 1)),), 0.1, hidden=100, key=jax.random.key(0))
    for a, b, c in rule.networks[0]:
        for matrix in (a, b):
            share = np.sum(np.square(matrix)) / len(matrix)  # of squares, a row: chi²_n / n
            assert abs(share - 1) < 5 * (2 / matrix.size) ** 0.5
        assert not np.any(c)


def test_biases_matrices_and_kernels_fit():
    params = {"bias": jnp.ones(3), "matrix": jnp.ones((2, 4)), "kernel": jnp.ones((5, 4, 3, 2))}
    rule = tl.NonlinearKFO.identity(params, 0.5, hidden=2)
    rule.check(params)
    assert [[a.shape[1] for a, _, _ in pair] for pair in rule.networks] == [[3, 1], [4, 6], [2, 4]]
    tl.NonlinearKFO.identity(params, 0.5, hidden=1).check(params)
