"""The search for critical points: what Newton's method finds from few starts."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl


def test_one_start_reaches_a_point_far_away_by_steps_that_are_bounded():
    """A full step from x is x (1 + x²) long: beyond 1 away it leads ever further."""
    point = np.array([3.0, -6.0])

    def loss(w):
        return jnp.sum(jnp.sqrt(1 + (w - point) ** 2))

    found = tl.search_critical_points(loss, 7.0, resolution=1)
    np.testing.assert_allclose(found.points, [point], atol=1e-9)
    np.testing.assert_allclose(found.eigenvalues, [[1.0, 1.0]], rtol=1e-9)


@pytest.mark.parametrize("unit", [1.0, 1.5e-5, 1e6])
def test_starts_are_all_points_of_the_grid(unit):
    """Nine, and from each its own point: the variables do not see each other."""

    def loss(w):
        return jnp.sum(((w / unit) ** 2 - 1) ** 2)

    found = tl.search_critical_points(loss, 2 * unit, resolution=3)
    assert found.census() == (4, 4, 1)
    at = {tuple(np.round(point / unit).astype(int).tolist()) for point in found.points}
    assert at == {(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)}


@pytest.mark.parametrize("extent", [1e-3, 10.0, 1e4, 1e8])
def test_a_quadratic_in_a_box_of_any_size(extent):
    def loss(w):
        return jnp.sum((w / extent - 0.5) ** 2)

    found = tl.search_critical_points(loss, extent, resolution=3, tolerance=1e-12)
    np.testing.assert_allclose(found.points / extent, [[0.5, 0.5]], rtol=1e-9)


def test_one_variable_at_the_edge_of_the_box_to_the_last_bit():
    eps = float(np.finfo(float).eps)
    found = tl.search_critical_points(lambda w: (w[0] - 1) ** 2, 1.0, 1, 2, tolerance=eps)
    assert found.points.tolist() == [[1.0]]
    assert found.index.tolist() == [0]
