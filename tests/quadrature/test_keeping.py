"""Rules that are computed once are shared: nobody can change them for the next."""

from __future__ import annotations

import numpy as np
import pytest

from toylin.quadrature import eigenvalue_rule, gauss_gamma, gauss_normal


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [(gauss_normal, (3,)), (gauss_gamma, (3, 2.5)), (eigenvalue_rule, (2, 4))],
)
def test_nobody_can_change_what_is_kept(rule, arguments):
    first = rule(*arguments)
    before = [array.copy() for array in first]
    for array in first:
        with pytest.raises(ValueError, match="read-only"):
            array *= 2
    assert rule(*arguments) is first
    for array, same in zip(rule(*arguments), before, strict=True):
        np.testing.assert_array_equal(array, same)


def test_another_type_is_refused_also_where_the_number_was_asked_before():
    gauss_normal(2)
    with pytest.raises(ValueError, match="nodes must be an integer"):
        gauss_normal(2.0)
