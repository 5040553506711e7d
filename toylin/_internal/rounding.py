"""Numbers that carry a bound on their own rounding."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from toylin._internal.shapes import Array


def unit_roundoff(x: Array) -> float:
    """Half the distance from 1 to the next float: the relative error of one operation."""
    return float(jnp.finfo(x.dtype).eps) / 2


class Rounded(NamedTuple):
    """A computed number and how far it can be from what exact arithmetic would give.

    Sums, differences and products pass the bound on and add their own rounding, u |result|: running
    error analysis (Wilkinson; Higham, "Accuracy and Stability of Numerical Algorithms", 2002,
    section 3.3). Rounding in the bound itself is left out, and is far below a factor of two.

    >>> x = Rounded(jnp.asarray(1.0), None)
    >>> third = Rounded(jnp.asarray(1 / 3), jnp.asarray(1 / 3 * unit_roundoff(x.value)))
    >>> difference = x - (third + third + third)
    >>> bool(difference.error >= abs(difference.value))
    True
    """

    value: Array
    error: Array | None  # None where the number is what it is

    def __add__(self, other: Rounded) -> Rounded:  # type: ignore[override]
        """The sum."""
        return _rounded(self.value + other.value, [self.error, other.error])

    def __sub__(self, other: Rounded) -> Rounded:
        """The difference."""
        return _rounded(self.value - other.value, [self.error, other.error])

    def __mul__(self, other: Rounded) -> Rounded:  # type: ignore[override]
        """The product."""
        x, y = jnp.abs(self.value), jnp.abs(other.value)
        if self.error is not None:
            y = y if other.error is None else y + other.error
        crossed = [
            None if other.error is None else x * other.error,
            None if self.error is None else y * self.error,
        ]
        return _rounded(self.value * other.value, crossed)


def _rounded(value: Array, errors: list[Array | None]) -> Rounded:
    total = unit_roundoff(value) * jnp.abs(value)
    for error in errors:
        total = total if error is None else total + error
    return Rounded(value, total)
