"""Meta-training against a plain Python loop of optax steps."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import WEIGHTS, assert_close, flat, scalar_params

import toylin as tl

TASKS = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
RULE = tl.MAML(0.1)
PARAMS = scalar_params(WEIGHTS[:2])
KEY = jax.random.key(3)
# One object each: a run compiles once for each optimizer.
SGD, ADAM = optax.sgd(0.05), optax.adam(0.1)


def python_loop(loss, params, optimizer, num_steps, key=None):
    """The definition: one optax step an iteration, keys split over the iterations."""
    keys = None if key is None else jax.random.split(key, num_steps)

    @jax.jit
    def step(params, state, *key):
        value, grads = jax.value_and_grad(loss)(params, *key)
        updates, state = optimizer.update(grads, state, params)
        return value, optax.apply_updates(params, updates), state

    state = optimizer.init(params)
    losses, path = [], []
    for i in range(num_steps):
        path.append(params)
        value, params, state = step(params, state, *([] if keys is None else [keys[i]]))
        losses.append(value)
    return params, jnp.stack(losses), jax.tree.map(lambda *a: jnp.stack(a), *path)


def parts(run):
    return run.params, run.loss, run.trajectory


def fixed_batch(params):
    return tl.autodiff.outer_loss(params, TASKS.sample(jax.random.key(9), 8, 4), RULE)


def noisy(params, key):
    return tl.autodiff.outer_loss(params, TASKS.sample(key, 4), RULE)


@pytest.mark.parametrize("optimizer", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("loss", [fixed_batch, noisy, tl.ExactLoss(TASKS, RULE)])
def test_equals_a_python_loop(loss, optimizer):
    key = KEY if loss is noisy else None
    want = python_loop(loss, PARAMS, optimizer, 30, key)
    got = tl.meta_train(loss, PARAMS, optimizer, 30, key, trajectory=True)
    assert_close(parts(got), want, 1e-11)
    assert np.max(np.abs(flat(got.params) - flat(PARAMS))) > 0.05
    without = tl.meta_train(loss, PARAMS, optimizer, 30, key)
    assert without.trajectory is None
    assert_close(parts(without)[:2], parts(got)[:2], 1e-13)


@pytest.mark.parametrize("num_steps", [99, 101, 250, 307])
def test_drawing_ahead_changes_nothing(num_steps):
    """Tasks are drawn in blocks of many iterations, whole or not."""
    loss = tl.SampledLoss(TASKS, RULE, num_tasks=4)
    want = python_loop(loss, PARAMS, SGD, num_steps, KEY)
    got = tl.meta_train(loss, PARAMS, SGD, num_steps, KEY, trajectory=True)
    assert got.loss.shape == (num_steps,)
    assert_close(parts(got), want, 1e-10)


def test_loss_is_that_before_each_update():
    loss = tl.ExactLoss(TASKS, RULE)
    run = tl.meta_train(loss, PARAMS, ADAM, 12, trajectory=True)
    np.testing.assert_allclose(run.loss[0], loss(PARAMS), rtol=1e-13)
    assert_close(jax.tree.map(lambda a: a[0], run.trajectory), PARAMS, 1e-15)
    along = jax.vmap(loss)(run.trajectory)
    np.testing.assert_allclose(run.loss, along, rtol=1e-13)
    assert run.loss[-1] < run.loss[0]


def test_starts_side_by_side():
    loss = tl.SampledLoss(TASKS, RULE, num_tasks=4)
    starts = scalar_params(WEIGHTS[:2]), scalar_params([0.1, 1.4]), scalar_params([-0.5, 0.2])
    keys = jax.random.split(KEY, 3)
    train = lambda start, key: tl.meta_train(loss, start, ADAM, 120, key)  # noqa: E731
    together = jax.vmap(train)(jax.tree.map(lambda *a: jnp.stack(a), *starts), keys)
    for i, start in enumerate(starts):
        alone = train(start, keys[i])
        one = jax.tree.map(lambda a, i=i: a[i], together)
        assert_close(parts(one), parts(alone), 1e-11)
    assert np.isnan(together.diverged_at).tolist() == [True] * 3


def test_over_the_leaves_of_the_loss():
    """A loss is a pytree: inner step sizes and task means can be mapped over."""
    step_sizes = jnp.array([0.0, 0.05, 0.2])

    def train(step_size):
        loss = tl.ExactLoss(TASKS, tl.MAML(step_size))
        return tl.meta_train(loss, PARAMS, ADAM, 20).loss

    together = jax.vmap(train)(step_sizes)
    for row, step_size in zip(together, step_sizes, strict=True):
        np.testing.assert_allclose(row, train(float(step_size)), rtol=1e-12)
    assert together[0, -1] > together[1, -1]


@pytest.mark.parametrize("num_steps", [40, 130])
def test_same_key_same_run_bit_for_bit(num_steps):
    loss = tl.SampledLoss(TASKS, RULE, num_tasks=4)
    first, again, other = (
        tl.meta_train(loss, PARAMS, SGD, num_steps, key) for key in (KEY, KEY, jax.random.key(4))
    )
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.all(np.asarray(first.loss) != np.asarray(other.loss))


def test_every_iteration_has_fresh_tasks():
    """With no outer step the losses are independent draws around the exact one."""
    loss = tl.SampledLoss(TASKS, tl.MAML(0.05), num_tasks=16)
    losses = np.asarray(tl.meta_train(loss, PARAMS, optax.sgd(0.0), 600, KEY).loss)
    assert len(np.unique(losses)) == 600
    exact = tl.closed_form.outer_loss(PARAMS, TASKS, tl.MAML(0.05))
    assert abs(losses.mean() - exact) < 5 * losses.std() / 600**0.5


@pytest.mark.parametrize("tasks", [TASKS, tl.BinaryClassification(dim=1, shots=4)], ids=["r", "b"])
def test_sampled_loss_is_the_loss_of_its_draw(tasks):
    loss = tl.SampledLoss(tasks, RULE, num_tasks=6, num_queries=3)
    batch = loss.draw(KEY)
    assert batch.num_tasks == 6
    want = tl.autodiff.outer_loss(PARAMS, batch, RULE)
    np.testing.assert_allclose(loss(PARAMS, KEY), want, rtol=1e-13)
    same = tasks.sample_moments(KEY, 6, 3) if tasks is TASKS else tasks.sample(KEY, 6, 3)
    assert_close(batch, same, 1e-15)


def test_second_derivatives_of_a_sampled_loss_hold():
    """What is shown to the outside is points, not the margins that hold once only."""
    loss = tl.SampledLoss(tl.BinaryClassification(dim=1, shots=4), RULE, num_tasks=6)
    slope = lambda w: jax.grad(loss)((w, PARAMS[1]), KEY)[0][0, 0]  # noqa: E731
    step = 1e-5
    want = (slope(PARAMS[0] + step) - slope(PARAMS[0] - step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(slope)(PARAMS[0])[0, 0], want, rtol=1e-6)


@pytest.mark.parametrize("how", ["replaced", "mapped", "jitted"])
def test_noise_is_drawn_wherever_the_tasks_have_it(how):
    """A loss that began without noise keeps nothing of that when its tasks change."""
    loss = tl.SampledLoss(tl.LinearRegression(shots=5), RULE, 4)

    def losses(noise_std):
        noisy = dataclasses.replace(loss, tasks=loss.tasks.__class__(noise_std=noise_std, shots=5))
        return noisy(PARAMS, KEY), tl.meta_train(noisy, PARAMS, SGD, 3, KEY).loss[0]

    run = {
        "replaced": losses,
        "mapped": lambda s: jax.tree.map(lambda x: x[0], jax.vmap(losses)(jnp.array([s, 1.0]))),
        "jitted": jax.jit(losses),
    }[how]
    for noise_std, places in ((2.0, 3), (0.0, 0)):
        tasks = tl.LinearRegression(noise_std=noise_std, shots=5)
        direct, first = run(noise_std)
        for got, key in ((direct, KEY), (first, jax.random.split(KEY, 3)[0])):
            want = tl.autodiff.outer_loss(PARAMS, tasks.sample_moments(key, 4, 10), RULE)
            np.testing.assert_allclose(got, want, rtol=1e-12)
        assert (direct > 1.0) == (places == 3)


def test_any_pytree_of_parameters():
    """Rules are trained beside weights."""

    def loss(both):
        params, rule = both
        return tl.closed_form.outer_loss(params, tl.LinearRegression(), rule)

    start = (scalar_params([0.5]), tl.MAML(jnp.asarray(0.1)))
    run = tl.meta_train(loss, start, ADAM, 400)
    params, rule = run.params
    np.testing.assert_allclose(rule.step_size, 1.0, atol=1e-2)  # 1 / s²: exact adaptation
    assert run.loss[-1] < 1e-4
    assert rule.steps == 1
    assert params[0].shape == (1, 1)


@pytest.mark.parametrize("slope", [0.0, 1e-36, 1e-25, 1e-15, 1.0, 1e15, 1e20, 1e36])
def test_a_gradient_whose_square_leaves_single_precision(slope):
    start = jnp.ones(3, jnp.float32)
    run = tl.meta_train(lambda w: slope * jnp.sum(w), start, optax.sgd(1e-38), 3)
    np.testing.assert_allclose(run.grad_norm, slope * 3**0.5, rtol=1e-6)
    assert np.isnan(run.diverged_at)
