"""Exact arithmetic: losses as fractions, and derivations that print."""

from toylin.symbolic._derivation import FORMATS, Derivation, derive
from toylin.symbolic._exact import outer_grad, outer_loss, outer_value_and_grad

__all__ = [
    "FORMATS",
    "Derivation",
    "derive",
    "outer_grad",
    "outer_loss",
    "outer_value_and_grad",
]
