"""The landscape of a loss: surfaces, critical points, minima, bifurcations, basins."""

from toylin.landscape._basins import Basins, basins
from toylin.landscape._bifurcations import Bifurcation, find_bifurcations
from toylin.landscape._classify import PointKind, classify_point
from toylin.landscape._critical_points import CriticalPoints
from toylin.landscape._minima import distance_to_minimum, known_minimum
from toylin.landscape._scalar_polynomial import ExactPolynomial, exact_polynomial, require_maml
from toylin.landscape._search import search_critical_points
from toylin.landscape._solve import solve_critical_points
from toylin.landscape._surface import Surface, surface

__all__ = [
    "Basins",
    "Bifurcation",
    "CriticalPoints",
    "ExactPolynomial",
    "PointKind",
    "Surface",
    "basins",
    "classify_point",
    "distance_to_minimum",
    "exact_polynomial",
    "find_bifurcations",
    "known_minimum",
    "require_maml",
    "search_critical_points",
    "solve_critical_points",
    "surface",
]
