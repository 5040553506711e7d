"""Integrals: Gauss rules, an adaptive one, Gaussian integrals of the losses, Wishart sums."""

from toylin.quadrature._adaptive import Integral, integrate
from toylin.quadrature._gauss import gauss_gamma, gauss_normal, nodes_for_degree
from toylin.quadrature._softplus import (
    expected_sigmoid,
    expected_softplus,
    expected_softplus_derivative,
    expected_softplus_derivatives,
)
from toylin.quadrature._wishart import eigenvalue_rule

__all__ = [
    "Integral",
    "eigenvalue_rule",
    "expected_sigmoid",
    "expected_softplus",
    "expected_softplus_derivative",
    "expected_softplus_derivatives",
    "gauss_gamma",
    "gauss_normal",
    "integrate",
    "nodes_for_degree",
]
