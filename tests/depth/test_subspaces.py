"""The distance of subspaces, against SciPy's angles and rotations by a known one."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

import toylin as tl


@given(st.integers(0, 10**6), st.sampled_from([(1, 1), (3, 2), (4, 4)]))
def test_sine_of_scipys_angles(seed, shape):
    """SciPy takes the largest of the angles that the smaller subspace has."""
    rng = np.random.default_rng(seed)
    rows, truth = (rng.normal(size=(n, 6)) for n in shape)
    wanted = np.sin(subspace_angles(rows.T, truth.T)[0])
    np.testing.assert_allclose(tl.subspace_distance(rows, truth), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("angle", [1e-12, 1e-5, 0.3, np.pi / 2])
def test_small_angles_keep_their_digits(angle):
    turned = jnp.array([[jnp.cos(angle), jnp.sin(angle), 0.0]])
    found = tl.subspace_distance(5.0 * turned, jnp.array([[-2.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, np.sin(angle), rtol=1e-3 if angle < 1e-11 else 1e-9)


def test_what_is_spanned_beside_the_truth_does_not_count():
    truth = jnp.eye(4)[:2]
    mixed = jnp.array([[1.0, 2, 0, 0], [0, 0, 1, 0], [3, 1, 5, 0]])
    np.testing.assert_allclose(tl.subspace_distance(mixed, truth), 0, atol=1e-14)


@pytest.mark.parametrize(
    ("rows", "truth"), [((2, 3), (3, 3)), ((2, 3), (1, 4)), ((4, 3), (1, 3)), ((3,), (1, 3))]
)
def test_refusals(rows, truth):
    with pytest.raises(ValueError, match="rows"):
        tl.subspace_distance(jnp.ones(rows), jnp.ones(truth))


@pytest.mark.parametrize(
    ("rows", "truth", "wanted"),
    [
        ([[0.0, 0, 0]], [[1.0, 0, 0]], 1),
        ([[1.0, 2, 0], [2, 4, 0]], [[1.0, 2, 0]], 0),
        ([[1.0, 2, 0], [2, 4, 0]], [[0.0, 0, 1]], 1),
        ([[3.0, 0, 4], [0, 0, 0]], [[1.0, 0, 0]], 0.8),
        ([[1.0, 0, 0], [0, 1, 0]], [[1.0, 1, 0], [2, 2, 0]], 0),
    ],
)
def test_dependent_rows_span_what_they_span(rows, truth, wanted):
    found = tl.subspace_distance(jnp.array(rows), jnp.array(truth))
    np.testing.assert_allclose(found, wanted, atol=1e-14)
