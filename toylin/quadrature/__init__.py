"""Integrals and draws: Gauss rules, Gaussian integrals of the losses, Wishart sums, statistics."""

from toylin.quadrature._adaptive import Integral, integrate
from toylin.quadrature._draws import (
    mean_square,
    normals,
    signs,
    spare_keys,
    square_rows,
    uniform_rows,
    wishart_root,
    wishart_rows,
)
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
    "mean_square",
    "nodes_for_degree",
    "normals",
    "signs",
    "spare_keys",
    "square_rows",
    "uniform_rows",
    "wishart_root",
    "wishart_rows",
]
