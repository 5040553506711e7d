"""The induced preconditioner, against the derivative of a step and a dense Kronecker product."""

from __future__ import annotations

import functools
import itertools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toylin as tl

SHAPES = [(3, 1), (3, 2, 1), (3, 4, 2, 1)]


def kronecker_sum(params):
    """sum_i (B_i' B_i) kron (A_i A_i'), A_i and B_i the products above and below layer i."""
    total = 0.0
    for i in range(len(params)):
        below = tl.end_to_end((jnp.eye(params[0].shape[1]), *params[:i]))
        above = tl.end_to_end((*params[i + 1 :], jnp.eye(1)))
        total += jnp.kron(below.T @ below, above @ above.T)
    np.testing.assert_allclose(tl.induced_preconditioner(params, tl.MAML(1.0)), total, rtol=1e-12)
    return total


@settings(max_examples=10)
@given(widths=st.sampled_from(SHAPES), seed=st.integers(0, 99))
def test_the_preconditioner_is_the_derivative_of_the_step(widths, seed):
    params = tl.init(jax.random.key(seed), widths)
    tasks = tl.LinearRegression(dim=3, x_cov=0.7)
    support = tasks.population(jnp.array([0.3, -1.0, 0.5]))

    def adapted(alpha):
        return tl.end_to_end(tl.autodiff.adapt(params, support, tl.MAML(alpha)))[0]

    gradient = (tl.end_to_end(params)[0] - support.theta) * 0.7
    velocity = jax.jacfwd(adapted)(0.0)
    np.testing.assert_allclose(velocity, -kronecker_sum(params) @ gradient, rtol=1e-10)
    departure = jnp.linalg.norm(adapted(0.2) - adapted(0.0) - 0.2 * velocity)
    expected = departure / jnp.linalg.norm(0.2 * velocity)
    np.testing.assert_allclose(
        tl.step_departure(params, gradient, 0.2), expected, rtol=1e-8, atol=1e-14
    )


def test_the_departure_is_of_first_order_in_the_step_and_zero_for_one_layer():
    params, gradient = tl.init(jax.random.key(0), (3, 4, 1)), jnp.array([1.0, -2.0, 0.5])
    ratio = tl.step_departure(params, gradient, 2e-4) / tl.step_departure(params, gradient, 1e-4)
    np.testing.assert_allclose(ratio, 2.0, rtol=1e-3)
    assert tl.step_departure((params[0][:1],), gradient, 0.3) == 0


@pytest.mark.parametrize("step_size", [1e-30, 1e-9, 0.3, -40.0, 1e12])
@pytest.mark.parametrize("widths", [(2, 1), (2, 3, 1), (1, 1, 1, 1), (2, 3, 2, 2)])
def test_the_departure_of_steps_of_any_size_in_rational_numbers(widths, step_size):
    rng = np.random.default_rng(0)
    params = [rng.integers(-9, 10, shape[::-1]) / 8 for shape in itertools.pairwise(widths)]
    gradient = rng.integers(1, 9, (widths[-1], widths[0])) / 4
    exact = np.vectorize(Fraction, otypes=[object])
    w, step = [exact(p) for p in params], Fraction(step_size)

    def chain(layers, size):
        return functools.reduce(lambda below, layer: layer @ below, layers, exact(np.eye(size)))

    moves = [
        -step * chain(w[i + 1 :], len(w[i])).T @ exact(gradient) @ chain(w[:i], widths[0]).T
        for i in range(len(w))
    ]
    first = sum(chain([*w[:i], move, *w[i + 1 :]], widths[0]) for i, move in enumerate(moves))
    rest = chain([a + b for a, b in zip(w, moves, strict=True)], widths[0]) - chain(w, widths[0])
    squares = [sum(x**2 for x in part.ravel()) for part in (rest - first, first)]
    given = jnp.asarray(gradient[0] if widths[-1] == 1 else gradient)
    got = tl.step_departure(tuple(map(jnp.asarray, params)), given, step_size)
    np.testing.assert_allclose(got, float(squares[0] / squares[1]) ** 0.5, rtol=1e-12)


@pytest.mark.parametrize("step_size", [1e-200, 1e-10, 1e10, 1e200])
def test_the_departure_of_two_numbers_by_hand(step_size):
    """(w_1 - a g w_2) (w_2 - a g w_1): a g w_1 w_2 / (w_1² + w_2²), whose square is no float."""
    params = (jnp.full((1, 1), 3.0), jnp.full((1, 1), -4.0))
    got = tl.step_departure(params, jnp.array([0.5]), step_size)
    np.testing.assert_allclose(got, 0.24 * step_size, rtol=1e-14)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_the_angle_of_matrices_of_any_size(size):
    first = size * jnp.array([[3.0, 0.0], [0.0, 4.0]])
    second = jnp.array([[4.0, 0.0], [0.0, 3.0]]) / size
    np.testing.assert_allclose(tl.matrix_angle(first, second), np.degrees(np.arccos(0.96)))


def test_one_layer_is_not_preconditioned():
    np.testing.assert_array_equal(kronecker_sum((jnp.ones((1, 4)),)), np.eye(4))


def test_imbalance_changes_at_second_order_in_the_step():
    params = tl.init(jax.random.key(1), (2, 3, 3, 1))
    support = tl.LinearRegression(dim=2).population(jnp.array([1.0, -1.0]))
    start = tl.imbalance(params)
    assert start.shape == (2,)

    def change(alpha):
        return tl.imbalance(tl.autodiff.adapt(params, support, tl.MAML(alpha))) - start

    np.testing.assert_allclose(jax.jacfwd(change)(0.0), 0.0, atol=1e-12)
    np.testing.assert_allclose(change(2e-3) / change(1e-3), 4.0, rtol=0.05)
    assert tl.imbalance((jnp.ones((1, 2)),)).shape == (0,)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"gradient must have shape \(3,\), got \(2,\)"):
        tl.step_departure(tl.init(jax.random.key(0), (3, 1)), jnp.ones(2), 0.1)


def test_several_outputs():
    """The departure is that of the step; balance and added layers take any number."""
    params = tl.init(jax.random.key(0), (3, 4, 2))
    gradient = jax.random.normal(jax.random.key(1), (2, 3))

    def moved(alpha):
        w1, w2 = params
        return (w2 - alpha * gradient @ w1.T) @ (w1 - alpha * w2.T @ gradient)

    first = jax.jvp(moved, (0.0,), (1.0,))[1]
    change = moved(0.2) - moved(0.0) - 0.2 * first
    expected = jnp.linalg.norm(change) / jnp.linalg.norm(0.2 * first)
    np.testing.assert_allclose(tl.step_departure(params, gradient, 0.2), expected, rtol=1e-12)
    assert tl.step_departure((params[0],), jnp.ones((4, 3)), 0.3) == 0
    gap = params[1].T @ params[1] - params[0] @ params[0].T
    np.testing.assert_allclose(tl.imbalance(params), [jnp.linalg.norm(gap)], rtol=1e-14)
    for position, sides in ((0, 3), (1, 4), (2, 2)):
        more = tl.add_linear_layers(params, num_layers=2, position=position)
        assert more[position].shape == more[position + 1].shape == (sides, sides)
        np.testing.assert_array_equal(tl.end_to_end(more), tl.end_to_end(params))
    with pytest.raises(ValueError, match=r"gradient must have shape \(2, 3\)"):
        tl.step_departure(params, jnp.ones(3), 0.1)


@pytest.mark.parametrize("size", [1e-18, 1e-12, 1e-10, 1.0, 1e9, 1e18])
def test_the_imbalance_scales_with_the_square_in_single_precision(size):
    params = tuple(jnp.array(w, jnp.float32) for w in ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 0.5]]))
    gap = np.outer([1.0, 0.5], [1.0, 0.5]) - np.array([[5.0, 11.0], [11.0, 25.0]])
    (got,) = tl.imbalance(tuple(np.float32(size) * w for w in params))
    np.testing.assert_allclose(got, np.linalg.norm(gap) * size**2, rtol=1e-6)
