"""Exact arithmetic: losses as fractions, and derivations that print."""

from toylin.symbolic._derivation import FORMATS, Derivation, derive
from toylin.symbolic._exact import (
    descend,
    moments,
    others,
    outer_grad,
    outer_loss,
    outer_value_and_grad,
    second_moments,
)

__all__ = [
    "FORMATS",
    "Derivation",
    "derive",
    "descend",
    "moments",
    "others",
    "outer_grad",
    "outer_loss",
    "outer_value_and_grad",
    "second_moments",
]
