"""What a transformation has put together past all constructors is checked again, parts too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

MADE = "^{} must be made by its constructor: {}"


def test_the_images_of_a_law():
    law = tl.ImageTasks(np.ones((3, 4, 2), np.float32), ways=2, shots=1)
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, law)
    params, key = (jnp.zeros((2, 2), jnp.float32),), jax.random.key(0)
    assert tl.evaluate(params, law, tl.MAML(0.1), key, 2, 1).loss.mean > 0
    with pytest.raises(ValueError, match=MADE.format("tasks", "images must be finite")):
        tl.evaluate(params, broken, tl.MAML(0.1), key, 2, 1)


def test_the_rule_of_a_rule():
    params, tasks = tl.init(jax.random.key(0), (1, 1, 1)), tl.LinearRegression(shots=3)
    rule = tl.ANIL(rule=tl.MAML(0.1))
    batch = tasks.sample(jax.random.key(1), 3)
    assert tl.autodiff.outer_loss(params, batch, rule) > 0
    broken = jax.tree.map(lambda leaf: jnp.array([leaf, leaf]), rule)
    with pytest.raises(ValueError, match=MADE.format("rule", "step_size must")):
        tl.autodiff.outer_loss(params, batch, broken)
