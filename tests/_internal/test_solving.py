"""Linear equations, against exact fractions, and two batches of them at once."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st
from jax.test_util import check_grads

from toylin._internal.solving import solve

entries = st.integers(-5, 5)


@given(
    matrix=st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=n, max_size=n)
    ),
    right=st.lists(entries, min_size=4, max_size=4),
)
def test_against_fractions(matrix, right):
    exact, right = sympy.Matrix(matrix), right[: len(matrix)]
    assume(exact.det() != 0)
    wanted = [float(Fraction(int(v.p), int(v.q))) for v in exact.inv() * sympy.Matrix(right)]
    got = solve(jnp.array(matrix, float), jnp.array(right, float))
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_a_zero_pivot_is_exchanged():
    swap = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(solve(swap, jnp.array([5.0, 8.0, 9.0])), [3.0, 5.0, 4.0])


@pytest.mark.parametrize("n", [1, 3, 30])
def test_it_differentiates_both_ways_in_batches(n):
    matrix, right = (jax.random.normal(jax.random.key(n), (2, n, k)) for k in (n, 1))
    both = jax.vmap(solve)
    check_grads(both, (matrix + 2 * n * jnp.eye(n), right[..., 0]), order=2)


def test_what_is_singular_is_not_finite():
    assert not np.isfinite(solve(jnp.ones((2, 2)), jnp.array([1.0, 2.0]))).any()


PROGRAM = """
import sys
import jax, jax.numpy as jnp
from toylin._internal.solving import solve
function = jax.vmap({"ours": solve, "theirs": jnp.linalg.solve}[sys.argv[1]])
both = jax.jit(lambda a, b, v: function(a, v) + function(b, v))
a, b = jax.random.normal(jax.random.key(0), (2, 20000, 8, 8)) + 8 * jnp.eye(8)
for _ in range(30):
    both(a, b, a[:, 0]).block_until_ready()
"""


def test_two_batches_in_one_program_do_not_wait_for_each_other():
    """On two cores and jaxlib 0.10 "theirs" in place of "ours" often does not."""
    subprocess.run([sys.executable, "-c", PROGRAM, "ours"], check=True, timeout=100)
