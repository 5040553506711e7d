"""Norms, against rational numbers."""

from __future__ import annotations

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

from toylin._internal.norms import norm


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_of_any_size(size):
    tree = {"a": size * jnp.array([[1.0, -2.0], [0.0, 4.0]]), "b": (jnp.asarray(-2 * size),)}
    squares = sum((Fraction(x) * Fraction(size)) ** 2 for x in (1, 2, 4, 2))
    np.testing.assert_allclose(norm(tree), float(squares / Fraction(size) ** 2) ** 0.5 * size)


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        ((jnp.zeros(3),), 0.0),
        ((jnp.zeros(0), jnp.array([3.0, 4.0])), 5.0),
        ((jnp.array([jnp.inf, 1.0]),), np.inf),
        ((jnp.array([jnp.nan, 1.0]), jnp.ones(2)), np.nan),
        ((jnp.array([1e308, 1e308, 1e308, 1e308]),), np.inf),
    ],
)
def test_corners(tree, wanted):
    np.testing.assert_equal(float(norm(tree)), wanted)
