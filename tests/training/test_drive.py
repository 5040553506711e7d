"""How long pieces of a run are, and how many draws are held at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

from toylin.training._drawing import block_size
from toylin.training._drive import _GROWTH, _PIECE, _Program
from toylin.training._loop import Loop


def test_a_piece_takes_as_long_as_it_should():
    program = _Program(Loop(None, 10, None, False), mapped=False)
    assert program.piece() == 1
    assert program.measure(1, 1e-4) == _GROWTH  # fast, but a little at a time
    assert program.measure(50, 100 * _PIECE) == 1
    assert program.measure(50, 50 * _PIECE / 64) == program.piece() == 64


class Large:
    """A loss that draws a mebibyte of single precision."""

    def draw(self, key):
        return jnp.zeros((2**8, 2**10), jnp.float32)


@pytest.mark.parametrize(("runs", "want"), [(1, 8), (2, 4), (8, 1), (100, 1)])
def test_draws_that_are_large_are_held_up_to_eight_mebibytes(runs, want):
    assert block_size(Large(), jax.random.key(0), 1000, runs) == want
