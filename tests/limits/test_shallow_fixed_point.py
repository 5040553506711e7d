"""Where meta-training of the shallow model rests, against exact fractions and least squares."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl


def two_tasks():
    easy = tl.LinearRegression(x_cov=1.0).population([-1.0])
    hard = tl.LinearRegression(x_cov=0.25).population([2.0])
    both = jax.tree.map(lambda *x: jnp.stack(x), easy, hard)
    return tl.Batch(both, both)


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize(
    ("kind", "powers"), [(tl.MAML, lambda k: 2 * k), (tl.FOMAML, lambda k: k)], ids=["MAML", "FO"]
)
def test_against_fractions(kind, powers, steps):
    alpha, tasks = Fraction(1, 2), ((Fraction(1), -1), (Fraction(1, 4), 2))
    weights = [a * (1 - alpha * a) ** powers(steps) for a, _ in tasks]
    wanted = sum(m * c for m, (_, c) in zip(weights, tasks, strict=True)) / sum(weights)
    (found,) = tl.shallow_fixed_point(two_tasks(), kind(0.5, steps))
    assert found.shape == (1, 1)
    np.testing.assert_allclose(found[0, 0], float(wanted), rtol=1e-13)


def test_reptile_rests_where_adaptation_cancels():
    """The direction is w - adapted = sum (1 - (1 - alpha a)^k) (w - c)."""
    alpha, tasks = Fraction(1, 2), ((Fraction(1), -1), (Fraction(1, 4), 2))
    weights = [1 - (1 - alpha * a) ** 2 for a, _ in tasks]
    wanted = sum(m * c for m, (_, c) in zip(weights, tasks, strict=True)) / sum(weights)
    (found,) = tl.shallow_fixed_point(two_tasks(), tl.Reptile(0.5, 2))
    np.testing.assert_allclose(found[0, 0], float(wanted), rtol=1e-13)


@pytest.mark.parametrize("tasks", [2, 6])
def test_points_are_least_squares_of_adapted_queries(tasks):
    """By NumPy's least squares on stacked rows, of least norm where they are fewer than dim."""
    batch = tl.LinearRegression(5, noise_std=0.3, shots=4).sample(jax.random.key(0), tasks, 2)
    rows, targets = [], []
    sides = (batch.support.x, batch.support.y, batch.query.x, batch.query.y)
    for x1, y1, x2, y2 in zip(*map(np.asarray, sides), strict=True):
        rows.append(x2 - 0.2 / 4 * x2 @ x1.T @ x1)
        targets.append(y2 - 0.2 / 4 * x2 @ x1.T @ y1)
    wanted = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets))[0]
    (found,) = tl.shallow_fixed_point(batch, tl.MAML(0.2))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("moments", [False, True])
def test_several_outputs_rest_one_by_one(moments):
    """Under a rule that does not mix them, every output's row is that of its own targets."""
    tasks = tl.LinearRegression(2, outputs=3, noise_std=0.3, shots=4)
    batch = (tasks.sample_moments if moments else tasks.sample)(jax.random.key(0), 5, 2)
    sizes = (jnp.array([0.3, 0.1]),)
    rule = tl.MetaSGD(sizes, 2, per_step=True)
    (found,) = tl.shallow_fixed_point(batch, rule)
    assert found.shape == (3, 2)
    fields = ("theta", "xe") if moments else ("y",)
    for i, row in enumerate(found):
        alone = [
            dataclasses.replace(
                data,
                **{f: getattr(data, f)[:, i] if moments else data.y[..., i] for f in fields},
                **({"ee": jnp.ones(5)} if moments else {}),
            )
            for data in (batch.support, batch.query)
        ]
        (wanted,) = tl.shallow_fixed_point(tl.Batch(*alone), rule)
        np.testing.assert_allclose(row, wanted[0], rtol=1e-9)


def test_gradient_in_the_step_size():
    """Differentiable where the solution is unique: d/d alpha of a ratio of quadratics."""
    a, c = np.array([1.0, 0.25]), np.array([-1.0, 2.0])

    def by_hand(alpha):
        weight = a * (1 - alpha * a) ** 2
        return (weight * c).sum() / weight.sum()

    found = jax.grad(lambda s: tl.shallow_fixed_point(two_tasks(), tl.MAML(s))[0][0, 0])(0.3)
    np.testing.assert_allclose(found, (by_hand(0.3 + 1e-5) - by_hand(0.3 - 1e-5)) / 2e-5, rtol=1e-7)


def test_refusals():
    with pytest.raises(ValueError, match="batch must be"):
        tl.shallow_fixed_point(tl.LinearRegression(), tl.MAML(0.1))
    binary = tl.BinaryClassification(2, shots=3).sample(jax.random.key(0), 4, 3)
    with pytest.raises(ValueError, match="support of batch must be Regression"):
        tl.shallow_fixed_point(binary, tl.MAML(0.1))
    with pytest.raises(tl.NoClosedFormError):
        tl.shallow_fixed_point(two_tasks(), tl.AlphaMAML(0.1, 0.01, steps=2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e6, 1e15])
@pytest.mark.parametrize("kind", ["moments", "points", "minibatches"])
def test_it_scales_with_the_targets(kind, size, dtype):
    """Joint training on one set of inputs rests at the mean of the slopes, whatever their size."""
    x = jnp.tile(jnp.array([[1.0, 0.5], [0.0, 1.0], [0.5, -1.0]], dtype), (2, 1, 1))
    slopes = size * jnp.array([[1.0, 2.0], [4.0, 5.0]], dtype)
    points = tl.RegressionPoints(x, jnp.einsum("tkd,td->tk", x, slopes))
    rule = tl.MAML(0.3)
    if kind == "moments":
        xx = jnp.einsum("tki,tkj->tij", x, x) / 3
        points = tl.RegressionMoments(xx, slopes, 0 * slopes, jnp.zeros(2, dtype))
    support = points
    if kind == "minibatches":
        support = tl.Minibatches(jax.tree.map(lambda leaf: jnp.stack([leaf] * 2, 1), points))
        rule = tl.MAML(0.3, 2)
    (found,) = tl.shallow_fixed_point(tl.Batch(support, points), rule)
    np.testing.assert_allclose(found[0] / size, [2.5, 3.5], rtol=40 * np.finfo(dtype).eps)
