"""Basins of attraction: where meta-training ends, against a plain loop and known answers."""

from __future__ import annotations

import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl


def double_well(w):
    return (w[0] ** 2 - 1) ** 2 + w[1] ** 2


MINIMA = jnp.array([[1.0, 0.0], [-1.0, 0.0]])


def test_each_start_reaches_the_minimum_of_its_side():
    starts = jnp.array([[0.5, 1.0], [-0.3, -1.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.4]])
    found = tl.basins(double_well, starts, MINIMA, optax.sgd(0.05), 200)
    np.testing.assert_array_equal(found.target, [0, 1, 0, 0, -1])  # the last is held on the ridge
    assert found.iterations[3] == 0
    assert found.iterations[4] == 200


def test_the_iterations_are_those_of_a_plain_loop():
    w, count = jnp.array([0.5, 1.0]), 0
    while jnp.linalg.norm(w - MINIMA[0]) >= 1e-2:
        w, count = w - 0.05 * jax.grad(double_well)(w), count + 1
    found = tl.basins(double_well, [[0.5, 1.0]], MINIMA, optax.sgd(0.05), 500)
    assert (int(found.iterations[0]), count > 10) == (count, True)
    np.testing.assert_allclose(found.end[0], w, rtol=1e-12)


def test_one_step_is_enough_to_arrive():
    found = tl.basins(lambda w: jnp.sum(w**2), [[3.0, 4.0]], [[0.0, 0.0]], optax.sgd(0.5), 1)
    assert (found.target.tolist(), found.iterations.tolist()) == ([0], [1])
    with pytest.raises(ValueError, match="num_steps must be an integer of at least 1"):
        tl.basins(double_well, [[0.5, 1.0]], MINIMA, optax.sgd(0.1), 0)


def test_a_start_is_as_far_from_a_minimum_in_any_unit():
    """Five radii away, where squares of distances are no floats."""
    for unit in (1.0, 1e-170, 1e170):
        starts, minimum = unit * MINIMA[:, ::-1] * 0.05, jnp.zeros((1, 2))
        found = tl.basins(lambda w: jnp.sum(w), starts, minimum, optax.sgd(0.0), 1, 1e-2 * unit)
        assert found.target.tolist() == [-1, -1]
        near = tl.basins(lambda w: jnp.sum(w), starts, minimum, optax.sgd(0.0), 1, 0.1 * unit)
        assert near.target.tolist() == [0, 0]


def test_none_is_reached_by_a_run_that_is_interrupted_before_it_begins():
    sgd = optax.sgd(0.05)

    def init(params):
        signal.raise_signal(signal.SIGINT)
        return sgd.init(params)

    optimizer = optax.GradientTransformation(init, sgd.update)
    with pytest.warns(UserWarning, match="interrupted: 0 of 300 iterations"):
        found = tl.basins(double_well, [[0.5, 1.0]], MINIMA, optimizer, 300)
    assert (found.target.tolist(), found.iterations.tolist()) == ([-1], [300])
    np.testing.assert_array_equal(found.end, [[0.5, 1.0]])


@pytest.mark.parametrize(
    ("starts", "radius", "message"),
    [([0.0, 1.0], 0.1, r"got shapes \(2,\) and \(2, 2\)"), ([[0.0, 1.0]], 0.0, "radius must be a")],
)
def test_bad_input_is_named(starts, radius, message):
    with pytest.raises(ValueError, match=message):
        tl.basins(double_well, starts, MINIMA, optax.sgd(0.1), 5, radius)
