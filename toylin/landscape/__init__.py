"""The landscape of a loss: surfaces, critical points, minima, bifurcations, basins."""

from toylin.landscape._basins import Basins, basins
from toylin.landscape._critical_points import (
    Bifurcation,
    Classification,
    census,
    classify,
    find_bifurcations,
    loss_polynomial,
    minimum,
    solve_critical_points,
)
from toylin.landscape._minima import distance_to_minimum
from toylin.landscape._search import CriticalPoints, search_critical_points
from toylin.landscape._surface import Surface, surface

__all__ = [
    "Basins",
    "Bifurcation",
    "Classification",
    "CriticalPoints",
    "Surface",
    "basins",
    "census",
    "classify",
    "distance_to_minimum",
    "find_bifurcations",
    "loss_polynomial",
    "minimum",
    "search_critical_points",
    "solve_critical_points",
    "surface",
]
