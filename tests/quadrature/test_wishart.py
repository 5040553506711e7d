"""Moments of the eigenvalues of Wishart matrices, whose formulas use no quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma

from toylin.quadrature import eigenvalue_rule


def check(dim, freedom):
    x, weights = eigenvalue_rule(dim, freedom)
    small, large = min(dim, freedom), max(dim, freedom)
    np.testing.assert_allclose(weights.sum(), small, rtol=1e-12)
    np.testing.assert_allclose(weights @ x, dim * freedom, rtol=1e-10)
    np.testing.assert_allclose(weights @ x**2, dim * freedom * (dim + freedom + 1), rtol=1e-10)
    # log det Z'Z is a sum of logarithms of independent chi squared numbers (Bartlett).
    log_det = np.sum(digamma((large - np.arange(small)) / 2)) + small * np.log(2)
    scale = weights @ np.abs(np.log(x))
    np.testing.assert_allclose(weights @ np.log(x), log_det, rtol=0, atol=1e-10 * scale)
    if large > small + 3:
        inverse = small / (large - small - 1)
        np.testing.assert_allclose(weights @ (1 / x), inverse, rtol=1e-10)


CORNERS = [(1, 1), (2, 2), (10, 4), (1, 400), (5, 400), (30, 60), (40, 40), (40, 41), (40, 2000)]
CORNERS += [(1, 4000)]  # the peak of the density is narrow, and far from zero


@pytest.mark.parametrize(("dim", "freedom"), CORNERS)
def test_moments_at_corners(dim, freedom):
    check(dim, freedom)


@given(small=st.integers(1, 24), excess=st.integers(0, 200), swap=st.booleans())
def test_moments(small, excess, swap):
    check(*((small + excess, small) if swap else (small, small + excess)))


@pytest.mark.parametrize(("dim", "freedom"), [(0, 1), (3, 0), (41, 50), (2.0, 3)])
def test_sizes_that_are_refused(dim, freedom):
    eigenvalue_rule(2, 3)  # what is kept of it does not serve 2.0
    with pytest.raises(ValueError, match=r"dim|freedom"):
        eigenvalue_rule(dim, freedom)
