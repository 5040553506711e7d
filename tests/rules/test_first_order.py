"""What ``first_order`` says of a rule: whether its adaptation passes derivatives on as they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

TASK = tl.LinearRegression(dim=2).population(jnp.array([1.0, -2.0]))
RULES = {
    "maml": (tl.MAML(0.3), False),
    "fomaml": (tl.FOMAML(0.3), True),
    "reptile": (tl.Reptile(0.3), True),
    "proximal": (tl.Proximal(0.5), False),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_whether_derivatives_of_its_steps_are_dropped(name):
    rule, dropped = RULES[name]
    jacobian = jax.jacobian(lambda w: tl.autodiff.adapt((w,), TASK, rule)[0][0])(jnp.ones((1, 2)))
    assert np.array_equal(jacobian[:, 0], np.eye(2)) == rule.first_order == dropped
