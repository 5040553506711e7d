"""What depth does to a gradient step: the preconditioner it induces, the best one, balance."""

from toylin.depth._balance import imbalance, step_departure
from toylin.depth._best_preconditioner import BestPreconditioner, best_preconditioner
from toylin.depth._induced import angle, induced_preconditioner

__all__ = [
    "BestPreconditioner",
    "angle",
    "best_preconditioner",
    "imbalance",
    "induced_preconditioner",
    "step_departure",
]
