"""Long inner loops: recomputing steps bounds the memory of an outer gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import toylin as tl

TASKS = tl.LinearRegression(dim=30, noise_std=0.1, shots=5)
PARAMS = tl.init(jax.random.key(0), (30, 40, 40, 1))
BATCH = TASKS.sample(jax.random.key(1), 8, 5)


def memory(steps, remat, route=tl.autodiff):
    """Bytes that the compiled outer gradient needs beyond its arguments and results."""
    grad = jax.jit(route.outer_grad, static_argnames="remat")
    compiled = grad.lower(PARAMS, BATCH, tl.MAML(0.01, steps), remat=remat).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def test_fifty_steps_do_not_cost_fifty_times_the_memory():
    one, stored, recomputed = memory(1, False), memory(50, False), memory(50, True)
    assert stored > 10 * one
    assert recomputed < 8 * one
    assert recomputed < stored / 3


def test_the_formula_too_holds_little():
    """It stores the parameters before every step, and nothing else of it."""
    stored, recomputed = (memory(400, remat, tl.closed_form) for remat in (False, True))
    assert recomputed < stored / 3


@pytest.mark.parametrize("steps", [0, 7, 9])
@pytest.mark.parametrize("widths", [(30, 4, 1), (1, 1, 1)])
def test_recomputing_changes_no_value_of_the_formulas(widths, steps):
    tasks = tl.LinearRegression(dim=widths[0], noise_std=0.1, shots=5)
    batch = tasks.sample(jax.random.key(1), 3, 5)
    params, rule = tl.init(jax.random.key(0), widths), tl.MAML(0.01, steps)

    @jax.jit
    def both(params):
        loss = tl.closed_form.outer_loss
        return [
            (
                tl.closed_form.outer_value_and_grad(params, batch, rule, remat=remat),
                tl.closed_form.task_losses(params, batch, rule, remat=remat),
                jax.grad(lambda p, r=remat: loss(p, batch, rule, remat=r))(params),
            )
            for remat in (True, False)
        ]

    assert_close(*both(params), 1e-12)


@pytest.mark.parametrize("steps", [0, 1, 2, 7, 9, 50])
def test_recomputing_changes_no_value(steps):
    rule = tl.MAML(jnp.asarray(0.01), steps)

    @jax.jit
    def both(params, rule):
        return [
            (
                tl.autodiff.outer_loss(params, BATCH, rule, remat=remat),
                tl.autodiff.outer_grad(params, BATCH, rule, remat=remat),
                tl.autodiff.task_losses(params, BATCH, rule, remat=remat),
            )
            for remat in (True, False)
        ]

    recomputed, stored = both(PARAMS, rule)
    assert_close(recomputed, stored, 1e-11)
    support = jax.tree.map(lambda a: a[0], BATCH.support)
    adapted = tl.autodiff.adapt(PARAMS, support, rule, remat=True)
    want = tl.closed_form.adapt(PARAMS, support, rule)
    assert_close(adapted, want, 1e-11)
    moved = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(adapted, PARAMS, strict=True))
    assert np.isclose(moved, 0) if steps == 0 else moved > 1e-3
