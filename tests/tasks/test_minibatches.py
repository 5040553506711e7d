"""A fresh minibatch at every inner step: by hand, and what it changes in the mean."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toylin as tl

LAW = tl.LinearRegression(dim=2, noise_std=0.3, shots=4)
TASKS = tl.FreshMinibatches(LAW, steps=3)
PARAMS = tl.init(jax.random.key(9), (2, 3, 1))
BATCH = TASKS.sample(jax.random.key(0), 5, 6)


def part(task, step):
    return jax.tree.map(lambda x: x[task, step], BATCH.support.parts)


def one_after_another(params, task, rules):
    for step, rule in enumerate(rules):
        params = tl.autodiff.adapt(params, part(task, step), rule)
    return params


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize(
    "rule",
    [
        tl.MAML(0.2, steps=3),
        tl.Reptile(0.2, steps=3),
        tl.ANIL(0.2, steps=3),
        tl.ANIL(rule=tl.MetaSGD.identity(PARAMS[-1:], 0.2, 3)),
    ],
    ids=lambda rule: type(getattr(rule, "rule", None) or rule).__name__,
)
def test_each_step_sees_its_own_part(rule, remat):
    adapted = jax.vmap(lambda s: tl.autodiff.adapt(PARAMS, s, rule, remat=remat))(BATCH.support)
    for task in (0, 4):
        by_hand = one_after_another(PARAMS, task, [rule.replace(steps=1)] * 3)
        for found, wanted in zip(adapted, by_hand, strict=True):
            np.testing.assert_allclose(found[task], wanted, rtol=1e-12)


def test_a_rule_that_adapts_too_goes_on_from_part_to_part():
    rule = tl.AlphaMAML(0.2, 0.05, steps=3)
    adapted = tl.autodiff.adapt(PARAMS, jax.tree.map(lambda x: x[1], BATCH.support), rule)
    params, rule = PARAMS, rule.replace(steps=1)
    for step in range(3):
        params, rule = rule.step(params, lambda w, step=step: part(1, step).loss(w, tl.predict))
    assert abs(rule.step_size - 0.2) > 1e-3
    for found, wanted in zip(adapted, params, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_outer_gradients_are_products_along_the_path():
    """Nichol et al.: the last gradient times I - alpha H at every part before, in another order."""
    rule, query = tl.MAML(0.2, steps=3), jax.tree.map(lambda x: x[:1], BATCH.query)
    support = jax.tree.map(lambda x: x[:1], BATCH.support)
    found = tl.autodiff.outer_grad(PARAMS, tl.Batch(support, query), rule)
    flat, whole = jax.flatten_util.ravel_pytree(PARAMS)
    path = [flat]
    for step in range(3):
        grad = jax.grad(lambda w, step=step: part(0, step).loss(whole(w)))(path[-1])
        path.append(path[-1] - 0.2 * grad)
    wanted = jax.grad(lambda w: jax.tree.map(lambda x: x[0], query).loss(whole(w)))(path[-1])
    for step in (2, 1, 0):
        hessian = jax.hessian(lambda w, step=step: part(0, step).loss(whole(w)))(path[step])
        wanted = wanted - 0.2 * hessian @ wanted
    np.testing.assert_allclose(jax.flatten_util.ravel_pytree(found)[0], wanted, rtol=1e-12)


def test_reptile_trains_by_the_mean_of_independent_steps():
    """Independent parts shrink the error of one layer by (1 - alpha)^k in the mean, exactly.

    A support that all steps share shrinks it less: E (1 - alpha S)² = (1 - alpha)² + 2 alpha² / K.
    """
    alpha, shots, num = 0.5, 2, 4000
    law = tl.LinearRegression(theta_mean=1.0, theta_cov=1e-300, shots=shots)
    rule = tl.Reptile(alpha, steps=2)
    zero = (jnp.zeros((1, 1)),)
    ends = {}
    for name, tasks in (("fresh", tl.FreshMinibatches(law, 2)), ("shared", law)):
        loss = tl.SampledLoss(tasks, rule, num_tasks=num, num_queries=1)
        run = tl.meta_train(loss, zero, optax.sgd(1.0), num_steps=1, key=jax.random.key(3))
        ends[name] = 1 - float(run.params[0][0, 0])
    wanted = (1 - alpha) ** 2
    moments = (wanted + 2 * alpha**2 / shots, wanted)  # of one factor squared; of their product
    error = np.sqrt((moments[0] ** 2 - wanted**2) / num)
    assert abs(ends["fresh"] - wanted) < 4 * error
    assert abs(ends["shared"] - moments[0]) < 8 * error
    assert ends["shared"] - ends["fresh"] > 0.2


def test_rest_on_a_finite_set_of_tasks():
    """Where Reptile's direction is zero, on parts of every task: no start moves in the mean."""
    rule = tl.Reptile(0.2, steps=3)
    (start,) = tl.shallow_fixed_point(BATCH, rule)
    adapted = jax.vmap(lambda s: tl.autodiff.adapt((start,), s, rule)[0])(BATCH.support)
    np.testing.assert_allclose(adapted.mean(0), start, atol=1e-12)
    assert np.abs(adapted - start).max() > 0.1


def test_classes_are_dealt_evenly():
    law = tl.Classification(dim=2, classes=3, shots=2)
    parts = tl.FreshMinibatches(law, 4).sample(jax.random.key(0), 5, 3).support.parts
    assert parts.x.shape == (5, 4, 6, 2)
    np.testing.assert_array_equal(parts.y, np.broadcast_to([0, 0, 1, 1, 2, 2], (5, 4, 6)))
    whole = tl.Classification(dim=2, classes=3, shots=8).sample(jax.random.key(0), 5, 3).support
    np.testing.assert_array_equal(np.sort(parts.x.ravel()), np.sort(whole.x.ravel()))


def test_loss_is_the_mean_of_the_parts():
    task = jax.tree.map(lambda x: x[2], BATCH.support)
    wanted = np.mean([part(2, step).loss(PARAMS) for step in range(3)])
    np.testing.assert_allclose(tl.autodiff.inner_loss(PARAMS, task), wanted, rtol=1e-14)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="each of the 3 minibatches of support, got steps=2"):
        tl.autodiff.outer_loss(PARAMS, BATCH, tl.MAML(0.1, steps=2))
    with pytest.raises(ValueError, match="tasks must have a number of shots"):
        tl.FreshMinibatches(tl.LinearRegression(), 2)
    with pytest.raises(ValueError, match="parts must be what tasks show"):
        tl.Minibatches(BATCH.support)
    with pytest.raises(ValueError, match=r"support of a batch.*\(tasks, steps, points"):
        tl.Batch(tl.Minibatches(BATCH.query), BATCH.query)
    with pytest.raises(tl.NoClosedFormError, match="Minibatches"):
        tl.closed_form.outer_loss(PARAMS, BATCH, tl.MAML(0.1, steps=3))


@pytest.mark.parametrize("task_axes", [1.5, -1, True, None, "x"])
def test_axes_are_counted(task_axes):
    parts = tl.Minibatches(tl.RegressionPoints(jnp.ones((2, 3, 1)), jnp.ones((2, 3))))
    with pytest.raises(ValueError, match="task_axes must be an integer"):
        parts.check_axes(task_axes)
