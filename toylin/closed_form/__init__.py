"""The inner and outer loss by formula: gradients, Hessians and expectations written out by hand.

The first of the two routes; ``autodiff`` exports the same functions. They serve the deep linear
model, and what the table ``FORMULAS`` says.
"""

from toylin.closed_form._formulas import FORMULAS, Formula
from toylin.closed_form._inner import adapt, inner_grad, inner_loss
from toylin.closed_form._outer import (
    formula,
    outer_grad,
    outer_loss,
    outer_value_and_grad,
    task_losses,
)

__all__ = [
    "FORMULAS",
    "Formula",
    "adapt",
    "formula",
    "inner_grad",
    "inner_loss",
    "outer_grad",
    "outer_loss",
    "outer_value_and_grad",
    "task_losses",
]
