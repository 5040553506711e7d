"""Adaptive integrals over rectangles, against antiderivatives; either direction certified."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toylin.quadrature import integrate
from toylin.quadrature._adaptive import GAUSS, KRONROD, NODES

EDGES = jnp.array([0.0, 1.0, 3.0])


@pytest.mark.parametrize(("weights", "degree"), [(KRONROD, 31), (GAUSS, 19)])
def test_the_rules_are_exact_to_their_degree(weights, degree):
    for power in range(degree + 1):
        want = 0.0 if power % 2 else 2 / (power + 1)
        np.testing.assert_allclose(weights @ NODES**power, want, rtol=1e-15, atol=1e-16)
    assert abs(weights @ NODES ** (degree + 1) - 2 / (degree + 2)) > 1e-15 * degree


def peak(x, at, width):
    return width / ((x - at) ** 2 + width**2)


def peak_integral(at, width):
    return np.arctan((3 - at) / width) + np.arctan(at / width)


@partial(jax.jit, static_argnums=(4, 5))
def peaks(x_at, x_width, y_at, y_width, tolerance=1e-10, size=400):
    def function(x, y):
        values = peak(x, x_at, x_width)[:, None] * peak(y, y_at, y_width)
        return jnp.stack([values, -2 * values], -1), jnp.stack([values, 2 * values], -1)

    return integrate(function, EDGES, EDGES, tolerance, size)


WIDTHS = st.floats(-3.0, 1.0).map(lambda power: 10**power)
PLACES = st.floats(0.0, 3.0)


@settings(max_examples=60)
@given(x_at=PLACES, x_width=WIDTHS, y_at=PLACES, y_width=WIDTHS)
def test_peaks_narrow_in_either_direction(x_at, x_width, y_at, y_width):
    got = peaks(x_at, x_width, y_at, y_width)
    want = peak_integral(x_at, x_width) * peak_integral(y_at, y_width)
    if got.rectangles < 400:
        assert got.error <= 1e-10
    bound = max(float(got.error), 1e-13)
    np.testing.assert_allclose(got.value, [want, -2 * want], rtol=bound)


@pytest.mark.parametrize("widths", [(1.0, 0.01), (0.01, 1.0), (0.01, 0.01)])
def test_what_does_not_suffice_says_so(widths):
    x_width, y_width = widths
    few = peaks(1.3, x_width, 0.7, y_width, 1e-10, 5)
    assert few.error > 1e-10
    want = peak_integral(1.3, x_width) * peak_integral(0.7, y_width)
    assert abs(few.value[0] / want - 1) < few.error
    assert peaks(1.3, x_width, 0.7, y_width).error <= 1e-10


def test_the_unit_of_a_function_changes_neither_rectangles_nor_error():
    """By powers of two, which do not round; every output is held to its own size."""

    @jax.jit
    def scaled(units):
        def function(x, y):
            values = peak(x, 1.3, 0.1)[:, None] * peak(y, 0.7, 0.3)
            return (values[..., None] * units,) * 2

        return integrate(function, EDGES, EDGES, 1e-10, 60)

    units = jnp.array([2.0**-30, 2.0**40])
    want, found = scaled(jnp.ones(2)), scaled(units)
    assert (want.error, want.rectangles) == (found.error, found.rectangles)
    np.testing.assert_array_equal(found.value, want.value * units)


def test_a_function_that_is_not_finite_has_an_error_of_nan():
    result = integrate(
        lambda x, y: (jnp.log(x[:, None] - 0.5 + 0 * y),) * 2, EDGES, EDGES, 1e-6, 20
    )
    assert np.isnan(result.error)


def test_mapped_is_one_by_one():
    widths = jnp.array([0.01, 0.3, 2.0])
    mapped = jax.vmap(lambda w: peaks(1.3, w, 0.7, 0.1))(widths)
    for k, width in enumerate(widths):
        one = peaks(1.3, width, 0.7, 0.1)
        np.testing.assert_allclose(mapped.value[k], one.value, rtol=1e-13)
        assert mapped.rectangles[k] == one.rectangles
