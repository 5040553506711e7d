"""What is best possible, what is typical, and what is only an estimate."""

from toylin.limits._bayes import bayes_loss
from toylin.limits._estimate import Estimate, estimate, estimate_value_and_grad
from toylin.limits._evaluate import Evaluation, evaluate
from toylin.limits._optima import (
    deep_floor,
    deep_optimum,
    shallow_floor,
    shallow_optimum,
    zero_layer_floor,
    zero_layer_optimum,
)
from toylin.limits._reached import levels_reached
from toylin.limits._references import LEVELS, reference_losses
from toylin.limits._shallow_fixed_point import shallow_fixed_point
from toylin.limits._tails import Tail, TailWarning, tails

__all__ = [
    "LEVELS",
    "Estimate",
    "Evaluation",
    "Tail",
    "TailWarning",
    "bayes_loss",
    "deep_floor",
    "deep_optimum",
    "estimate",
    "estimate_value_and_grad",
    "evaluate",
    "levels_reached",
    "reference_losses",
    "shallow_fixed_point",
    "shallow_floor",
    "shallow_optimum",
    "tails",
    "zero_layer_floor",
    "zero_layer_optimum",
]
