"""Users' own data: checked at the door, under jit by their shapes; never a wrong number."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import scalar_params

import toylin as tl

RULE = tl.MAML(0.1)
X, Y = jnp.linspace(-1.0, 2.0, 24).reshape(3, 4, 2), jnp.linspace(0.0, 1.0, 12).reshape(3, 4)
PARAMS = (jnp.array([[0.3, -0.2]]),)
GOOD = tl.RegressionPoints(X, Y)


def batch(y):
    points = tl.RegressionPoints(X, y)
    return tl.Batch(points, points)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y[..., None], r"y of support must have the shape of the model's outputs, \(4,\)"),
        (Y[:, :1], r"y shape \(tasks, points,\)"),
        (Y.T, "y must have one row a point"),
        (Y.at[0, 0].set(np.nan), "y must be finite"),
        (Y + 0j, "y must be a real number"),
    ],
)
@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form])
def test_targets_that_do_not_fit_are_refused(route, y, message):
    with pytest.raises(ValueError, match=message):
        route.outer_loss(PARAMS, batch(y), RULE)


@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form])
def test_shapes_are_checked_under_jit_too(route):
    with pytest.raises(ValueError, match="y shape"):
        jax.jit(lambda y: route.outer_loss(PARAMS, batch(y), RULE))(Y[:, :1])


@pytest.mark.parametrize("labels", [[0.0, 1.0, 1.0], [1.0, 2.0, -1.0], [0.5, 1.0, -1.0]])
def test_labels_are_minus_one_and_one(labels):
    with pytest.raises(ValueError, match=r"y must hold the labels -1 and \+1"):
        tl.BinaryPoints(jnp.ones((3, 2)), jnp.array(labels))


def test_support_and_query_are_of_one_kind_and_number():
    binary = tl.BinaryPoints(X, jnp.sign(Y - 0.5) + (Y == 0.5))
    with pytest.raises(ValueError, match="support and query must be of one kind"):
        tl.Batch(GOOD, binary)
    with pytest.raises(ValueError, match="query must hold one entry for each of the 3 tasks"):
        tl.Batch(GOOD, tl.RegressionPoints(X[:2], Y[:2]))
    with pytest.raises(ValueError, match=r"log_weight must have shape \(3,\)"):
        tl.Batch(GOOD, GOOD, log_weight=jnp.zeros(1))
    with pytest.raises(ValueError, match="support must be what tasks show"):
        tl.Batch(X, GOOD)


@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form])
def test_one_task_is_not_many(route):
    with pytest.raises(ValueError, match=r"x of support must have shape \(points, dim\)"):
        route.adapt(PARAMS, GOOD, RULE)
    with pytest.raises(ValueError, match="support of a batch"):
        tl.Batch(tl.RegressionPoints(X[0], Y[0]), GOOD)


def test_no_points_and_no_tasks_are_refused():
    with pytest.raises(ValueError, match="x must hold at least one point"):
        tl.RegressionPoints(jnp.zeros((0, 2)), jnp.zeros(0))
    moments = tl.LinearRegression().population(jnp.zeros((0, 1)))
    with pytest.raises(ValueError, match="support must hold at least one task"):
        tl.Batch(moments, moments)


def test_moments_serve_the_linear_model_only():
    moments = tl.LinearRegression(dim=2).population(jnp.ones((3, 2)))
    both = tl.Batch(moments, moments)
    with pytest.raises(ValueError, match="model must be the deep linear one"):
        tl.autodiff.outer_loss({"w": jnp.ones(2)}, both, RULE, lambda p, x: x @ p["w"])
    with pytest.raises(ValueError, match="xx must have shape"):
        tl.RegressionMoments(jnp.ones((2, 1)), jnp.ones(2), jnp.ones(2), jnp.ones(()))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ((jnp.array([[1, 2]]),), "floats, got one of int"),
        ((jnp.array([[1j, 2]]),), "floats, got one of complex"),
        ((jnp.ones((2, 2), jnp.float32), jnp.ones((1, 2))), "one float type, got float32 and"),
        (([[1.0, 2.0]],), "arrays of floats"),
        ((), "tuple of matrices"),
    ],
)
@pytest.mark.parametrize("route", [tl.autodiff, tl.closed_form])
def test_parameters_are_floats_of_one_type(route, params, message):
    with pytest.raises(ValueError, match=message):
        route.outer_loss(params, batch(Y), RULE)


def test_several_outputs_are_rows():
    """Half the squared error, summed over outputs: the sum of the losses of each output alone."""
    first, second = jnp.array([[0.3, -0.2]]), jnp.array([[0.1, 0.5]])
    both = batch(jnp.stack([Y, Y**2], -1))
    loss = tl.autodiff.outer_loss((jnp.concatenate([first, second]),), both, RULE)
    alone = [tl.autodiff.outer_loss((w,), batch(y), RULE) for w, y in ((first, Y), (second, Y**2))]
    np.testing.assert_allclose(loss, sum(alone), rtol=1e-13)
    with pytest.raises(ValueError, match=r"y of .* must have the shape of the model's outputs"):
        tl.autodiff.outer_loss((jnp.concatenate([first, second]),), batch(Y), RULE)


def test_values_print_as_shapes():
    text = repr(tl.LinearRegression(dim=3, shots=5).sample(jax.random.key(0), 100))
    assert text.startswith("Batch(support=RegressionPoints(x=float64[100,5,3], y=float64[100,5])")
    assert len(text.splitlines()) == 1


def test_margins_are_refused_from_outside():
    from toylin.tasks._binary_data import BinaryMargins

    one = jnp.ones((3, 2))
    margins = BinaryMargins(one, one[:, 0], one, one)
    support = tl.BinaryMoments(one, jnp.broadcast_to(jnp.eye(2), (3, 2, 2)))
    for route in (tl.autodiff, tl.closed_form):
        with pytest.raises(ValueError, match="margins can be scored once"):
            route.outer_loss(PARAMS, tl.Batch(support, margins), RULE)


def test_a_scalar_problem_still_takes_lists():
    params = list(scalar_params((0.7, -0.9)))
    tasks = tl.LinearRegression()
    np.testing.assert_allclose(
        tl.autodiff.outer_loss(params, tasks, RULE), tl.closed_form.outer_loss(params, tasks, RULE)
    )
