"""The law of a class mean across a start, by sums over the rectangles that integrals begin with."""

from __future__ import annotations

import numpy as np
import pytest

from toylin.closed_form._binary_integral import Radius


@pytest.mark.parametrize("dim", [2, 3, 7, 30, 1000])
def test_rectangles_lie_side_by_side_and_hold_the_law(dim):
    """r² is a chi squared number of dim - 1 degrees: mean dim - 1, variance twice that."""
    radius = Radius.of(dim, np.dtype(float))
    edges = radius.edges
    assert edges[0] == 0
    assert np.all(np.diff(edges) > 0)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    half = np.diff(edges)[:, None] / 2
    r, weights = edges[:-1, None] + half * (nodes + 1), half * weights
    k, law = dim - 1, weights * np.asarray(radius.density(r))
    moments = [np.sum(law * r**power) for power in (0, 2, 4)]
    np.testing.assert_allclose(moments, [1, k, k * (k + 2)], rtol=1e-11)
