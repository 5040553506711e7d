"""Matrices on the sides of gradients: their checks, shared by Meta-Curvature and Meta-KFO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from toylin._internal.shapes import Array
from toylin.rules._leaves import Shape, check_entries, check_finite, named_shapes

Factors = tuple[tuple[Array, ...], ...]


def check_factors(factors: Any, sizes: Sequence[int], wanted: str) -> None:
    """A tuple with a tuple of finite factors, of one of the lengths ``sizes``, for every array."""
    if not isinstance(factors, tuple) or any(
        not isinstance(entry, tuple) or len(entry) not in sizes for entry in factors
    ):
        raise ValueError(
            f"factors must be a tuple that holds {wanted} for every array of params; "
            "the classmethod identity makes one"
        )
    for index, entry in enumerate(factors):
        for factor in entry:
            check_finite(f"factors[{index}]", factor)


def check_fit(factors: Factors, params: Any, shapes: Sequence[Sequence[Shape]]) -> None:
    """Factors of the given ``shapes``, array by array of ``params``."""
    check_entries("factors", factors, params)
    named = named_shapes(params)
    for index, ((name, shape), entry, wanted) in enumerate(
        zip(named, factors, shapes, strict=True)
    ):
        got = [np.shape(factor) for factor in entry]
        if got != list(wanted):
            raise ValueError(
                f"factors[{index}] must have shapes {_listed(wanted)} to fit {name} of shape "
                f"{shape}, got {_listed(got)}"
            )


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))


def identities(shapes: Sequence[Sequence[Shape]], dtypes: Sequence[np.dtype]) -> Factors:
    """Identity matrices, and ones where a factor is a vector."""
    return tuple(
        tuple(jnp.eye(s[0], dtype=dtype) if len(s) == 2 else jnp.ones(s, dtype) for s in entry)
        for entry, dtype in zip(shapes, dtypes, strict=True)
    )
