"""MAML on inputs of many numbers: the short way equals the long one, values and gradients."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
from helpers import assert_close

import toylin as tl
from toylin.autodiff import _span

REGRESSION = tl.LinearRegression(dim=70, noise_std=0.3, shots=4)
LAWS = {
    "classes": tl.Classification(dim=70, classes=3, shots=2),
    "regression": REGRESSION,
    "binary": tl.BinaryClassification(dim=70, shots=4),
    "several outputs": tl.LinearRegression(dim=70, outputs=2, shots=4),
}


def long_way(params, batch, rule):
    """Every task with all of its layers, as ``adapt`` has it."""

    def one(support, query):
        return query.loss(tl.autodiff.adapt(params, support, rule))

    return jnp.mean(jax.vmap(one)(batch.support, batch.query))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize(
    ("hidden", "steps", "first_order"), [((7,), 1, False), ((8, 6), 3, False), ((7,), 2, True)]
)
def test_the_short_way_is_exact(name, hidden, steps, first_order):
    tasks = LAWS[name]
    params = tl.init(jax.random.key(0), (70, *hidden, tasks.outputs))
    batch, rule = tasks.sample(jax.random.key(1), 3, 5), tl.MAML(0.02, steps, first_order)
    assert _span.serves(params, batch, rule, tl.predict)

    def both(loss):
        def of(params, step_size, batch):
            return loss(params, batch, rule.replace(step_size=step_size))

        return jax.jit(jax.value_and_grad(of, (0, 1)))(params, 0.02, batch)

    assert_close(both(tl.autodiff.outer_loss), both(long_way), 1e-13)


def test_what_it_does_not_serve():
    tasks = LAWS["classes"]
    batch = tasks.sample(jax.random.key(1), 3, 5)
    wide, narrow = (tl.init(jax.random.key(0), (70, h, 3)) for h in (7, 4))
    assert not _span.serves(narrow, batch, tl.MAML(0.1), tl.predict)
    assert not _span.serves(wide, batch, tl.MAML(0.1, steps=0), tl.predict)
    assert not _span.serves(wide, batch, tl.make_rule("meta-sgd", wide, 0.1), tl.predict)
    moments = REGRESSION.sample_moments(jax.random.key(0), 2)
    assert not _span.serves(wide, moments, tl.MAML(0.1), tl.predict)
