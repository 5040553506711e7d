"""Classes: the law, its draws, losses and formulas on given data.

References are written point by point in NumPy or mpmath, with no matrix of the package's formulas;
two classes are held to the binary forms.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from helpers import assert_close
from hypothesis import given
from hypothesis import strategies as st

import toylin as tl
from toylin import testing

COV = jnp.array([[1.2, -0.4], [-0.4, 0.7]])


def params_of(seed, *widths, scale=1.0):
    rng = np.random.default_rng(seed)
    return tuple(
        jnp.asarray(scale * rng.normal(size=(b, a))) for a, b in itertools.pairwise(widths)
    )


def points_of(seed, points, dim, classes, spread=1.0):
    rng = np.random.default_rng(seed)
    x = jnp.asarray(spread * rng.normal(size=(points, dim)))
    return tl.ClassPoints(x, jnp.asarray(rng.integers(classes, size=points)), classes)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("size", [1.0, 1000.0])
@given(st.data())
def test_loss_and_gradient_against_mpmath(classes, size, data):
    """Every digit, also where the logits are in the thousands."""
    w = data.draw(testing.params(1, 2, outputs=classes))
    data = data.draw(testing.class_points(4, 2, classes, size))
    with mpmath.workdps(60):
        total, slope = mpmath.mpf(0), mpmath.zeros(classes, 2)
        for x, y in zip(np.asarray(data.x).tolist(), np.asarray(data.y).tolist(), strict=True):
            logits = [mpmath.fdot(row, x) for row in np.asarray(w[0]).tolist()]
            powers = [mpmath.exp(f) for f in logits]
            total += (mpmath.log(mpmath.fsum(powers)) - logits[y]) / 4
            for c in range(classes):
                p = powers[c] / mpmath.fsum(powers) - (c == y)
                for k in range(2):
                    slope[c, k] += p * x[k] / 4
        want = float(total), np.array(slope.tolist(), float)
    np.testing.assert_allclose(data.loss(w), want[0], rtol=1e-14, atol=1e-14 * size)
    for route in (tl.closed_form, tl.autodiff):
        assert_close(route.inner_grad(w, data)[0], jnp.asarray(want[1]), 1e-13, scale=size)


@pytest.mark.parametrize(
    ("depth", "steps", "first_order"), [(1, 1, False), (2, 2, False), (3, 1, False), (2, 2, True)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_two_classes_are_the_binary_task(seed, depth, steps, first_order):
    """The logit is the difference of the two outputs, which moves twice as far as each."""
    classes = points_of(seed, 6, 3, 2)
    binary = tl.BinaryPoints(classes.x, 2.0 * classes.y - 1)
    body = params_of(seed, 3, *[4] * (depth - 1))
    # A head of rows -v/2 and v/2 keeps that form: their gradients are -g and g, so that in v/2 the
    # logit v f has the step size 1/2 in place of 1.
    half = params_of(seed + 1, (3, *[4] * (depth - 1))[-1], 1)[0] / 2
    two = tl.Batch(*[jax.tree.map(lambda a: a[None], classes)] * 2)
    one = tl.Batch(*[jax.tree.map(lambda a: a[None], binary)] * 2)
    rule = tl.MAML(0.3, steps, first_order)

    def by_classes(body, half):
        return tl.closed_form.outer_loss((*body, jnp.concatenate([-half, half])), two, rule)

    def logit(params, x):
        body, half = params
        for w in body:
            x = x @ w.T
        return 2 * (x @ half[0])

    # The same parameters (body, v/2) under plain autodiff, with the head's gradient halved.
    sizes = tl.MetaSGD(
        step_sizes=(tuple(jnp.full_like(w, 0.3) for w in body), jnp.full_like(half, 0.15)),
        steps=steps,
        first_order=first_order,
    )

    def by_margin(body, half):
        return tl.autodiff.outer_loss((body, half), one, sizes, logit)

    got = jax.value_and_grad(by_classes, (0, 1))(body, half)
    want = jax.value_and_grad(by_margin, (0, 1))(body, half)
    assert_close(got, want, 1e-12)


@pytest.mark.parametrize(
    ("widths", "steps", "first_order"),
    [((2, 3), 3, False), ((2, 1, 3), 0, False), ((2, 4, 4, 3), 2, False), ((2, 4, 3), 2, True)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_formulas_agree_with_autodiff(seed, widths, steps, first_order):
    tasks = tl.Classification(2, 3, 0.8, COV, shots=2)
    batch = tasks.sample(jax.random.key(seed), 3, 2)
    params, rule = params_of(seed, *widths), tl.MAML(0.4, steps, first_order)
    got, want = (
        (
            route.task_losses(params, batch, rule),
            *route.outer_value_and_grad(params, batch, rule),
        )
        for route in (tl.closed_form, tl.autodiff)
    )
    assert_close(got, want, 1e-12)


def test_the_law():
    """Means of sum zero with the stated spread; points around them with the stated covariance."""
    tasks = tl.Classification(2, 4, 1.5, COV, shots=3)
    batch = tasks.sample(jax.random.key(0), 20_000, 2)
    means = np.asarray(batch.truth)
    np.testing.assert_allclose(means.sum(1), 0, atol=1e-12)
    error = 1.5**2 * (2 / means.shape[0]) ** 0.5
    assert np.all(np.abs((means**2).mean(0) - 1.5**2) < 5 * error)
    # Of C vectors with sum zero any two have the correlation -1/(C - 1).
    assert np.all(np.abs((means[:, 0] * means[:, 1]).mean(0) + 1.5**2 / 3) < 5 * error)
    for data, each in ((batch.support, 3), (batch.query, 2)):
        assert np.array_equal(data.y[0], np.repeat(range(4), each))
        assert (np.asarray(data.y) == np.asarray(data.y)[0]).all()
        away = np.asarray(data.x) - np.take(means, np.asarray(data.y)[0], axis=1)
        away = away.reshape(-1, 2)
        samples = (away[:, :, None] * away[:, None]).reshape(-1, 4)
        spread = samples.std(0) / len(samples) ** 0.5
        assert np.all(np.abs(samples.mean(0) - np.ravel(COV)) < 5 * spread)
        assert np.all(np.abs(away.mean(0)) < 5 * away.std(0) / len(away) ** 0.5)
        # Different points, and support apart from query, are independent of each other.
        apart = np.asarray(data.x)[:, 0] - means[:, 0], np.asarray(data.x)[:, 1] - means[:, 0]
        assert abs((apart[0] * apart[1]).mean()) < 5 * 1.2 / len(means) ** 0.5


def test_two_classes_have_the_law_of_binary_tasks():
    """Before adaptation their queries have the loss and accuracy of the binary population."""
    tasks = tl.Classification(2, 2, 1.3, 0.6, shots=1)
    batch = tasks.sample(jax.random.key(1), 4_000, 5)
    half = jnp.array([[0.4, -0.7]])
    params = (jnp.concatenate([-half, half]),)
    query = batch.query
    losses = jax.vmap(lambda data: data.loss(params))(query)
    hits = jax.vmap(lambda data: data.accuracy(params))(query)
    binary = tl.BinaryClassification(2, 1.3, 0.6)
    population = jax.vmap(binary.population)(batch.truth[:, 1])
    away = losses - jax.vmap(lambda data: data.loss((2 * half,)))(population)
    assert abs(away.mean()) < 5 * away.std() / len(away) ** 0.5
    away = hits - jax.vmap(lambda data: data.accuracy((2 * half,)))(population)
    assert abs(away.mean()) < 5 * away.std() / len(away) ** 0.5


def test_accuracy_shares_ties():
    data = tl.ClassPoints(jnp.eye(3), jnp.array([0, 1, 2]), 3)
    assert data.accuracy((jnp.eye(3),)) == 1
    assert data.accuracy((-jnp.eye(3),)) == 0
    np.testing.assert_allclose(data.accuracy((jnp.zeros((3, 3)),)), 1 / 3)
    np.testing.assert_allclose(data.accuracy((jnp.eye(3).at[0, 1].set(1.0),)), 5 / 6)


def test_training_on_classes_learns():
    """Two layers meta-trained end far below chance, log 3."""
    import optax

    tasks = tl.Classification(3, 3, 1.0, 0.2, shots=4)
    loss = tl.SampledLoss(tasks, tl.MAML(0.5), num_tasks=16, num_queries=5)
    start = tl.DeepLinear(depth=2, width=3, scale=0.3).init(jax.random.key(0), tasks)
    assert [w.shape for w in start] == [(3, 3), (3, 3)]
    run = tl.meta_train(loss, start, optax.adam(0.01), 400, jax.random.key(1))
    assert np.mean(run.loss[-50:]) < 0.5 < 0.9 < np.mean(run.loss[:10])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": jnp.array([0, 3, 1])}, "y must hold classes from 0 to 2, got \\[0, 3\\]"),
        ({"y": jnp.array([0, -1, 1])}, "y must hold classes from 0 to 2"),
        ({"y": jnp.array([0.0, 1.0, 2.0])}, "y must hold integers"),
        ({"y": jnp.array([True, False, True])}, "y must be a real number"),
        ({"y": jnp.array([0, 1])}, "y must have one row a point"),
        ({"classes": 1}, "classes must be an integer of at least 2"),
        ({"x": jnp.full((3, 2), jnp.nan)}, "x must be finite"),
    ],
)
def test_bad_points_are_refused(change, message):
    good = {"x": jnp.ones((3, 2)), "y": jnp.array([0, 1, 2]), "classes": 3}
    with pytest.raises(ValueError, match=message):
        tl.ClassPoints(**{**good, **change})


def test_what_does_not_fit_is_refused():
    data = tl.ClassPoints(jnp.ones((3, 2)), jnp.array([0, 1, 2]), 3)
    for route in (tl.closed_form, tl.autodiff):
        with pytest.raises(ValueError, match="must end in 3 outputs"):
            route.inner_loss((jnp.ones((4, 2)),), data)
    with pytest.raises(ValueError, match="one output for each of classes=3 classes"):
        tl.autodiff.inner_loss({"w": jnp.ones(2)}, data, lambda p, x: x @ p["w"])
    with pytest.raises(ValueError, match="y must have 2 axes"):
        tl.Batch(*[tl.ClassPoints(jnp.ones((1, 3, 2)), jnp.zeros((1, 3, 1), int), 3)] * 2)
    tasks = tl.Classification(dim=2, classes=3)
    with pytest.raises(ValueError, match="num_queries must be an integer"):
        tasks.sample(jax.random.key(0), 4, None)
    with pytest.raises(tl.NoClosedFormError, match="closed forms serve"):
        tl.closed_form.outer_loss((jnp.ones((3, 2)),), tasks, tl.MAML(0.1))
