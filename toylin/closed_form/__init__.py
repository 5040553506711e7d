"""The inner and outer loss by formula: gradients, Hessians and expectations written out by hand.

The first of the two routes; ``autodiff`` exports the same functions. They serve the deep linear
model, and what the table ``ROUTES`` says.
"""

from toylin.closed_form._inner import adapt, inner_grad, inner_loss
from toylin.closed_form._outer import (
    outer_grad,
    outer_loss,
    outer_value_and_grad,
    route,
    task_losses,
)
from toylin.closed_form._routes import ROUTES, Route

__all__ = [
    "ROUTES",
    "Route",
    "adapt",
    "inner_grad",
    "inner_loss",
    "outer_grad",
    "outer_loss",
    "outer_value_and_grad",
    "route",
    "task_losses",
]
