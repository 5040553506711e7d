"""What depth does to a gradient step: the preconditioner it induces, the best one, balance."""

from toylin.depth._balance import imbalance, step_departure
from toylin.depth._best_layers import BestLayers, best_layers
from toylin.depth._best_preconditioner import BestPreconditioner, best_preconditioner
from toylin.depth._induced import induced_preconditioner, matrix_angle
from toylin.depth._subspaces import subspace_distance

__all__ = [
    "BestLayers",
    "BestPreconditioner",
    "best_layers",
    "best_preconditioner",
    "imbalance",
    "induced_preconditioner",
    "matrix_angle",
    "step_departure",
    "subspace_distance",
]
