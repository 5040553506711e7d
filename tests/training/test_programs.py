"""Optimizers of one structure share a compiled program; others do not."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import WEIGHTS, scalar_params

import toylin as tl
from toylin._internal.by_structure import ByStructure
from toylin.training import _drive

PARAMS = scalar_params(WEIGHTS[:2])


def test_optimizers_of_one_structure_share_a_program():
    traced = []

    def loss(params):
        traced.append(0)
        return jnp.sum(params[0] ** 2)

    tl.meta_train(loss, PARAMS, optax.adam(1e-3), 5)
    once = len(traced)
    for _ in range(3):
        tl.meta_train(loss, PARAMS, optax.adam(1e-3), 5)
    assert len(traced) == once
    tl.meta_train(loss, PARAMS, optax.adam(2e-3), 5)
    assert len(traced) > once


def test_programs_are_forgotten(monkeypatch):
    monkeypatch.setattr(_drive, "_PROGRAMS", 3)
    for i in range(6):
        run = tl.meta_train(lambda p: jnp.sum(p[0] ** 2), PARAMS, optax.sgd(0.01 * i), 3)
        np.testing.assert_allclose(run.params[0], PARAMS[0] * (1 - 0.02 * i) ** 3, rtol=1e-12)
    assert len(_drive._programs) == 3


def schedule(count):
    return 0.1 / (1 + count)


RATE = 0.1


@pytest.mark.parametrize(
    "make",
    [
        lambda x: optax.adam(x),
        lambda x: optax.sgd(x, momentum=0.9),
        lambda x: optax.chain(optax.clip(1.0), optax.adamw(x)),
        lambda x: optax.adam(optax.cosine_decay_schedule(x, 100)),
        lambda x: optax.sgd(np.asarray(x)),
        lambda x: tl.separate(optax.adam(0.1), optax.sgd(x), ["steps"]),
    ],
)
def test_structure_tells_optimizers_apart(make):
    one, same, other = (ByStructure(make(x)) for x in (0.1, 0.1, 0.2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other


def test_a_function_of_the_users_equals_itself_only():
    """It may read a global that has changed since."""
    assert ByStructure(optax.sgd(schedule)) == ByStructure(optax.sgd(schedule))
    make = lambda: optax.sgd(lambda count: RATE)  # noqa: E731
    assert ByStructure(make()) != ByStructure(make())


def test_parts_of_unknown_kind_equal_themselves_only():
    class Stateful:
        def __init__(self):
            self.init, self.update = optax.sgd(0.1)

    optimizer = Stateful()
    assert ByStructure(optimizer) == ByStructure(optimizer)
    assert ByStructure(optimizer) != ByStructure(Stateful())
