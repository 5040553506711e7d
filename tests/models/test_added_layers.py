"""Linear layers added to a deep linear model: where they go, and what they leave as it is."""

from __future__ import annotations

import numpy as np
import pytest

import toylin as tl

WIDTHS = (5, 2, 3, 4, 6)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_layers_are_identities_of_the_width_at_their_position(depth):
    rng = np.random.default_rng(depth)
    params = tuple(rng.normal(size=(WIDTHS[k + 1], WIDTHS[k])) for k in range(depth))
    for position in range(depth + 1):
        found = tl.add_linear_layers(params, 2, position)
        added = [np.eye(WIDTHS[position])] * 2
        want = [*params[:position], *added, *params[position:]]
        assert len(found) == len(want)
        for got, expected in zip(found, want, strict=True):
            np.testing.assert_array_equal(got, expected)
