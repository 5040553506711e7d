"""Minima known in closed form, and the kind of a point of any loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin.landscape import distance_to_minimum


@given(
    depth=st.sampled_from([2, 3]),
    mean=st.floats(-2, 2),
    spread=st.floats(0.3, 2.0),
    seed=st.integers(0, 99),
)
def test_minima_of_any_depth_form_manifolds(depth, mean, spread, seed):
    tasks = tl.LinearRegression(theta_mean=mean, x_cov=spread, noise_std=0.4)
    rule = tl.MAML(0.2)
    rng = np.random.default_rng(seed)
    free = rng.uniform(0.5, 1.5, depth - 2) * rng.choice([-1, 1], depth - 2)
    zero_layer = int(rng.integers(depth))
    point = tl.known_minimum(tasks, rule, zero_layer, free)
    assert point[zero_layer][0, 0] == 0
    others = [float(w[0, 0]) for k, w in enumerate(point) if k != zero_layer]
    assert others[:-1] == free.tolist()
    found = tl.classify_point(tl.ExactLoss(tasks, rule), point)
    np.testing.assert_allclose(found.loss, 0.4**2 / 2, rtol=1e-12)
    assert found.grad_norm < 1e-12 * (1 + found.eigenvalues.max())
    assert (found.index, found.nullity) == (0, depth - 2)
    assert distance_to_minimum(point, tasks, rule) < 1e-6


def test_a_distance_is_given_only_where_the_minima_are_known():
    deep, shallow = (jnp.ones((1, 1)),) * 2, (jnp.full((1, 1), 1.5),)
    few, all_points = tl.LinearRegression(theta_mean=0.5, shots=3), tl.LinearRegression()
    assert distance_to_minimum(deep, few, tl.MAML(0.1)) is None
    assert distance_to_minimum(deep, all_points, tl.MAML(0.1, 2)) is None
    assert distance_to_minimum(deep, all_points, tl.Reptile(0.1)) is None
    np.testing.assert_allclose(distance_to_minimum(shallow, few, tl.MAML(0.1, 2)), 1.0)
    # The nearest of (0, +-2) and (+-2, 0).
    np.testing.assert_allclose(distance_to_minimum(deep, all_points, tl.MAML(0.25)), 2**0.5)
    assert np.isnan(distance_to_minimum(deep, all_points, tl.MAML(0.0)))


@pytest.mark.parametrize("depth", [2, 3, 5])
@pytest.mark.parametrize("step_size", [0.01, 0.25, 4.0, 1e4])
def test_the_distance_from_the_origin(depth, step_size):
    """All weights but one are alike there: |w| = q of the product q^(L - 1) = 1 / sqrt(alpha)."""
    origin = tuple(jnp.zeros((1, 1)) for _ in range(depth))
    found = distance_to_minimum(origin, tl.LinearRegression(), tl.MAML(step_size))
    each = step_size ** (-0.5 / (depth - 1))
    np.testing.assert_allclose(found, (depth - 1) ** 0.5 * each, rtol=1e-12)


@pytest.mark.parametrize(
    ("free", "last"),
    [
        ((), 2.0),
        ((2.0, -4.0), 0.25),
        ((1e-20, 1e-20, 1e-20, 1e30, 1e30), 2.0),
        ((1e-200, 1e-200, 1e200, 1e200), 2.0),
        ((1e300, 1e300, 1e-300), 2e-300),
    ],
)
def test_the_last_weight_where_products_leave_the_range_of_floats(free, last):
    point = tl.known_minimum(tl.LinearRegression(), tl.MAML(0.25), 0, free)
    assert [float(w[0, 0]) for w in point[1:-1]] == [*free]
    np.testing.assert_allclose(float(point[-1][0, 0]), last, rtol=1e-14)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_a_last_weight_that_no_float_is(size):
    with pytest.raises(ValueError, match="free must leave the last weight in the range of float64"):
        tl.known_minimum(tl.LinearRegression(), tl.MAML(0.25), 0, [size, size])


@pytest.mark.parametrize("step_size", [1e-300, 1e300])
def test_the_product_of_the_largest_and_smallest_steps(step_size):
    tasks = tl.LinearRegression(x_cov=step_size)
    point = tl.known_minimum(tasks, tl.MAML(step_size), 0)
    np.testing.assert_allclose(float(point[-1][0, 0]), 1 / step_size, rtol=1e-14)


def test_known_minimum_composes():
    tasks = tl.LinearRegression()

    def last(alpha, free):
        return tl.known_minimum(tasks, tl.MAML(alpha), 0, free)[2][0, 0]

    value, slopes = jax.jit(jax.value_and_grad(last, (0, 1)))(0.25, jnp.array([-4.0]))
    # The last weight is 1 / (sqrt(alpha) |free|).
    np.testing.assert_allclose(value, 0.5, rtol=1e-12)
    np.testing.assert_allclose(slopes[0], -1.0, rtol=1e-12)
    np.testing.assert_allclose(slopes[1], [0.125], rtol=1e-12)


def test_classify_point_tells_a_saddle():
    found = tl.classify_point(lambda w: w[0] ** 2 - 3 * w[1] ** 2 + w[2] ** 4, jnp.zeros(3))
    assert (found.index, found.nullity, found.grad_norm) == (1, 1, 0.0)
    np.testing.assert_allclose(found.eigenvalues, [-6, 0, 2])
    near = tl.classify_point(lambda w: w[0] ** 2 + 3e-3 * w[1] ** 2, jnp.ones(2), tolerance=1e-2)
    assert (near.index, near.nullity) == (0, 1)
    np.testing.assert_allclose(near.grad_norm, np.hypot(2, 6e-3), rtol=1e-12)


FACTORS = (((jnp.full((1, 1), 2.0),) * 2),) * 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tl.known_minimum(tl.LinearRegression(shots=3), tl.MAML(0.1), 0), "shots=3"),
        (lambda: tl.known_minimum(tl.LinearRegression(dim=2), tl.MAML(0.1), 0), "dim=2"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.1, 2), 0), "steps=2"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(-0.1), 0), "step_size=-0.1"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.0), 0), "a positive step_size"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.1), 2), "depth 2, got 2"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.1), 1, [0.0]), "hold no zero"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.1), 1, [np.nan]), "finite"),
        (lambda: tl.known_minimum(tl.LinearRegression(), tl.MAML(0.1), 1, [[1.0]]), "a row"),
        (
            lambda: tl.known_minimum(tl.LinearRegression(), tl.MetaKFO(FACTORS, 0.1, psd=True), 0),
            "rule must be MAML .*got MetaKFO",
        ),
        (lambda: tl.classify_point(jnp.sum, jnp.ones(2), tolerance=np.nan), "tolerance must be"),
        (lambda: tl.classify_point(jnp.sum, jnp.ones(2), tolerance=-1.0), "tolerance must be"),
        (lambda: tl.classify_point(jnp.sum, jnp.ones(2), tolerance=1.0), "tolerance must be"),
        (lambda: tl.classify_point(jnp.sum, ()), "params must hold"),
        (lambda: tl.classify_point(jnp.sum, jnp.ones(2, int)), "params must hold"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("loss", "at"), [(lambda w: jnp.sum(jnp.sqrt(w)), 0.0), (lambda w: jnp.sum(jnp.exp(w)), 800.0)]
)
def test_a_point_without_derivatives_is_of_no_kind(loss, at):
    with pytest.raises(ValueError, match="loss must have a finite value and finite derivatives"):
        tl.classify_point(loss, jnp.full(2, at))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_the_gradient_of_any_size(size):
    found = tl.classify_point(lambda w: size * (3 * w[0] - 4 * w[1]), jnp.zeros(2))
    np.testing.assert_allclose(found.grad_norm, 5 * size)
    assert (found.index, found.nullity) == (0, 2)
