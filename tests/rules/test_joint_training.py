"""Parameters and their rule are trained together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
import pytest
from rule_cases import assert_same, gap, normals

import toylin as tl


def test_params_and_rule_train_together_with_their_own_optimizers():
    tasks = tl.LinearRegression(dim=2, x_cov=jnp.array([[2.0, 0.6], [0.6, 0.5]]))
    params = (jnp.array([[0.5, -0.5]]),)
    start = tl.MetaKFO.identity(params, 0.1, psd=True)
    loss, pair = tl.joint(tl.ExactLoss(tasks, start), params)

    both = tl.meta_train(loss, pair, optax.adam(0.05), num_steps=300)
    assert both.loss[-1] < 0.02 * both.loss[0]

    optimizer = tl.separate(optax.sgd(0.0), optax.adam(0.05), frozen=["step_size"])
    held = tl.meta_train(loss, pair, optimizer, num_steps=50).params
    assert_same(held[0], params)
    assert_same(held[1].step_size, 0.1)
    assert gap(held[1].factors[0], start.factors[0]) > 0.1

    slow = tl.meta_train(loss, pair, tl.separate(optax.sgd(0.1), optax.sgd(0.2)), num_steps=1)
    grads = jax.grad(loss)(pair)
    assert_same(slow.params[0][0], params[0] - 0.1 * grads[0][0])
    assert_same(slow.params[1].factors[0][1], start.factors[0][1] - 0.2 * grads[1].factors[0][1])
    with pytest.raises(ValueError, match=r"frozen must name learnable fields of MetaKFO.*'steps'"):
        tl.meta_train(loss, pair, tl.separate(optax.sgd(0.1), optax.sgd(0.1), ["steps"]), 1)


def test_a_sampled_loss_trains_rule_and_params_as_its_definition_says():
    """Tasks are drawn for a hundred iterations at once; the gradients are those of one by one."""
    tasks = tl.LinearRegression(shots=4, noise_std=0.1)
    params = normals(0, [(1, 1), (1, 1)])
    loss, pair = tl.joint(
        tl.SampledLoss(tasks, tl.MetaSGD.identity(params, 0.1), num_tasks=4), params
    )
    keys = jax.random.split(jax.random.key(2), 130)
    run = tl.meta_train(loss, pair, optax.sgd(0.1), 130, jax.random.key(2), trajectory=True)

    @jax.jit
    def step(pair, key):
        grads = jax.grad(lambda q: tl.SampledLoss(tasks, q[1], num_tasks=4)(q[0], key))(pair)
        return jax.tree.map(lambda p, g: p - 0.1 * g, pair, grads)

    for i, key in enumerate(keys[:3]):
        assert_same(jax.tree.map(lambda x, i=i: x[i], run.trajectory), pair)
        pair = step(pair, key)
    assert gap(pair[1].step_sizes, run.params[1].step_sizes) > 1e-3
