"""Numbers that come from one call, against JAX's own and against their laws."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from toylin.tasks._draws import (
    mean_square,
    normals,
    signs,
    square_rows,
    uniform_rows,
    wishart_root,
    wishart_rows,
)

KEY = jax.random.key(5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normals_are_those_of_jax_and_rows_do_not_depend_on_later_ones(dtype):
    first, second = uniform_rows(KEY, (3, 2), 50, np.dtype(dtype))
    want = jax.random.normal(KEY, (5, 50), dtype)
    np.testing.assert_array_equal(normals(jnp.concatenate([first, second])), want)
    np.testing.assert_array_equal(first, uniform_rows(KEY, (3,), 50, np.dtype(dtype))[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_of_the_uniform_numbers(dtype):
    info = np.finfo(dtype)
    low, high = -1 + info.epsneg, 1 - 2 * info.eps  # the least and the greatest that are drawn
    assert np.all(np.isfinite(normals(jnp.array([low, high], dtype))))
    got = signs(jnp.array([low, -0.1, 0.0, high], dtype))
    np.testing.assert_array_equal(got, [-1, -1, 1, 1])
    square = mean_square(jnp.full((32, 1), high, dtype), 64, None)
    np.testing.assert_allclose(square, [-np.log(info.eps)], rtol=1e-6)


@pytest.mark.parametrize("points", [1, 2, 7, 8, 64, 65])
def test_mean_squares_follow_chi_square(points):
    u = uniform_rows(KEY, (square_rows(points),), 20_000, np.dtype(float))[0]
    got = np.asarray(mean_square(u, points, jax.random.key(6))) * points
    assert stats.kstest(got, stats.chi2(points).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("points", "dim"), [(3, 3), (4, 3), (7, 2), (66, 3)])
def test_wishart_roots_have_their_law(points, dim):
    """Bartlett: independent chi squares on the diagonal, normals below, nothing above."""
    u = uniform_rows(KEY, (wishart_rows(points, dim),), 20_000, np.dtype(float))[0]
    root = np.asarray(wishart_root(u, points, dim, jax.random.key(6)))
    assert np.all(np.triu(root, 1) == 0)
    for i in range(dim):
        assert stats.kstest(root[:, i, i] ** 2, stats.chi2(points - i).cdf).pvalue > 1e-4
        for j in range(i):
            assert stats.kstest(root[:, i, j], stats.norm.cdf).pvalue > 1e-4
    entries = root[:, *np.tril_indices(dim)]
    correlation = np.corrcoef(entries.T) - np.eye(entries.shape[1])
    assert np.max(np.abs(correlation)) < 5 / 20_000**0.5
