"""The inner and outer loss by formula: gradients, Hessians and expectations written out by hand."""

from toylin.closed_form._inner import adapt, inner_grad, inner_loss
from toylin.closed_form._outer import outer_grad, outer_loss, task_losses

__all__ = [
    "adapt",
    "inner_grad",
    "inner_loss",
    "outer_grad",
    "outer_loss",
    "task_losses",
]
