"""What a process computed in single precision leaves nothing behind for double precision.

JAX keeps a constant of a compiled program by the NumPy array that it came from: an array that
outlives the call and is handed over as it is stays in the precision of the first call.
"""

from __future__ import annotations

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toylin as tl

REGRESSION = tl.LinearRegression(theta_mean=0.3, noise_std=0.2, shots=5)
BINARY = tl.BinaryClassification(dim=2, mean_std=0.8)
RULE = tl.MAML(0.4, 2)


def ones(*widths: int) -> tuple[jax.Array, ...]:
    return tuple(jnp.full((b, a), 0.7) for a, b in pairwise(widths))


CASES = {
    "binary": lambda: tl.closed_form.outer_value_and_grad(ones(2, 1), BINARY, RULE),
    "binary on points": lambda: tl.closed_form.outer_value_and_grad(
        ones(2, 1), BINARY.sample(jax.random.key(0), 4), RULE
    ),
    "scalar": lambda: tl.closed_form.outer_value_and_grad(ones(1, 1, 1), REGRESSION, RULE),
    "tails": lambda: tl.tails(ones(1, 1), REGRESSION, RULE)[:3],
    "bayes": lambda: tl.bayes_loss(REGRESSION),
    "bayes in three dimensions": lambda: tl.bayes_loss(
        tl.LinearRegression(dim=3, noise_std=0.2, shots=5)
    ),
    "estimate": lambda: tl.estimate(ones(2, 1), BINARY, RULE, jax.random.key(0), 256)[:2],
}


@pytest.mark.parametrize("case", CASES)
def test_single_precision_before_changes_nothing(case):
    jax.clear_caches()
    want = CASES[case]()
    jax.clear_caches()
    with jax.enable_x64(False):
        single = CASES[case]()
    got = CASES[case]()
    assert any(np.asarray(leaf).dtype == np.float32 for leaf in jax.tree.leaves(single))
    jax.tree.map(np.testing.assert_array_equal, got, want)
